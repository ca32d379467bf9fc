//! Products of one group of units after the other.

use std::ops::Range;

use conv_core::{Cost, Result};

use super::{Product, THREADS};
use crate::device::{Device, Module};
use crate::raw::{Function, Launch, Span};

/// Units in groups of this size, the last of what is left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Groups {
    pub(crate) units: usize,
    pub(crate) group: usize,
}

impl Groups {
    /// The groups, in order.
    pub(crate) fn all(self) -> impl Iterator<Item = Range<usize>> {
        let Groups { units, group } = self;
        (0..units).step_by(group).map(move |begin| begin..(begin + group).min(units))
    }

    /// How many there are.
    pub(crate) fn count(self) -> usize {
        self.units.div_ceil(self.group)
    }

    /// What the products of all groups take, `product` being that of so many units.
    pub(crate) fn cost(self, multiprocessors: usize, product: impl Fn(usize) -> Product) -> Cost {
        let of_group = |units: usize| {
            let product = product(units);
            let cost = Cost { product_flops: product.flops(), launches: 1.0, ..Cost::default() };
            cost.in_tasks(usize::try_from(product.blocks()).unwrap_or(usize::MAX), multiprocessors)
        };
        let (whole, rest) = (self.units / self.group, self.units % self.group);
        let last = if rest > 0 { of_group(rest) } else { Cost::default() };
        of_group(self.group) * whole as f64 + last
    }
}

/// The products of all groups of a pass, ready to be launched.
#[derive(Debug)]
pub(crate) struct Products {
    group: usize,
    of_group: (Product, Function),
    of_last: (Product, Function),
}

impl Products {
    /// Finds the kernels of `product`, that of so many units.
    ///
    /// # Errors
    /// As [`Device::function`].
    pub(crate) fn new(device: &Device, groups: Groups, product: impl Fn(usize) -> Product) -> Result<Self> {
        let Groups { units, group } = groups;
        let of = |units| {
            let product = product(units);
            Ok::<_, conv_core::Error>((product, device.function(Module::Product, product.kernel().0)?))
        };
        let last = units - (units - 1) / group * group;
        Ok(Products { group, of_group: of(group)?, of_last: of(last)? })
    }

    /// The product of a group of so many units; rows come from `left`. Added to what is there where `add`.
    ///
    /// # Errors
    /// As [`Device::launch`].
    pub(crate) fn multiply(
        &self,
        device: &Device,
        units: usize,
        [left, right, out]: [Span; 3],
        add: bool,
    ) -> Result<()> {
        let (product, function) = if units == self.group { &self.of_group } else { &self.of_last };
        let launch = Launch { blocks: product.blocks(), threads: THREADS, shared: 0 };
        device.launch(function, launch, &[&left, &right, &out, &product.adding(add)])
    }
}
