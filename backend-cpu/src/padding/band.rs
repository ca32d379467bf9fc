//! Bands: maps are cut along one axis where a whole one does not fit the cache.

use conv_core::Unsupported;

/// Most values of a task's maps.
pub(crate) const MOST_VALUES: usize = 1 << 24;

/// The slowest axis with more than one target.
pub(crate) fn cut_axis(shape: [usize; 3]) -> usize {
    shape.iter().position(|count| *count > 1).unwrap_or(2)
}

/// The longest band of which no more than `most` values are needed, and those; halved as long as `more` bands are
/// wanted.
pub(crate) fn longest_band(
    targets: usize,
    cached: usize,
    values: impl Fn(usize) -> Option<[usize; 2]>,
    more: impl Fn(usize) -> bool,
) -> Result<(usize, [usize; 2]), Unsupported> {
    let of = |band| values(band).filter(|values| values.iter().sum::<usize>() <= MOST_VALUES);
    let mut band = targets;
    while band > 1 && (of(band).is_none_or(|values| values.iter().sum::<usize>() > cached) || more(band)) {
        band = band.div_ceil(2);
    }
    let large = || Unsupported::Geometry("its padded maps are larger than any cache".into());
    Ok((band, of(band).ok_or_else(large)?))
}
