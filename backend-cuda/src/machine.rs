//! What device this is, as counting and choosing see it.

use conv_core::{CostModel, Machine, Result, TableSource};
use cudarc::driver::sys::CUdevice_attribute as Attribute;

use crate::device::Device;

/// The library's tables, one line each. The first serves devices that have none.
static TABLES: &[(&str, &str)] = &[("h200", include_str!("../machines/h200.toml"))];

/// The machine that this device is: its threads are multiprocessors; its caches are the shared memory of a block, the
/// same, and the second-level cache.
pub(crate) fn detect(device: &Device) -> Result<Machine> {
    let processor = device.name().to_string();
    let threads = device.attribute(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?.max(1);
    let shared = device.attribute(Attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)?;
    let cache = device.attribute(Attribute::CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE)?;
    let read = |text| CostModel::from_toml(text).expect("the library's tables read");
    let mut tables = TABLES.iter().map(|(name, text)| (*name, read(text)));
    let (name, model) =
        tables.find(|(_, model)| model.processor == processor).unwrap_or((TABLES[0].0, read(TABLES[0].1)));
    let table = match model.processor == processor {
        true => TableSource::Committed,
        false => TableSource::Nearest,
    };
    let caches = [shared, shared, cache];
    Ok(Machine { name: name.into(), processor, threads, lanes: 32, caches, model, table })
}
