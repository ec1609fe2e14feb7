//! What a device reads from its own disk, should a checksum not have noticed damage.

use driftless_document::State;
use driftless_merge::{DatasetKey, Owner, Recovered, Replica};
use driftless_record::Limits;

use crate::input::Input;

/// Reads bytes as each thing that the store reads, and as the rows of a dataset that is recovered.
///
/// ```text
/// length of the sync row u16 | sync row | length of the snapshot u16 | snapshot | length of a delta u16 | delta | …
/// ```
///
/// A snapshot of no bytes is none.
pub fn store_row(bytes: &[u8]) {
    driftless_store::read_any(bytes);
    let mut input = Input::new(bytes);
    let mut rows = Recovered {
        sync: Some(input.block().to_vec()),
        state: Some(input.block().to_vec()).filter(|state| !state.is_empty()),
        ..Recovered::default()
    };
    while !input.is_empty() {
        rows.deltas.push(input.block().to_vec());
    }
    let name = "notes".parse().expect("a name");
    let (key, pool) = (DatasetKey::new(Owner::Local, name), "us-east-1:0a".parse());
    let pool = pool.expect("a pool");
    if let Ok(replica) = Replica::recover(key, pool, Limits::default(), rows.clone()) {
        check_rows(&replica, &rows);
    }
}

/// The document is what the rows say, one after the other.
fn check_rows(replica: &Replica, rows: &Recovered) {
    let rows = rows.state.iter().chain(&rows.deltas);
    let state = rows.fold(State::new(), |state, row| {
        let delta = driftless_record::decode(row, state.clock()).expect("it was recovered");
        state.apply(&delta).expect("it was recovered")
    });
    assert_eq!(*replica.document().state(), state);
}
