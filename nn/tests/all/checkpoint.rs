//! Checkpoints: the same bits back, the same bytes again, and clear words for bad files.

use std::path::Path;

use crate::common::{Host, engine, shape};
use conv_core::testing::values;
use nn::*;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct State {
    model: String,
    epochs: u64,
}

fn state() -> State {
    State { model: "lenet".into(), epochs: 3 }
}

/// One step of training away from its seed, so that velocities are not zero.
fn trained(seed: u64) -> Trainer<Host> {
    let mut engine = engine();
    let network = models::lenet(engine.backend(), 1, 10, seed).unwrap();
    let mut trainer = Trainer::new(network, Sgd::new(0.1, 0.9, 0.0).unwrap());
    let input = shape(&[1, 1, 32, 32]);
    trainer.step(&mut engine, &input, &values(input.elements(), 1), &[4]).unwrap();
    trainer
}

fn bits(network: &Sequential<Host>) -> Vec<u32> {
    let buffers = network.parameters().into_iter().flat_map(Parameter::state);
    buffers.flat_map(|(_, values)| values).map(|value| value.to_bits()).collect()
}

fn load(path: &Path, network: &mut Sequential<Host>) -> std::result::Result<State, String> {
    checkpoint::load(path, engine().backend(), network).map_err(|error| error.to_string())
}

#[test]
fn what_is_saved_comes_back_bit_by_bit() {
    let (folder, saved) = (tempfile::tempdir().unwrap(), trained(1));
    let (first, second) = (folder.path().join("a"), folder.path().join("b"));
    for path in [&first, &second, &second] {
        checkpoint::save(path, engine().backend(), saved.network(), &state()).unwrap();
    }
    assert_eq!(std::fs::read(&first).unwrap(), std::fs::read(&second).unwrap());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    let mut other = trained(2);
    assert_ne!(bits(other.network()), bits(saved.network()));
    assert_eq!(load(&first, other.network_mut()), Ok(state()));
    assert_eq!(bits(other.network()), bits(saved.network()));
}

#[test]
fn bad_files_are_named_and_change_nothing() {
    let (folder, saved) = (tempfile::tempdir().unwrap(), trained(1));
    let path = folder.path().join("c");
    checkpoint::save(&path, engine().backend(), saved.network(), &state()).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let mut network = models::lenet(engine().backend(), 1, 10, 2).unwrap();
    let before = bits(&network);
    let prefix = format!("checkpoint {}: ", path.display());
    let message = |network: &mut Sequential<Host>| {
        load(&path, network).unwrap_err().strip_prefix(&prefix).unwrap().to_owned()
    };
    for (len, expected) in [
        (bytes.len() - 1, "expected a safetensors file, found: incomplete metadata, file not fully covered"),
        (100, "expected a safetensors file, found: invalid header length"),
        (0, "expected a safetensors file, found: header too small"),
    ] {
        std::fs::write(&path, &bytes[..len]).unwrap();
        assert_eq!(message(&mut network), expected);
    }
    std::fs::write(&path, &bytes).unwrap();
    let mut wider = models::lenet(engine().backend(), 3, 10, 2).unwrap();
    let found = message(&mut wider);
    assert_eq!(found, "tensor \"0.weight\": expected F32 [6, 3, 5, 5], found F32 [6, 1, 5, 5]");
    let mut longer = models::lenet(engine().backend(), 1, 10, 2)
        .unwrap()
        .with(Relu)
        .with(Linear::new(engine().backend(), 10, 2, &mut StdRng::seed_from_u64(0)).unwrap());
    assert_eq!(message(&mut longer), "expected a tensor \"13.weight\", found none");
    assert_eq!(message(&mut Sequential::new()), "tensor \"0.bias\" is not of this network");
    std::fs::remove_file(&path).unwrap();
    assert!(message(&mut network).starts_with("No such file"));
    assert_eq!(bits(&network), before);
}

#[test]
fn states_of_another_kind_and_missing_folders() {
    let (folder, saved) = (tempfile::tempdir().unwrap(), trained(1));
    let path = folder.path().join("d");
    checkpoint::save(&path, engine().backend(), saved.network(), &7).unwrap();
    let found = load(&path, trained(2).network_mut()).unwrap_err();
    assert!(found.contains(": state: invalid type: integer `7`, expected struct State"), "{found}");
    let missing = folder.path().join("none").join("e");
    let found = checkpoint::save(&missing, engine().backend(), saved.network(), &state()).unwrap_err();
    assert!(found.to_string().contains("No such file"), "{found}");
    let found = checkpoint::save(folder.path(), engine().backend(), saved.network(), &state()).unwrap_err();
    assert!(matches!(found, Error::Checkpoint { .. }), "{found}");
}
