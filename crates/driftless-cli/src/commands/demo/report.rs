//! What each device did, as a table or as JSON.

use serde_json::{Value as Json, json};

use super::world::Device;
use crate::output::{bytes, table};

/// Returns the table of all devices.
pub(crate) fn devices(devices: &[Device]) -> String {
    let header = [
        "",
        "edits",
        "syncs",
        "requests",
        "up",
        "down",
        "keys merged",
        "pushes overtaken",
    ];
    table(header, devices.iter().map(row))
}

fn row(device: &Device) -> [String; 8] {
    let totals = device.totals;
    [
        device.name.clone(),
        totals.edits.to_string(),
        totals.syncs.to_string(),
        totals.requests.to_string(),
        bytes(totals.bytes_up),
        bytes(totals.bytes_down),
        totals.merged.to_string(),
        totals.overtaken.to_string(),
    ]
}

/// Returns the same for scripts.
pub(crate) fn objects(devices: &[Device]) -> Json {
    let object = |device: &Device| {
        let totals = device.totals;
        json!({
            "name": device.name,
            "edits": totals.edits,
            "syncs": totals.syncs,
            "requests": totals.requests,
            "bytes_up": totals.bytes_up,
            "bytes_down": totals.bytes_down,
            "keys_merged": totals.merged,
            "pushes_overtaken": totals.overtaken,
        })
    };
    devices.iter().map(object).collect()
}
