//! A Driftless dataset on the device: an automerge document and its mergeable state
