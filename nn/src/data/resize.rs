//! Bilinear resizing of one map.

/// Resizes a row-major map of `from` (rows, columns) to `to`. Points are the centres of pixels ("half pixel"), and
/// beyond the outermost centres the border value holds, as in PyTorch with `align_corners=False`.
pub(super) fn bilinear(map: &[f32], from: (usize, usize), to: (usize, usize)) -> Vec<f32> {
    let (rows, columns) = (weights(from.0, to.0), weights(from.1, to.1));
    let mut resized = Vec::with_capacity(to.0 * to.1);
    for (top, bottom, down) in &rows {
        for (left, right, across) in &columns {
            let along = |row: usize| {
                let row = &map[row * from.1..];
                row[*left] + (row[*right] - row[*left]) * across
            };
            resized.push(along(*top) + (along(*bottom) - along(*top)) * down);
        }
    }
    resized
}

/// For each point of an axis: its two neighbours, and how far it lies from the first to the second.
fn weights(from: usize, to: usize) -> Vec<(usize, usize, f32)> {
    let last = from - 1;
    let point = |i: usize| {
        let place = ((i as f32 + 0.5) * from as f32 / to as f32 - 0.5).clamp(0.0, last as f32);
        let before = place.floor();
        (before as usize, (before as usize + 1).min(last), place - before)
    };
    (0..to).map(point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubling_a_row_gives_quarters() {
        assert_eq!(bilinear(&[0.0, 4.0], (1, 2), (1, 4)), [0.0, 1.0, 3.0, 4.0]);
        assert_eq!(bilinear(&[0.0, 4.0], (2, 1), (4, 1)), [0.0, 1.0, 3.0, 4.0]);
    }

    #[test]
    fn the_same_size_changes_nothing_and_a_mean_stays() {
        let map: Vec<f32> = (0..6).map(|v| v as f32).collect();
        assert_eq!(bilinear(&map, (2, 3), (2, 3)), map);
        let mean = bilinear(&map, (2, 3), (8, 12)).iter().sum::<f32>() / 96.0;
        assert!((mean - 2.5).abs() < 1e-6);
    }
}
