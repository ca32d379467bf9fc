//! What an FFT pass takes: transforms, products, and what other passes are spared by spectra that they share.

use conv_core::spectra::{Shared, SpectrumKey};
use conv_core::{Cost, Role};

use super::passes::Passes;
use super::plan::Plan;
use super::steps::flops;

impl Plan {
    /// Operations of transforming one pair of this tensor's maps in a block, without lines of zeros and those not
    /// wanted.
    pub(crate) fn pair_flops(&self, role: Role) -> f64 {
        let [n0, n1, n2] = self.tiling.shape();
        let held = self.tiling.span(role).map(|span| span.len());
        let lines = [n1 * n2, held[0] * n2, held[0] * held[1]];
        [n0, n1, n2].into_iter().zip(lines).map(|(n, lines)| lines as f64 * flops(n) as f64).sum()
    }

    /// The spectra that other passes can use or have made.
    pub(crate) fn shares(&self) -> Vec<Shared> {
        let [left, right, _] = self.pass.roles();
        let shared = |role| {
            let key = SpectrumKey { role, tiling: self.tiling, layout: "frequencies" };
            Shared { key, len: self.spectra_len(role), saved: self.transform_cost(role) }
        };
        vec![shared(left), shared(right)]
    }

    /// Operations of separating the spectra of so many maps, 4 for each frequency, or of joining those of so many pairs,
    /// 2 for each frequency and for its mirror.
    fn pairing_flops(&self, role: Role, maps: f64, pairs: f64) -> f64 {
        let [n0, n1, n2] = self.tiling.shape();
        let mirrors = self.frequencies - n0 * n1 * (1 + (n2 + 1) % 2);
        match self.pass.roles()[2] == role {
            true => pairs * 2.0 * (self.frequencies + mirrors) as f64,
            false => maps * 4.0 * self.frequencies as f64,
        }
    }

    /// What transforming this tensor once takes, over all units: the tensor once, its spectra once, and what lies
    /// between.
    pub(crate) fn transform_cost(&self, role: Role) -> Cost {
        let maps = self.map_count(role, self.units());
        let bytes = 4.0 * self.problem.len(role) as f64 + 8.0 * maps as f64 * self.frequencies as f64;
        let between = match &self.passes {
            Some(passes) => self.in_passes(role, passes, maps),
            None => self.in_blocks(role, maps),
        };
        between + Cost { bytes, ..Cost::default() }
    }

    /// All pairs of maps at once in device memory.
    fn in_passes(&self, role: Role, passes: &Passes, maps: usize) -> Cost {
        let pairs = maps.div_ceil(2);
        let transform_flops = passes.flops(pairs) + self.pairing_flops(role, maps as f64, pairs as f64);
        let (bytes, launches) = (pairs as f64 * passes.bytes(), passes.launches(pairs) as f64);
        Cost { transform_flops, bytes, launches, ..Cost::default() }
    }

    /// Group after group in shared memory, pairs that fill the last block included.
    fn in_blocks(&self, role: Role, maps: usize) -> Cost {
        let (groups, rest) = match role {
            Role::Weight => (1, 0),
            _ => (self.units() / self.group, self.units() % self.group),
        };
        let last = if rest > 0 { self.transform_blocks(role, rest) } else { 0 };
        let blocks = groups * self.transform_blocks(role, self.group) + last;
        let pairs = (blocks * self.pairs) as f64;
        let transform_flops = pairs * self.pair_flops(role) + self.pairing_flops(role, maps as f64, pairs);
        let launches = (groups + usize::from(rest > 0)) as f64;
        let cost = Cost { transform_flops, launches, ..Cost::default() };
        cost.in_tasks(self.transform_blocks(role, self.group), self.multiprocessors)
    }

    /// What the products take: operations of whole tiles, and every spectrum once.
    fn product_cost(&self) -> Cost {
        let products = self.groups().cost(self.multiprocessors, |units| self.product(units));
        let values: usize = self.pass.roles().iter().map(|role| self.spectra_len(*role)).sum();
        let bytes = 4.0 * values as f64 * self.groups().count() as f64;
        products + Cost { bytes, ..Cost::default() }
    }

    /// The counted cost of the pass.
    pub(crate) fn cost(&self) -> Cost {
        let transforms = self.pass.roles().map(|role| self.transform_cost(role));
        let workspace = self.workspace_len() * size_of::<f32>();
        let all = transforms.into_iter().fold(self.product_cost(), |sum, cost| sum + cost);
        Cost { workspace, ..all }
    }
}
