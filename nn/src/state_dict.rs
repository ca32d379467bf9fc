//! Weights alone in files that PyTorch reads and writes: safetensors of a module's `state_dict`.
//!
//! Names and shapes are PyTorch's: `LAYER.weight`, `LAYER.bias`, `LAYER.running_mean`, `LAYER.running_var`, layers by
//! number in a chain or as [`Sequential::named`] says. Training goes on from a [`crate::checkpoint`] instead, whose
//! weights PyTorch loads with `strict=False`.

use std::path::Path;

use conv_core::Ops;
use safetensors::tensor::{Dtype, TensorView};

use crate::checkpoint::{Tensor, bytes_of, failure, opened, read_bounded, values, write_whole};
use crate::{Layer, Parameter, Result, Sequential};

/// What PyTorch's batch normalisation counts for itself; nothing here depends on it.
const COUNTER: &str = "num_batches_tracked";

/// Writes the values of all parameters, running statistics included. The file appears whole or not at all.
///
/// # Errors
/// [`crate::Error::Checkpoint`] where the file cannot be written, and as [`conv_core::Backend::download`].
pub fn save<B: Ops>(path: impl AsRef<Path>, backend: &B, network: &Sequential<B>) -> Result<()> {
    let path = path.as_ref();
    let failed = |error: &dyn ToString| failure(path, error.to_string());
    let parameters = network.parameters();
    let bytes = parameters.iter().map(|parameter| bytes_of(backend, &parameter.value));
    let bytes = bytes.collect::<Result<Vec<_>>>()?;
    let mut views = Vec::new();
    for (parameter, bytes) in parameters.iter().zip(&bytes) {
        let view = TensorView::new(Dtype::F32, parameter.shape.clone(), bytes);
        views.push((parameter.name.as_str(), view.map_err(|error| failed(&error))?));
    }
    let bytes = safetensors::serialize(views, None).map_err(|error| failed(&error))?;
    write_whole(path, &bytes).map_err(|error| failed(&error))
}

/// Reads weights by name into a network. A bad file leaves the network as it was.
///
/// # Errors
/// [`crate::Error::Checkpoint`] where the file cannot be read, lacks a tensor, has one of another shape or type, or
/// one that the network does not have, and as [`conv_core::Backend::upload`].
pub fn load<B: Ops>(path: impl AsRef<Path>, backend: &B, network: &mut Sequential<B>) -> Result<()> {
    let path = path.as_ref();
    let tensor =
        |parameter: &Parameter<B>| Tensor { name: parameter.name.clone(), shape: parameter.shape.clone() };
    let wanted: Vec<_> = network.parameters().into_iter().map(tensor).collect();
    let values = read(path, &wanted).map_err(|reason| failure(path, reason))?;
    for (parameter, values) in network.parameters_mut().into_iter().zip(values) {
        backend.upload(&values, &mut parameter.value)?;
    }
    Ok(())
}

fn read(path: &Path, wanted: &[Tensor]) -> std::result::Result<Vec<Vec<f32>>, String> {
    let bytes = read_bounded(path, wanted)?;
    let file = opened(&bytes)?;
    let known = |name: &str| wanted.iter().any(|tensor| tensor.name == name) || name.ends_with(COUNTER);
    if let Some(name) = file.names().into_iter().filter(|name| !known(name)).min() {
        return Err(format!("tensor {:?} is not of this network", conv_core::shorten(name)));
    }
    wanted.iter().map(|tensor| values(&file, tensor)).collect()
}
