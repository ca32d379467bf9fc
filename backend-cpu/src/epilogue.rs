//! What follows the sum in a forward pass, on a piece of one output map.

/// Adds `bias`, then makes negative values zero where `relu` is set; a NaN stays.
#[inline(always)]
pub(crate) fn apply(values: &mut [f32], bias: Option<f32>, relu: bool) {
    if let Some(bias) = bias {
        values.iter_mut().for_each(|value| *value += bias);
    }
    if relu {
        values.iter_mut().for_each(|value| *value = if *value < 0.0 { 0.0 } else { *value });
    }
}
