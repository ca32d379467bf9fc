//! Where a network's values stopped being numbers.

use conv_core::{Engine, Ops};

use crate::{Error, Parameter, Result, Sequential, Shape};

impl<B: Ops> Sequential<B> {
    /// The first values that are not finite after a forward direction in training: images, a parameter, or what a
    /// layer made of both.
    pub(crate) fn not_finite(
        &mut self,
        engine: &Engine<B>,
        shape: &Shape,
        input: &B::Buffer,
        output: &mut B::Buffer,
    ) -> Result<Error> {
        let backend = engine.backend();
        let found = |what: String| Ok(Error::NotFinite { what });
        if !is_finite(backend, input)? {
            return found("the images".into());
        }
        for index in 0..self.layers.len() {
            let kept = self.keeps_tensor(index);
            let layer = &self.layers[index];
            let name = format!("layer {index} ({})", layer.name());
            for Parameter { name: parameter, value, .. } in layer.parameters() {
                if !is_finite(backend, value)? {
                    return found(format!("the values of {parameter:?} in {name}"));
                }
            }
            if let (false, Some(tape)) = (kept, self.tapes.get_mut(shape)) {
                let (_, _, output) = tape.forward(index, input, output);
                if !is_finite(backend, output)? {
                    return found(format!("the output of {name}"));
                }
            }
        }
        found("the losses".into())
    }
}

fn is_finite<B: Ops>(backend: &B, buffer: &B::Buffer) -> Result<bool> {
    let mut values = vec![0.0; backend.len(buffer)];
    backend.download(buffer, &mut values)?;
    Ok(values.iter().all(|value: &f32| value.is_finite()))
}
