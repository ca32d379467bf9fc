//! Bands: maps are cut along one axis where a whole one does not fit the cache.

use conv_core::Unsupported;

use crate::buffer::whole_lines;

/// Most values of a task's maps.
pub(crate) const MOST_VALUES: usize = 1 << 24;

/// The slowest axis with more than one target.
pub(crate) fn cut_axis(shape: [usize; 3]) -> usize {
    shape.iter().position(|count| *count > 1).unwrap_or(2)
}

/// The longest band of which no more than `cached` values are needed, and those, in whole cache lines; halved as long as
/// `more` bands are wanted.
pub(crate) fn longest_band(
    targets: usize,
    cached: usize,
    values: impl Fn(usize) -> Option<[usize; 2]>,
    more: impl Fn(usize) -> bool,
) -> Result<(usize, [usize; 2]), Unsupported> {
    let most = |values: &[usize; 2]| values.iter().all(|len| *len <= MOST_VALUES);
    let lines = |band| Some(values(band).filter(most)?.map(whole_lines));
    let of = |band| lines(band).filter(|values| values.iter().sum::<usize>() <= MOST_VALUES);
    let mut band = targets;
    while band > 1 && (of(band).is_none_or(|values| values.iter().sum::<usize>() > cached) || more(band)) {
        band = band.div_ceil(2);
    }
    let large = || Unsupported::Geometry("its padded maps are larger than any cache".into());
    Ok((band, of(band).ok_or_else(large)?))
}
