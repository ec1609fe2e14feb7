//! UpdateRecords: patches under compare-and-swap, all of them or none.

use std::collections::{HashMap, HashSet};

use driftless_wire::{
    ApiError, ErrorCode, Op, Record, RecordKey, RecordPatch, SyncCount, Timestamp,
    UpdateRecordsRequest, UpdateRecordsResponse,
};

use super::list_records::bad_session;
use super::{ATTEMPTS, Limits, Service, address, invalid, storage_failed, too_many_writers};
use crate::storage::{Address, Head, Live, Push, Selection, Swap, View};

impl Service {
    pub(super) fn update_records(
        &self,
        request: UpdateRecordsRequest,
        now: Timestamp,
    ) -> Result<UpdateRecordsResponse, ApiError> {
        let address = address(
            &request.identity_pool_id,
            &request.identity_id,
            &request.dataset_name,
        );
        let token = request.sync_session_token.as_str();
        let session = self
            .tokens
            .session(&address, token, now)
            .ok_or_else(bad_session)?;
        check(&request.record_patches)?;
        let claim = self.tokens.claim(session, now).ok_or_else(bad_session)?;
        let (records, count) = self.push(&address, &request.record_patches, now)?;
        claim.keep();
        if let Some(count) = count {
            self.hint(&address, request.device_id.as_ref(), count);
        }
        Ok(UpdateRecordsResponse { records })
    }

    /// Returns the records as they stand then, and the new count if anything changed.
    fn push(
        &self,
        address: &Address,
        patches: &[RecordPatch],
        now: Timestamp,
    ) -> Result<(Vec<Record>, Option<SyncCount>), ApiError> {
        let keys: Vec<RecordKey> = patches.iter().map(|patch| patch.key.clone()).collect();
        for _ in 0..ATTEMPTS {
            let selection = Selection::Keys(&keys);
            let view = self
                .storage
                .read(address, selection)
                .map_err(storage_failed)?;
            let expected = view.head.count;
            let plan = Plan::new(&view, patches, address.owner.identity.as_str(), now)?;
            let Some(push) = plan.push else {
                return Ok((plan.records, None));
            };
            self.check_room(address, &view.head, &push.live)?;
            match self
                .storage
                .append(address, expected, &push)
                .map_err(storage_failed)?
            {
                Swap::Done => return Ok((plan.records, Some(expected.next()))),
                Swap::Moved => {}
            }
        }
        Err(too_many_writers())
    }

    fn check_room(&self, address: &Address, head: &Head, next: &Live) -> Result<(), ApiError> {
        let (records, bytes) = head
            .live
            .as_ref()
            .map_or((0, 0), |live| (live.records, live.bytes));
        let Limits {
            records: most_records,
            bytes: most_bytes,
            datasets,
        } = self.limits;
        grows_over("records", records, next.records, most_records)?;
        grows_over("bytes", bytes, next.bytes, most_bytes)?;
        if head.live.is_none() {
            let others = self.storage.list(&address.owner, None, datasets);
            if others.map_err(storage_failed)?.len() >= datasets {
                return Err(exceeded(format!(
                    "the identity has {datasets} datasets already"
                )));
            }
        }
        Ok(())
    }
}

fn check(patches: &[RecordPatch]) -> Result<(), ApiError> {
    let mut keys = HashSet::with_capacity(patches.len());
    for patch in patches {
        if !keys.insert(&patch.key) {
            return Err(invalid(format!(
                "Key {} is patched more than once",
                patch.key
            )));
        }
        if patch.op == Op::Replace && patch.value.is_none() {
            return Err(invalid(format!("Value for key {} is missing", patch.key)));
        }
    }
    Ok(())
}

fn grows_over(what: &str, now: u64, next: u64, limit: u64) -> Result<(), ApiError> {
    if next > limit && next > now {
        return Err(exceeded(format!(
            "the dataset would have {next} {what}, {limit} are allowed"
        )));
    }
    Ok(())
}

fn exceeded(message: String) -> ApiError {
    ApiError::new(ErrorCode::LimitExceeded, message)
}

/// What an update comes to on a dataset as it stands.
struct Plan {
    /// The patched records as they will stand, in the order of the patches.
    records: Vec<Record>,
    /// What must be written for it: nothing, if no record changes its value.
    push: Option<Push>,
}

impl Plan {
    fn new(
        view: &View,
        patches: &[RecordPatch],
        author: &str,
        now: Timestamp,
    ) -> Result<Self, ApiError> {
        let current: HashMap<&RecordKey, &Record> = view
            .records
            .iter()
            .map(|record| (&record.key, record))
            .collect();
        let count = view.head.count.next();
        let mut live = view.head.live.clone().unwrap_or_else(|| Live {
            created: now,
            modified: now,
            modified_by: String::new(),
            records: 0,
            bytes: 0,
        });
        live.modified = now;
        live.modified_by = author.to_owned();

        let mut records = Vec::with_capacity(patches.len());
        let mut changed = Vec::new();
        for patch in patches {
            let old = current.get(&patch.key).copied();
            check_count(&view.head, old, patch)?;
            let value = patch.value.as_ref().filter(|_| patch.op == Op::Replace);
            if let Some(old) = old.filter(|old| old.value.as_ref() == value) {
                records.push(old.clone());
                continue;
            }
            let record = Record {
                key: patch.key.clone(),
                value: value.cloned(),
                sync_count: count,
                last_modified_date: Some(now),
                last_modified_by: Some(author.to_owned()),
                device_last_modified_date: Some(patch.device_last_modified_date.unwrap_or(now)),
            };
            live.records += u64::from(old.is_none());
            live.bytes = live.bytes.saturating_sub(old.map_or(0, size)) + size(&record);
            records.push(record.clone());
            changed.push(record);
        }
        let push = (!changed.is_empty()).then_some(Push {
            live,
            records: changed,
        });
        Ok(Self { records, push })
    }
}

/// Compares the count that a patch was made on with the record's.
///
/// A key without a record has count zero; a count of the dataset's present life is also taken for
/// it, for nothing that its writer has not seen stands there.
fn check_count(head: &Head, old: Option<&Record>, patch: &RecordPatch) -> Result<(), ApiError> {
    let given = patch.sync_count;
    let current = old.map(|record| record.sync_count).unwrap_or_default();
    let of_this_life = head.deleted_at < given && given <= head.count;
    if given == current || (old.is_none() && of_this_life) {
        return Ok(());
    }
    let key = &patch.key;
    Err(ApiError::new(
        ErrorCode::ResourceConflict,
        format!("Current SyncCount for: {key} is: {current} not: {given}"),
    ))
}

/// A removed record counts only its key.
fn size(record: &Record) -> u64 {
    (record.key.as_str().len() + record.value.as_ref().map_or(0, String::len)) as u64
}
