//! Random crops and flips: other images of the same things, so that a network cannot learn them by heart.

use rand::Rng;
use rand::rngs::StdRng;

/// How an image of a training set is varied each time it is met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Augment {
    /// Most points by which an image is shifted along every axis, what comes in being 0: the channel's mean in a
    /// normalised set. The same as padding by so much and cropping at random.
    pub crop: usize,
    /// Whether half of the images are mirrored along the last axis.
    pub flip: bool,
}

impl Augment {
    /// Whether images stay as they are.
    pub fn is_none(&self) -> bool {
        *self == Augment::default()
    }

    /// Varies one image of maps with these axes: every map in the same way, decided by `random`.
    pub fn apply(&self, image: &mut [f32], axes: &[usize], random: &mut StdRng) {
        let reach = i64::try_from(self.crop).unwrap_or(i64::MAX);
        let shifts: Vec<i64> = axes.iter().map(|_| random.random_range(-reach..=reach)).collect();
        let flip = self.flip && random.random();
        let points: usize = axes.iter().product();
        for map in image.chunks_exact_mut(points.max(1)) {
            if self.crop > 0 {
                let from = map.to_vec();
                map.iter_mut().enumerate().for_each(|(to, value)| {
                    *value = source(to, axes, &shifts).map_or(0.0, |point| from[point]);
                });
            }
            if flip {
                map.chunks_exact_mut(axes.last().copied().unwrap_or(1)).for_each(<[f32]>::reverse);
            }
        }
    }
}

/// The point that moves to point `to`; `None` where it lies outside.
fn source(mut to: usize, axes: &[usize], shifts: &[i64]) -> Option<usize> {
    let (mut point, mut stride) = (0, 1);
    for (size, shift) in axes.iter().zip(shifts).rev() {
        let place = isize::try_from(*shift).ok().and_then(|shift| (to % size).checked_add_signed(shift));
        let place = place.filter(|place| place < size)?;
        point += place * stride;
        (to, stride) = (to / size, stride * size);
    }
    Some(point)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn varied(augment: Augment, seed: u64) -> Vec<f32> {
        let mut image: Vec<f32> = (1..=24).map(|value| value as f32).collect();
        augment.apply(&mut image, &[3, 4], &mut StdRng::seed_from_u64(seed));
        image
    }

    #[test]
    fn nothing_changes_without_a_wish() {
        assert!(Augment::default().is_none());
        assert_eq!(varied(Augment::default(), 1), (1..=24).map(|value| value as f32).collect::<Vec<_>>());
    }

    #[test]
    fn a_flip_mirrors_rows_of_half_of_the_images() {
        let flips = (0..100)
            .filter(|seed| varied(Augment { crop: 0, flip: true }, *seed)[..4] == [4.0, 3.0, 2.0, 1.0]);
        assert!((30..70).contains(&flips.count()));
    }

    #[test]
    fn a_crop_shifts_all_maps_alike_and_fills_with_zeros() {
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..200 {
            let image = varied(Augment { crop: 1, flip: false }, seed);
            let (first, second) = image.split_at(12);
            for (a, b) in first.iter().zip(second) {
                assert!((*a == 0.0 && *b == 0.0) || b - a == 12.0, "{image:?}");
            }
            // The middle point is never filled: its value says which shift it was.
            seen.insert(first[5] as u32);
        }
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), [1, 2, 3, 5, 6, 7, 9, 10, 11]);
        assert_eq!(
            varied(Augment { crop: 100, flip: true }, 3),
            varied(Augment { crop: 100, flip: true }, 3)
        );
    }

    #[test]
    fn features_without_axes_have_no_direction() {
        let mut image = vec![1.0, 2.0];
        Augment { crop: 0, flip: true }.apply(&mut image, &[], &mut StdRng::seed_from_u64(0));
        assert_eq!(image, [1.0, 2.0]);
    }
}
