//! The bodies of the fuzz targets, so that `tests/replay.rs` runs the same code over the seeds on stable.

use driftless_record::{Frame, Limits};
use driftless_wire::{Operation, Response};

/// Reads one slot's text, alone and as the base and the log of a dataset.
pub fn frame_decode(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let _ = Frame::decode(text);
    let limits = Limits::default().with_dataset_bytes(64 * 1024);
    for key in [
        "_driftless.head",
        "_driftless.log.0",
        "_driftless.run.0",
        "_driftless.base.0.0",
    ] {
        let _ = driftless_record::read([(key, text)], &limits, None);
    }
}

/// Reads an answer to ListRecords; what is read is written again and reads back.
pub fn list_answer(bytes: &[u8]) {
    if let Ok(answer) = Response::from_body(Operation::ListRecords, bytes) {
        let again = Response::from_body(Operation::ListRecords, &answer.to_body());
        assert_eq!(again.expect("what was written reads back"), answer);
    }
}
