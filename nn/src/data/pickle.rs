//! Batches of CIFAR's Python archives: a pickled dictionary of a numpy array and a list of labels.

use serde_pickle::{DeOptions, HashableValue, Value};

/// The bytes of the array under `data` and the numbers under `labels`; or what was expected and found.
///
/// Nothing is executed: classes are not looked up, and an array is taken for the state it was pickled with,
/// `(version, shape, type, Fortran order, bytes)`.
pub(super) fn batch(bytes: &[u8], labels: &str) -> Result<(Vec<u8>, Vec<i64>), String> {
    let options = DeOptions::new().replace_unresolved_globals();
    let value = serde_pickle::value_from_slice(bytes, options);
    let value = value.map_err(|error| format!("expected a pickled dictionary, found: {error}"))?;
    let Value::Dict(mut entries) = value else {
        return Err(format!("expected a pickled dictionary, found {}", kind(&value)));
    };
    let mut entry = |name: &str| {
        let keys = [HashableValue::String(name.into()), HashableValue::Bytes(name.into())];
        let found = keys.iter().find_map(|key| entries.remove(key));
        found.ok_or_else(|| format!("expected an entry {name:?}, found none"))
    };
    Ok((array(entry("data")?)?, numbers(entry(labels)?, labels)?))
}

/// The bytes of an array of bytes in row-major order.
fn array(value: Value) -> Result<Vec<u8>, String> {
    let expected = |found: &str| format!("\"data\": expected an array of bytes, rows first, found {found}");
    let Value::Tuple(mut state) = value else { return Err(expected(kind(&value))) };
    let (values, order, shape) = (state.pop(), state.pop(), state.get(1));
    let (Some(Value::Bytes(bytes)), Some(Value::Tuple(sizes))) = (values, shape) else {
        return Err(expected("another object"));
    };
    let size = |value: &Value| match value {
        Value::I64(size) => usize::try_from(*size).ok(),
        _ => None,
    };
    let len = sizes.iter().try_fold(1usize, |len, value| len.checked_mul(size(value)?));
    match order {
        Some(Value::Bool(false)) if len == Some(bytes.len()) => Ok(bytes),
        Some(Value::Bool(false)) => Err(expected("another number of bytes than its shape says")),
        _ => Err(expected("one with columns first")),
    }
}

fn numbers(value: Value, name: &str) -> Result<Vec<i64>, String> {
    let Value::List(values) = value else {
        return Err(format!("{name:?}: expected a list, found {}", kind(&value)));
    };
    let number = |value| match value {
        Value::I64(number) => Ok(number),
        other => Err(format!("{name:?}: expected integers, found {}", kind(&other))),
    };
    values.into_iter().map(number).collect()
}

/// What a value is, in Python's words.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::None => "None",
        Value::Bool(_) => "a bool",
        Value::I64(_) | Value::Int(_) => "an int",
        Value::F64(_) => "a float",
        Value::Bytes(_) => "bytes",
        Value::String(_) => "a str",
        Value::List(_) => "a list",
        Value::Tuple(_) => "a tuple",
        Value::Set(_) | Value::FrozenSet(_) => "a set",
        Value::Dict(_) => "a dictionary",
    }
}
