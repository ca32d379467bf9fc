//! What one thread does with some images and a group of channels.

use std::ops::Range;

use conv_core::{Pass, Role};
use fft_core::COMPLEX_POINT;

use super::{CHUNK, GroupMaps};
use crate::fourier::lanes::Epilogue;
use crate::fourier::plan::{Map, Plan, divided};
use crate::fourier::points::Points;
use crate::fourier::product::{Factor, Product, View};
use crate::fourier::{FourierKernel, as_elements};
use crate::raw::Block;

/// Some images and a group of channels.
pub(super) struct Task<'a> {
    pub(super) kernel: &'a FourierKernel,
    pub(super) images: Range<usize>,
    pub(super) group: usize,
}

/// Where the planes of the product go, and what is done to their values.
pub(super) struct Made<'a, 'b> {
    pub(super) block: &'a mut Block<'b>,
    pub(super) epilogue: Epilogue<'a>,
}

/// A worker's spectra and scratch.
pub(super) struct Worker<'a> {
    held: &'a mut [f32],
    chunk: &'a mut [f32],
    fft: &'a mut [f32],
}

impl<'a> Worker<'a> {
    pub(super) fn new(scratch: &'a mut [f32], [held, chunk, fft]: [usize; 3]) -> Self {
        let (held, rest) = scratch.split_at_mut(held);
        let (chunk, rest) = rest.split_at_mut(chunk);
        Worker { held, chunk, fft: &mut rest[..fft] }
    }
}

impl Task<'_> {
    /// Forward and backward-input: the product of the factor's maps and the weights. Held are the spectra of the side that has
    /// fewer maps; of the other there are `CHUNK` maps at a time.
    pub(super) fn made(
        &self,
        [tensor, weights]: [&[f32]; 2],
        mut made: Made<'_, '_>,
        Worker { held, chunk, fft }: Worker<'_>,
    ) {
        let (rows, maps) = (self.images.len(), GroupMaps::new(self.plan()));
        let left = self.plan().pass.roles()[0];
        if maps.left <= maps.right {
            self.transform(left, tensor, 0..maps.left, held, fft);
            for columns in divided(maps.right, CHUNK) {
                let factors = [(&*held, down(maps.left)), (weights, self.weights(0, columns.start))];
                let sizes = [rows, columns.len(), maps.left];
                self.multiply(sizes, factors, (chunk, down(columns.len())), false);
                self.invert(&mut made, columns, chunk, fft);
            }
        } else {
            for terms in divided(maps.left, CHUNK) {
                self.transform(left, tensor, terms.clone(), chunk, fft);
                let factors = [(&*chunk, down(terms.len())), (weights, self.weights(terms.start, 0))];
                let sizes = [rows, maps.right, terms.len()];
                self.multiply(sizes, factors, (held, down(maps.right)), terms.start > 0);
            }
            self.invert(&mut made, 0..maps.right, held, fft);
        }
    }

    /// Backward-weights: the products of the images, added to the group's sums.
    pub(super) fn added(
        &self,
        [inputs, outputs]: [&[f32]; 2],
        (sums, add): (&mut [f32], bool),
        Worker { held, chunk, fft }: Worker<'_>,
    ) {
        let (images, maps) = (self.images.len(), GroupMaps::new(self.plan()));
        let part = |first| View { first, ..down(maps.right) };
        if maps.left <= maps.right {
            self.transform(Role::Output, outputs, 0..maps.left, held, fft);
            for columns in divided(maps.right, CHUNK) {
                self.transform(Role::Input, inputs, columns.clone(), chunk, fft);
                let factors = [(&*held, down(maps.left).transposed()), (&*chunk, down(columns.len()))];
                let sizes = [maps.left, columns.len(), images];
                self.multiply(sizes, factors, (&mut *sums, part(columns.start)), add);
            }
        } else {
            self.transform(Role::Input, inputs, 0..maps.right, held, fft);
            for rows in divided(maps.left, CHUNK) {
                self.transform(Role::Output, outputs, rows.clone(), chunk, fft);
                let factors = [(&*chunk, down(rows.len()).transposed()), (&*held, down(maps.right))];
                let sizes = [rows.len(), maps.right, images];
                self.multiply(sizes, factors, (&mut *sums, part(rows.start * maps.right)), add);
            }
        }
    }

    fn plan(&self) -> &Plan {
        &self.kernel.plan
    }

    /// These maps of the group in every image, image after image.
    fn maps(&self, role: Role, of_group: Range<usize>) -> impl Iterator<Item = Map> {
        let maps = self.plan().maps(role, self.images.clone());
        let first = self.group * (maps.per_unit() / self.plan().problem.groups()) + of_group.start;
        let count = of_group.len();
        (0..self.images.len() * count)
            .map(move |number| maps.map(number / count * maps.per_unit() + first + number % count))
    }

    /// The spectra of these maps of the group.
    fn transform(
        &self,
        role: Role,
        tensor: &[f32],
        of_group: Range<usize>,
        spectra: &mut [f32],
        fft: &mut [f32],
    ) {
        let points = Points { plan: self.plan(), fft: self.kernel.plane() };
        let spectra = spectra.chunks_exact_mut(self.plan().blocks() * COMPLEX_POINT);
        for (map, spectrum) in self.maps(role, of_group).zip(spectra) {
            points.forward(role, map, tensor, spectrum, fft);
        }
    }

    /// The planes of these maps of the group.
    fn invert(&self, made: &mut Made<'_, '_>, of_group: Range<usize>, spectra: &[f32], fft: &mut [f32]) {
        let points = Points { plan: self.plan(), fft: self.kernel.plane() };
        let role = self.plan().pass.roles()[2];
        let channels = self.plan().shape(role)[1];
        let spectra = spectra.chunks_exact(self.plan().blocks() * COMPLEX_POINT);
        for (map, spectrum) in self.maps(role, of_group).zip(spectra) {
            let plane = made.block.plane(map.plane / channels, map.plane % channels);
            points.inverse(role, map, spectrum, (map.plane, plane), made.epilogue, fft);
        }
    }

    /// `out (rows × columns) = left (rows × terms) · right (terms × columns)` at every frequency.
    fn multiply(
        &self,
        sizes: [usize; 3],
        [(left, left_view), (right, right_view)]: [(&[f32], View); 2],
        (out, view): (&mut [f32], View),
        add: bool,
    ) {
        let (pass, blocks) = (self.plan().pass, self.plan().blocks());
        let factor = |spectra, view| Factor { elements: as_elements(spectra), view };
        let (left, right) = (factor(left, left_view), factor(right, right_view));
        let out = out.as_chunks_mut().0;
        Product { pass, sizes, slab: blocks, blocks, left, right, out, view, add }.run();
    }

    /// The group's weights as a matrix of terms and columns, from these on.
    fn weights(&self, term: usize, column: usize) -> View {
        let maps = GroupMaps::new(self.plan());
        let (rows_apart, columns_apart) = match self.plan().pass {
            Pass::Forward => (1, maps.left),
            _ => (maps.right, 1),
        };
        let group = self.group * maps.left * maps.right;
        View { first: group + term * rows_apart + column * columns_apart, rows_apart, columns_apart }
    }
}

/// A matrix of maps without gaps, this many a row.
fn down(columns: usize) -> View {
    View { first: 0, rows_apart: columns, columns_apart: 1 }
}
