//! What device this is, as counting and choosing see it.

use conv_core::{CostModel, Error, Machine, Result, TableSource};
use cudarc::driver::sys::CUdevice_attribute as Attribute;

use crate::device::Device;

/// A table of the library, and the sizes of the device it is for.
struct Known {
    name: &'static str,
    table: &'static str,
    multiprocessors: usize,
    /// Bytes of shared memory of a block, and of the second-level cache.
    memories: [usize; 2],
}

/// The library's tables, one line each. The first serves devices that have none.
static KNOWN: &[Known] = &[Known {
    name: "h200",
    table: include_str!("../machines/h200.toml"),
    multiprocessors: 132,
    memories: [227 << 10, 50 << 20],
}];

/// Names of the devices that have tables.
pub fn machine_names() -> Vec<&'static str> {
    KNOWN.iter().map(|known| known.name).collect()
}

/// The device of this name with its table, for predictions elsewhere.
///
/// # Errors
/// [`Error::Argument`] with the names there are.
pub fn machine_of(name: &str) -> Result<Machine> {
    let known = KNOWN.iter().find(|known| known.name == name).ok_or_else(|| Error::Argument {
        what: "machine",
        expected: format!("one of {}", machine_names().join(", ")),
        found: conv_core::shorten(name),
    })?;
    let model = CostModel::from_toml(known.table)?;
    let [shared, cache] = known.memories;
    Ok(Machine {
        name: known.name.into(),
        processor: model.processor.clone(),
        threads: known.multiprocessors,
        lanes: 32,
        caches: [shared, shared, cache],
        model,
        table: TableSource::Committed,
    })
}

/// The machine that this device is: its threads are multiprocessors; its caches are the shared memory of a block, the
/// same, and the second-level cache.
pub(crate) fn detect(device: &Device) -> Result<Machine> {
    let processor = device.name().to_string();
    let threads = device.attribute(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?.max(1);
    let shared = device.attribute(Attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)?;
    let cache = device.attribute(Attribute::CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE)?;
    let read = |text| CostModel::from_toml(text).expect("the library's tables read");
    let mut tables = KNOWN.iter().map(|known| (known.name, read(known.table)));
    let (name, model) = tables
        .find(|(_, model)| model.processor == processor)
        .unwrap_or((KNOWN[0].name, read(KNOWN[0].table)));
    let table = match model.processor == processor {
        true => TableSource::Committed,
        false => TableSource::Nearest,
    };
    let caches = [shared, shared, cache];
    Ok(Machine { name: name.into(), processor, threads, lanes: 32, caches, model, table })
}
