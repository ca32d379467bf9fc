//! What the processor says of itself: name, caches, vector registers.

use pulp::{Simd, WithSimd};

/// Classes of machine by their instructions, with the f32 lanes of a register.
pub(super) static CLASSES: &[(&str, usize)] =
    &[("x86-avx512", 16), ("x86-avx2", 8), ("x86-sse", 4), ("aarch64", 4)];

/// Bytes of first-, second- and third-level cache where the processor does not say.
pub(super) const USUAL_CACHES: [usize; 3] = [32 << 10, 1 << 20, 32 << 20];

/// The processor this program runs on.
pub(super) struct Hardware {
    /// As it names itself; the architecture where it has no name.
    pub(super) processor: String,
    /// One of [`CLASSES`], or the architecture.
    pub(super) class: &'static str,
    pub(super) lanes: usize,
    pub(super) caches: [usize; 3],
}

impl Hardware {
    /// Asks it.
    pub(super) fn detect() -> Self {
        let lanes = pulp::Arch::new().dispatch(Lanes);
        let x86 = cfg!(any(target_arch = "x86", target_arch = "x86_64"));
        let class = match (x86, lanes) {
            (true, 16) => "x86-avx512",
            (true, 8) => "x86-avx2",
            (true, _) => "x86-sse",
            (false, _) => std::env::consts::ARCH,
        };
        let (name, caches) = ask();
        let processor = name.unwrap_or_else(|| std::env::consts::ARCH.into());
        // Where the engines have no registers of their own, the compiler still uses those of 4 lanes.
        Hardware { processor, class, lanes: lanes.max(4), caches }
    }
}

/// f32 lanes of the registers that the engines use.
struct Lanes;

impl WithSimd for Lanes {
    type Output = usize;

    fn with_simd<S: Simd>(self, _simd: S) -> usize {
        S::F32_LANES
    }
}

/// The processor's name and caches.
#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
fn ask() -> (Option<String>, [usize; 3]) {
    use raw_cpuid::{CacheType, CpuId};

    let cpu = CpuId::new();
    let name = cpu.get_processor_brand_string();
    let name = name.map(|name| name.as_str().split_whitespace().collect::<Vec<_>>().join(" "));
    let mut caches = USUAL_CACHES;
    for cache in cpu.get_cache_parameters().into_iter().flatten() {
        let holds_data = matches!(cache.cache_type(), CacheType::Data | CacheType::Unified);
        if let (true, level @ 1..=3) = (holds_data, usize::from(cache.level())) {
            let line = cache.physical_line_partitions() * cache.coherency_line_size();
            caches[level - 1] = cache.associativity() * cache.sets() * line;
        }
    }
    (name.filter(|name| !name.is_empty()), caches)
}

/// The processor's name and caches: unknown here.
#[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
fn ask() -> (Option<String>, [usize; 3]) {
    (None, USUAL_CACHES)
}
