//! The keys of rows: ids with zero bytes between them, and counts in their order.

use driftless_wire::{RecordKey, SyncCount};

use super::NUL;
use crate::storage::{Address, Owner};

pub(super) fn owner_prefix(owner: &Owner) -> Vec<u8> {
    let Owner { pool, identity } = owner;
    [
        pool.as_str().as_bytes(),
        &[NUL],
        identity.as_str().as_bytes(),
        &[NUL],
    ]
    .concat()
}

pub(super) fn head_key(address: &Address) -> Vec<u8> {
    [
        &owner_prefix(&address.owner),
        address.dataset.as_str().as_bytes(),
    ]
    .concat()
}

pub(super) fn dataset_prefix(address: &Address) -> Vec<u8> {
    [&head_key(address)[..], &[NUL]].concat()
}

pub(super) fn log_key(address: &Address, count: SyncCount, key: &RecordKey) -> Vec<u8> {
    [
        &dataset_prefix(address)[..],
        &count.get().to_be_bytes(),
        key.as_str().as_bytes(),
    ]
    .concat()
}

pub(super) fn place_key(address: &Address, key: &RecordKey) -> Vec<u8> {
    [&dataset_prefix(address), key.as_str().as_bytes()].concat()
}

/// Returns the first key after all that begin with a prefix, which ends in `NUL`.
pub(super) fn end_of(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    *end.last_mut().expect("a prefix ends in NUL") += 1;
    end
}
