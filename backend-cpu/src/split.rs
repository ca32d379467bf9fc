//! Cutting a length into nearly equal parts.

use std::ops::Range;

/// `len` in so many parts.
pub(crate) fn balanced(len: usize, count: usize) -> impl Iterator<Item = Range<usize>> {
    (0..count).map(move |part| part * len / count..(part + 1) * len / count)
}

/// `len` in as few parts of at most `most` as possible.
#[inline(always)]
pub(crate) fn blocks(len: usize, most: usize) -> impl Iterator<Item = Range<usize>> {
    balanced(len, len.div_ceil(most))
}

/// The ranges of one group of `len` channels, again for each of `groups` groups.
pub(crate) fn groups_of(ranges: &[Range<usize>], len: usize, groups: usize) -> Vec<Range<usize>> {
    let shifted = |group: usize| ranges.iter().map(move |r| group * len + r.start..group * len + r.end);
    (0..groups).flat_map(shifted).collect()
}
