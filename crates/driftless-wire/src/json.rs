//! How the service's JSON differs from what serde does by itself.

use serde::{Deserialize, Deserializer};
use serde_json::error::Category;

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

/// Tells kind and place of what is wrong with a body; serde's own text may quote it.
pub(crate) fn fault(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        Category::Eof => "the body ends too early",
        Category::Data => "a member of the body has the wrong type",
        Category::Syntax | Category::Io => "the body is not JSON",
    };
    format!("{what}, at line {} column {}", error.line(), error.column())
}
