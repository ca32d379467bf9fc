//! What 16 made channels meet at a point: the values of as many source channels, or one value for all.

use pulp::Simd;

use super::Field;
use crate::padding::{Class, Layout, pad};
use crate::product::LANES;
use crate::strip::{self, Source};

/// 16 channels at one point.
pub(crate) type Element = [f32; LANES];

/// A value of the source of a product.
pub(crate) trait Value: Copy + Send + Sync + 'static {
    /// Source channels that stand in it.
    const CHANNELS: usize;

    /// What so many lanes meet, those from `part` vectors on.
    fn vector<S: Simd>(&self, simd: S, part: usize) -> S::f32s;

    /// Whole values.
    fn of(values: &[f32]) -> &[Self];

    /// Values from one row of a copied field to the next.
    fn row(field: &Field) -> usize;

    /// Where column `x` of a row is.
    fn place(field: &Field, x: usize) -> usize;

    /// Values from what a target meets to what the next of its class meets.
    fn step(class: &Class) -> usize;

    /// f32 values of the copies of a field of so many summed channels; `None` where they are very many.
    fn len(field: &Field, summed: usize) -> Option<usize>;

    /// Copies the field of some maps.
    fn load(field: &Field, source: &Source<'_>, to: &mut [f32]);
}

impl Value for Element {
    const CHANNELS: usize = LANES;

    #[inline(always)]
    fn vector<S: Simd>(&self, _: S, part: usize) -> S::f32s {
        S::as_simd_f32s(self).0[part]
    }

    fn of(values: &[f32]) -> &[Element] {
        values.as_chunks().0
    }

    fn row(field: &Field) -> usize {
        strip::width(field.lens()[2])
    }

    fn place(_: &Field, x: usize) -> usize {
        x
    }

    fn step(class: &Class) -> usize {
        class.stride
    }

    fn len(field: &Field, _: usize) -> Option<usize> {
        let [slices, rows, _] = field.lens();
        let elements = slices.checked_mul(rows)?.checked_mul(Self::row(field))?;
        // A last column is read with those up to the next step.
        elements.checked_add(super::kernel::MOST_STEP)?.checked_mul(LANES)
    }

    fn load(field: &Field, source: &Source<'_>, to: &mut [f32]) {
        source.load(field.origin(), field.lens(), to);
    }
}

/// Strided columns stand in the order of their residues, so that neighbouring targets meet neighbours.
impl Value for f32 {
    const CHANNELS: usize = 1;

    #[inline(always)]
    fn vector<S: Simd>(&self, simd: S, _: usize) -> S::f32s {
        simd.splat_f32s(*self)
    }

    fn of(values: &[f32]) -> &[f32] {
        values
    }

    fn row(field: &Field) -> usize {
        Layout::new(field.classes).row
    }

    fn place(field: &Field, x: usize) -> usize {
        Layout::new(field.classes).place(x)
    }

    fn step(_: &Class) -> usize {
        1
    }

    fn len(field: &Field, summed: usize) -> Option<usize> {
        Layout::values(field.classes, summed)
    }

    fn load(field: &Field, source: &Source<'_>, to: &mut [f32]) {
        let layout = Layout::new(field.classes);
        let maps = source.tensor[source.first..].chunks_exact(source.apart).take(source.maps);
        for (map, to) in maps.zip(to.chunks_exact_mut(layout.map)) {
            pad(&layout, source.shape, map, to);
        }
    }
}
