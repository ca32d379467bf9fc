//! Networks and the state of their training in files: safetensors, as other tools read them.
//!
//! A file holds the state of every parameter ([`crate::Parameter::state`]): its values as `LAYER.NAME` and the
//! optimizer's memory as `LAYER.NAME.MEMORY`, all f32, and in the metadata, under `state`, whatever the program adds, as JSON.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use conv_core::Ops;
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensorError, SafeTensors};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, Layer, Parameter, Result, Sequential};

/// The metadata key of the program's state.
const STATE: &str = "state";

/// Most bytes a header has, its length included, rounded up from the format's own bound.
const MAX_HEADER: usize = 100_000_008;

/// Writes parameters, velocities and `state` (epochs done, the seed, …: a struct, so that its order is fixed).
///
/// The file appears whole or not at all: it is written beside `path` under another name and renamed. The same
/// network and state give the same bytes.
///
/// # Errors
/// [`Error::Checkpoint`] where the file cannot be written, and as [`conv_core::Backend::download`].
pub fn save<B: Ops>(
    path: impl AsRef<Path>,
    backend: &B,
    network: &Sequential<B>,
    state: &impl Serialize,
) -> Result<()> {
    let path = path.as_ref();
    let failed = |error: &dyn ToString| failure(path, error.to_string());
    let tensors = downloaded(backend, network)?;
    let mut views = Vec::new();
    for (Tensor { name, shape }, bytes) in &tensors {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes).map_err(|error| failed(&error))?;
        views.push((name.as_str(), view));
    }
    let state = serde_json::to_string(state).map_err(|error| failed(&error))?;
    // One key only: the format's writer keeps them in a hash map, whose order changes from run to run.
    let metadata = HashMap::from([(STATE.to_owned(), state)]);
    let bytes = safetensors::serialize(views, Some(metadata)).map_err(|error| failed(&error))?;
    write_whole(path, &bytes).map_err(|error| failed(&error))
}

/// Reads what [`save`] wrote into a network of the same layers, made ready by the same optimizer
/// ([`crate::Optimizer::prepare`]), and returns the program's state. A bad file
/// leaves the network as it was.
///
/// # Errors
/// [`Error::Checkpoint`] where the file cannot be read, is cut short, or is of another network, and as
/// [`conv_core::Backend::upload`].
pub fn load<B: Ops, S: DeserializeOwned>(
    path: impl AsRef<Path>,
    backend: &B,
    network: &mut Sequential<B>,
) -> Result<S> {
    let path = path.as_ref();
    let (values, state) = read(path, &tensors(network)).map_err(|reason| failure(path, reason))?;
    let mut values = values.iter();
    for parameter in network.parameters_mut() {
        for (to, values) in parameter.state_mut().zip(&mut values) {
            backend.upload(values, to)?;
        }
    }
    Ok(state)
}

/// The program's state in a file that [`save`] wrote, for making the network that [`load`] fills.
///
/// # Errors
/// [`Error::Checkpoint`] where the file cannot be read, or has no such state.
pub fn state<S: DeserializeOwned>(path: impl AsRef<Path>) -> Result<S> {
    let path = path.as_ref();
    let bytes = std::fs::read(path).map_err(|error| error.to_string());
    bytes.and_then(|bytes| state_of(&bytes)).map_err(|reason| failure(path, reason))
}

pub(crate) fn failure(path: &Path, reason: String) -> Error {
    Error::Checkpoint { path: path.to_owned(), reason }
}

/// A tensor of a file.
pub(crate) struct Tensor {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
}

/// The tensors of this network's file: the state of each parameter in turn.
fn tensors<B: Ops>(network: &Sequential<B>) -> Vec<Tensor> {
    let of = |parameter: &Parameter<B>| {
        let tensor = |(name, _)| Tensor { name, shape: parameter.shape.clone() };
        parameter.state().map(tensor).collect::<Vec<_>>()
    };
    network.parameters().into_iter().flat_map(of).collect()
}

/// The same with their little-endian values.
fn downloaded<B: Ops>(backend: &B, network: &Sequential<B>) -> Result<Vec<(Tensor, Vec<u8>)>> {
    let buffers = network.parameters().into_iter().flat_map(Parameter::state).map(|(_, buffer)| buffer);
    let with_bytes = |(tensor, buffer)| Ok((tensor, bytes_of(backend, buffer)?));
    tensors(network).into_iter().zip(buffers).map(with_bytes).collect()
}

/// The little-endian values of a buffer.
pub(crate) fn bytes_of<B: Ops>(backend: &B, buffer: &B::Buffer) -> Result<Vec<u8>> {
    let mut values = vec![0.0; backend.len(buffer)];
    backend.download(buffer, &mut values)?;
    Ok(values.into_iter().flat_map(f32::to_le_bytes).collect())
}

pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut builder = tempfile::Builder::new();
    // As any new file: the creation mask is still applied.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder.unwrap_or(Path::new(".")))?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// Values of the wanted tensors, in their order, and the state; or what is wrong.
fn read<S: DeserializeOwned>(
    path: &Path,
    wanted: &[Tensor],
) -> std::result::Result<(Vec<Vec<f32>>, S), String> {
    let bytes = read_bounded(path, wanted)?;
    let file = opened(&bytes)?;
    let values = wanted.iter().map(|tensor| values(&file, tensor)).collect::<std::result::Result<_, _>>()?;
    let known = |name: &&str| wanted.iter().any(|tensor| tensor.name == *name);
    if let Some(name) = file.names().into_iter().filter(|name| !known(name)).min() {
        return Err(format!("tensor {:?} is not of this network", conv_core::shorten(name)));
    }
    Ok((values, state_of(&bytes)?))
}

/// The state in a file's bytes.
fn state_of<S: DeserializeOwned>(bytes: &[u8]) -> std::result::Result<S, String> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(not_safetensors)?;
    let state = header.metadata().as_ref().and_then(|metadata| metadata.get(STATE));
    let state = state.ok_or_else(|| format!("expected {STATE:?} in its metadata, found none"))?;
    serde_json::from_str(state).map_err(|error| format!("{STATE}: {error}"))
}

/// A file's tensors.
pub(crate) fn opened(bytes: &[u8]) -> std::result::Result<SafeTensors<'_>, String> {
    SafeTensors::deserialize(bytes).map_err(not_safetensors)
}

fn not_safetensors(error: SafeTensorError) -> String {
    format!("expected a safetensors file, found: {error}")
}

/// The whole file, unless it is longer than one of these tensors can be.
pub(crate) fn read_bounded(path: &Path, wanted: &[Tensor]) -> std::result::Result<Vec<u8>, String> {
    let values: usize = wanted.iter().map(|tensor| tensor.shape.iter().product::<usize>()).sum();
    let limit = (values * size_of::<f32>() + MAX_HEADER) as u64;
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(limit + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > limit {
        return Err(format!("expected at most {limit} bytes, found more"));
    }
    Ok(bytes)
}

pub(crate) fn values(
    file: &SafeTensors<'_>,
    Tensor { name, shape }: &Tensor,
) -> std::result::Result<Vec<f32>, String> {
    let view = file.tensor(name).map_err(|_| format!("expected a tensor {name:?}, found none"))?;
    if view.dtype() != Dtype::F32 || view.shape() != shape {
        let (dtype, found) = (view.dtype(), view.shape());
        return Err(format!("tensor {name:?}: expected F32 {shape:?}, found {dtype:?} {found:?}"));
    }
    let values = view.data().chunks_exact(size_of::<f32>());
    Ok(values.map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])).collect())
}
