//! How the service's JSON differs from what serde does by itself.

use serde::{Deserialize, Deserializer};

/// Reads a member that the service may send as null: `"MergedDatasetNames": null` is an empty list.
pub(crate) fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Writes one of our shapes.
pub(crate) fn to_vec(shape: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(shape).expect("our shapes have string keys and are written to memory")
}
