//! One axis of the made maps against the source maps: one form for forward and backward-input.

use std::ops::{Range, RangeInclusive};

use conv_core::{Axis, Pass};

/// Targets that meet the source at the same taps: all in forward; in backward-input those of one residue of the
/// stride.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Class {
    /// Target `first + step q` is number `q` of `count`.
    pub(crate) first: usize,
    pub(crate) step: usize,
    pub(crate) count: usize,
    /// Source positions from one number to the next.
    pub(crate) stride: usize,
    /// The position, in the source or not, that number 0 meets at the tap of offset 0; and the greatest offset.
    low: isize,
    reach: usize,
}

/// A kernel point and where it meets the source: `offset` positions on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tap {
    pub(crate) point: usize,
    pub(crate) offset: usize,
}

impl Class {
    /// One target that reads `len` positions from `low` on.
    pub(crate) fn positions(low: isize, len: usize) -> Class {
        Class { first: 0, step: 1, count: 1, stride: 1, low, reach: len - 1 }
    }

    /// A class that reads what all of these read: the only one itself.
    pub(crate) fn covering(classes: impl Iterator<Item = Class>) -> Class {
        let cover = |a: Class, b: Class| {
            let end = |class: Class| class.low + class.span() as isize;
            let (low, end) = (a.low.min(b.low), end(a).max(end(b)));
            Class::positions(low, (end - low) as usize)
        };
        classes.reduce(cover).unwrap_or_else(|| Class::positions(0, 1))
    }

    /// Positions of the source that are read.
    pub(crate) fn span(&self) -> usize {
        (self.count.max(1) - 1) * self.stride + self.reach + 1
    }

    /// The source element at the first position read, perhaps before the first one.
    pub(crate) fn low(&self) -> isize {
        self.low
    }

    /// The numbers of targets that meet one of `len` elements at some offset of these.
    pub(crate) fn met(&self, offsets: RangeInclusive<usize>, len: usize) -> Range<usize> {
        let [first, last] = [offsets.start(), offsets.end()].map(|offset| self.low + *offset as isize);
        let number = |positions: isize| (positions.max(0) as usize).div_ceil(self.stride).min(self.count);
        let (begin, end) = (number(-last), number(len as isize - first));
        begin..end.max(begin)
    }

    /// What of the class is among these targets.
    pub(crate) fn within(self, targets: &Range<usize>) -> Class {
        let number = |target: usize| target.saturating_sub(self.first).div_ceil(self.step).min(self.count);
        let (begin, end) = (number(targets.start), number(targets.end));
        let low = self.low + (begin * self.stride) as isize;
        Class { first: self.first + begin * self.step, count: end - begin, low, ..self }
    }
}

/// The classes of an axis with their taps; all targets are in one of them.
pub(crate) fn classes(axis: &Axis, pass: Pass) -> Vec<(Class, Vec<Tap>)> {
    let (padding, dilation) = (axis.padding.0, axis.dilation);
    if pass != Pass::BackwardInput {
        let tap = |point| Tap { point, offset: point * dilation };
        let (low, reach) = (-(padding as isize), (axis.kernel - 1) * dilation);
        let class = Class { first: 0, step: 1, count: axis.output(), stride: axis.stride, low, reach };
        return vec![(class, (0..axis.kernel).map(tap).collect())];
    }
    let step = axis.stride;
    let of = |first: usize| {
        // Output `(first + padding - point dilation) / step` where that is whole.
        let output = |point: usize| {
            let at = (first + padding) as isize - (point * dilation) as isize;
            (at.rem_euclid(step as isize) == 0).then_some(at.div_euclid(step as isize))
        };
        let outputs: Vec<(usize, isize)> =
            (0..axis.kernel).filter_map(|point| Some((point, output(point)?))).collect();
        let low = outputs.iter().map(|(_, output)| *output).min().unwrap_or(0);
        let taps: Vec<Tap> = outputs
            .iter()
            .map(|(point, output)| Tap { point: *point, offset: (output - low) as usize })
            .collect();
        let reach = taps.iter().map(|tap| tap.offset).max().unwrap_or(0);
        (Class { first, step, count: (axis.input - first).div_ceil(step), stride: 1, low, reach }, taps)
    };
    (0..step.min(axis.input)).map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_meets_what_the_definition_says() {
        for (axis, targets) in [
            (Axis::new(9, 3).stride(2).padding(1, 2), 2..4),
            (Axis::new(7, 4).stride(3).padding(0, 5).dilation(2), 1..3),
            (Axis::new(5, 2).padding(4, 0), 0..8),
        ] {
            for pass in [Pass::Forward, Pass::BackwardInput] {
                let (mut found, mut wanted) = (Vec::new(), Vec::new());
                for (class, taps) in classes(&axis, pass) {
                    let class = class.within(&targets);
                    for (number, tap) in
                        (0..class.count).flat_map(|number| taps.iter().map(move |tap| (number, tap)))
                    {
                        let position = number * class.stride + tap.offset;
                        assert!(position < class.span());
                        found.push((
                            class.first + class.step * number,
                            tap.point,
                            class.low() + position as isize,
                        ));
                    }
                }
                for (output, point) in (0..axis.output()).flat_map(|o| (0..axis.kernel).map(move |k| (o, k)))
                {
                    let input =
                        (output * axis.stride + point * axis.dilation) as isize - axis.padding.0 as isize;
                    let (target, source) = if pass == Pass::Forward {
                        (output as isize, input)
                    } else {
                        (input, output as isize)
                    };
                    if targets.contains(&(target as usize)) {
                        wanted.push((target as usize, point, source));
                    }
                }
                let sources = if pass == Pass::Forward { -99..99 } else { 0..axis.output() as isize };
                found.retain(|(.., source)| sources.contains(source));
                found.sort_unstable();
                wanted.sort_unstable();
                assert_eq!(found, wanted, "{axis:?} {pass}");
            }
        }
    }
}
