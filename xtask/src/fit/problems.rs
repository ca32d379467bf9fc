//! The problems a fit measures: a sample of fbfft's grid and of everything else.

use conv_core::{Axis, ConvProblem, MAX_LEN};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};

/// Most multiply-adds of a problem that is worth the time.
const LARGEST: f64 = 2e10;

/// The 8,232 problems of fbfft's evaluation: batch × channels in × channels out × kernel × output size, 2-D.
pub(crate) fn fbfft_grid() -> Vec<ConvProblem> {
    let batches = [1, 16, 64, 128];
    let channels = [1, 4, 16, 64, 96, 128, 256];
    let kernels = [3, 5, 7, 9, 11, 13];
    let outputs = [1, 2, 4, 8, 16, 32, 64];
    let mut grid = Vec::new();
    for n in batches {
        for c in channels {
            for o in channels {
                for k in kernels {
                    let axes = outputs.map(|output| [Axis::new(output + k - 1, k); 2]);
                    grid.extend(axes.iter().filter_map(|axes| ConvProblem::new(n, c, o, 1, axes).ok()));
                }
            }
        }
    }
    grid
}

/// `grid` problems of fbfft's grid and `others` of any kind, none of them too large, in a random order.
pub(crate) fn sample(grid: usize, others: usize, random: &mut StdRng) -> Vec<ConvProblem> {
    let mut problems = fbfft_grid();
    problems.retain(|problem| problem.multiply_adds() <= LARGEST);
    problems.shuffle(random);
    problems.truncate(grid);
    let wanted = problems.len() + others;
    while problems.len() < wanted {
        let any = any(random).filter(|p| p.multiply_adds() <= LARGEST && largest_tensor(p) <= MAX_LEN >> 16);
        problems.extend(any);
    }
    problems.shuffle(random);
    problems
}

fn largest_tensor(problem: &ConvProblem) -> usize {
    use conv_core::Role::{Input, Output, Weight};
    [Input, Weight, Output].map(|role| problem.len(role)).into_iter().max().unwrap_or(0)
}

/// A whole number from `least` to `most`, its logarithm even.
fn even(random: &mut StdRng, least: usize, most: usize) -> usize {
    let exponent = random.random_range((least as f64).ln()..=((most + 1) as f64).ln());
    (exponent.exp() as usize).clamp(least, most)
}

/// A problem of 1 to 3 axes: plain, depthwise, grouped, strided, dilated, with small and large kernels.
fn any(random: &mut StdRng) -> Option<ConvProblem> {
    let rank = *[1, 2, 2, 2, 3].choose(random)?;
    let longest = [16384, 256, 48][rank - 1];
    let input = even(random, 7, longest);
    let kernel = match random.random_range(0..3) {
        0 => even(random, 1, 7),
        _ => even(random, 1, input),
    };
    let stride = *[1, 1, 1, 1, 2].choose(random)?;
    let dilation = *[1, 1, 1, 1, 1, 2].choose(random)?;
    let padding = if random.random_bool(0.5) { kernel / 2 * dilation } else { 0 };
    let axis = Axis::new(input, kernel).stride(stride).padding(padding, padding).dilation(dilation);
    let (batch, channels) = (even(random, 1, 64), even(random, 1, 512));
    let (cin, cout, groups) = match random.random_range(0..6) {
        0 => (channels, channels, channels),
        1 => (channels.next_multiple_of(4), channels.next_multiple_of(4), 4),
        _ => (channels, even(random, 1, 512), 1),
    };
    ConvProblem::new(batch, cin, cout, groups, &vec![axis; rank]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn the_grid_is_fbffts() {
        let grid = fbfft_grid();
        assert_eq!(grid.len(), 8232);
        assert!(grid.contains(&"n64 c96 o256 i36x36 k5x5".parse().unwrap()));
    }

    #[test]
    fn samples_are_those_of_their_seed() {
        let sample = |seed| sample(20, 30, &mut StdRng::seed_from_u64(seed));
        assert_eq!(sample(1).len(), 50);
        assert_eq!(sample(1), sample(1));
        assert_ne!(sample(1), sample(2));
    }
}
