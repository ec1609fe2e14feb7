//! What is wrong with a stored dataset, from its records and what this device knows of it: nothing here writes.
//!
//! The engine repairs what it finds damaged with the next push of a device that knows the dataset, so most findings end in the
//! advice to synchronize. What it refuses to touch, it refuses for a reason, which is told.

use std::collections::BTreeMap;

use driftless::Dataset;
use driftless_record::{Frame, FrameError, Limits, ReadError, Stored, is_reserved, text_of};
use driftless_wire::{DatasetName, IdentityId, Record, RecordKey, SyncCount};

use crate::migration::{Service, ServiceError};

mod compare;

/// How much a finding matters.
///
/// Closed: whoever reads it decides by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing is wrong; somebody may want to know.
    Note,
    /// Something is damaged, and the next synchronization repairs it.
    Repairable,
    /// Something is damaged that no synchronization of this version touches.
    Broken,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// What was found.
    pub what: String,
    /// What is safe all the same, and what to do.
    pub advice: &'static str,
}

impl Finding {
    /// Returns a finding.
    #[must_use]
    pub fn new(severity: Severity, what: impl Into<String>, advice: &'static str) -> Self {
        Self {
            severity,
            what: what.into(),
            advice,
        }
    }
}

/// What the service holds of a dataset.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Checkup {
    /// The records, tombstones included.
    pub records: usize,
    /// The bytes of keys and values.
    pub bytes: usize,
    /// The records with a value that belong to Driftless.
    pub reserved: usize,
    /// The records with a value that old clients read.
    pub plain: usize,
    /// What was found.
    pub findings: Vec<Finding>,
}

const SYNC: &str =
    "a device that knows the dataset repairs it when it synchronizes; what devices hold is safe";

impl Checkup {
    /// Returns how much the worst finding matters.
    #[must_use]
    pub fn worst(&self) -> Severity {
        let severities = self.findings.iter().map(|finding| finding.severity);
        severities.max().unwrap_or(Severity::Note)
    }

    fn find(&mut self, severity: Severity, what: impl Into<String>, advice: &'static str) {
        self.findings.push(Finding::new(severity, what, advice));
    }
}

/// Lists a dataset at a service, examines it, and compares it with that of the store, if there is one.
///
/// # Errors
///
/// [`ServiceError`] if it cannot be listed.
pub async fn examine(
    service: &Service,
    identity: &IdentityId,
    name: &DatasetName,
    limits: &Limits,
    local: Option<&Dataset>,
) -> Result<Checkup, ServiceError> {
    let listed = service.records(identity, name).await?;
    Ok(examine_records(&listed.records, limits, local))
}

/// Examines the records of a dataset.
fn examine_records(
    records: &BTreeMap<RecordKey, Record>,
    limits: &Limits,
    local: Option<&Dataset>,
) -> Checkup {
    let mut checkup = Checkup {
        records: records.len(),
        ..Checkup::default()
    };
    let (mut values, mut damaged) = (Vec::new(), Vec::new());
    for (key, record) in records {
        let value = record.value.as_deref();
        checkup.bytes += key.as_str().len() + value.map_or(0, str::len);
        let Some(value) = value else { continue };
        if !is_reserved(key.as_str()) {
            checkup.plain += 1;
            continue;
        }
        checkup.reserved += 1;
        if let Err(error) = Frame::decode(value) {
            damaged.push((key, error));
        }
        values.push((key.as_str(), value));
    }
    examine_room(&mut checkup, limits);
    let read = driftless_record::read(values, limits, None);
    let is_stale = matches!(&read, Ok(Some(stored)) if !stored.needs_repair());
    for (key, error) in damaged {
        examine_frame(&mut checkup, key, &error, is_stale);
    }
    if let (Some(local), Ok(stored)) = (local, &read) {
        compare::compare(&mut checkup, local, stored.as_ref(), records);
    }
    match read {
        Ok(Some(stored)) => examine_state(&mut checkup, &stored, records),
        Ok(None) => examine_nothing(&mut checkup, records),
        // Told already, record by record.
        Err(ReadError::Version { .. }) => {}
        Err(ReadError::Unreadable { .. }) => checkup.find(
            Severity::Broken,
            "no reserved record tells which life of the dataset it is",
            "a device that synchronized it before repairs it; one that did not must not, and is refused",
        ),
        Err(error) => checkup.find(
            Severity::Broken,
            error.to_string(),
            "nothing is written there; look who writes so much, or raise the limits of the devices",
        ),
    }
    checkup
}

fn examine_frame(checkup: &mut Checkup, key: &RecordKey, error: &FrameError, is_stale: bool) {
    let what = format!("{key}: {error}");
    match error {
        FrameError::Version(_) => checkup.find(
            Severity::Broken,
            what,
            "a later version wrote it; update this one, which writes nothing there until then",
        ),
        _ if is_stale => checkup.find(
            Severity::Note,
            what,
            "nothing is read from there any more; the push that next needs it overwrites it",
        ),
        _ => checkup.find(Severity::Repairable, what, SYNC),
    }
}

fn examine_room(checkup: &mut Checkup, limits: &Limits) {
    let (bytes, most) = (checkup.bytes, limits.dataset_bytes());
    if bytes > limits.warn_bytes() {
        let what = format!("the records take {bytes} of {most} bytes");
        let advice = "remove something, or compact it; what does not fit stays on its device";
        checkup.find(Severity::Note, what, advice);
    }
    let (records, most) = (checkup.records, limits.records());
    if records > most / 100 * 85 {
        let what = format!("there are {records} of {most} records, tombstones included");
        let advice =
            "old clients leave a tombstone for each key; only deleting the dataset takes them away";
        checkup.find(Severity::Note, what, advice);
    }
}

fn examine_nothing(checkup: &mut Checkup, records: &BTreeMap<RecordKey, Record>) {
    if has_reserved(records) {
        let what = "all reserved records were removed";
        checkup.find(Severity::Repairable, what, SYNC);
    } else if checkup.plain > 0 {
        let what = "there are only plain records, of old clients";
        let advice = "the first device that synchronizes it adopts them, and keeps them as plain records too; without room for that it reads and writes them alone";
        checkup.find(Severity::Note, what, advice);
    }
}

/// Tells whether reserved records stand there or were removed.
fn has_reserved(records: &BTreeMap<RecordKey, Record>) -> bool {
    records.keys().any(|key| is_reserved(key.as_str()))
}

fn examine_state(checkup: &mut Checkup, stored: &Stored, records: &BTreeMap<RecordKey, Record>) {
    if stored.head().is_none() {
        let what = "head is missing or cannot be read";
        checkup.find(Severity::Repairable, what, SYNC);
    }
    if stored.tip().is_none() {
        let what = "no base is complete, so that nothing of the state can be read";
        checkup.find(Severity::Repairable, what, SYNC);
    }
    if stored.lacks_pushes() {
        let what = "the chain has a hole: pushes that head speaks of cannot be read";
        let advice = "what they brought comes back from the devices that made or saw them, when these synchronize";
        checkup.find(Severity::Repairable, what, advice);
    } else if stored.needs_repair() && checkup.worst() < Severity::Repairable {
        let what = "a push was torn: what is stored is not what head says";
        checkup.find(Severity::Repairable, what, SYNC);
    }
    if stored.head().is_some_and(|head| head.mended) {
        let what = "it was damaged and mended before, or what it was compacted from was";
        let advice = "what a device has that did not synchronize since comes back with it";
        checkup.find(Severity::Note, what, advice);
    }
    examine_plain(checkup, stored, records);
}

/// Compares the plain records with the state that they should show.
fn examine_plain(checkup: &mut Checkup, stored: &Stored, records: &BTreeMap<RecordKey, Record>) {
    let Some(head) = stored.head() else { return };
    if !head.plain {
        if checkup.plain > 0 {
            let what = format!("{} plain records stand where none are kept", checkup.plain);
            let advice = "old clients wrote them, or they are being given up; no device reads them";
            checkup.find(Severity::Note, what, advice);
        }
        return;
    }
    let state = stored.state();
    let shown = |key: &RecordKey| state.get(key.as_str()).as_ref().and_then(text_of);
    let (mut foreign, mut lagging) = (0, 0);
    let mut note = |count: SyncCount| match count > head.seen {
        true => foreign += 1,
        false => lagging += 1,
    };
    for (key, record) in records.iter().filter(|(key, _)| !is_reserved(key.as_str())) {
        if record.value != shown(key) {
            note(record.sync_count);
        }
    }
    let is_missing = |key: &&str| {
        let has_text = state.get(key).as_ref().and_then(text_of).is_some();
        let key = RecordKey::try_from(*key);
        has_text && key.is_ok_and(|key| !records.contains_key(&key))
    };
    lagging += state.keys().filter(is_missing).count();
    if foreign > 0 {
        let what =
            format!("{foreign} plain records were written by old clients since the last push");
        let advice = "the next device that synchronizes takes them as edits";
        checkup.find(Severity::Note, what, advice);
    }
    if lagging > 0 {
        let what = format!("{lagging} plain records do not show what is stored");
        let advice = "old clients see old data until a device synchronizes; the data are safe";
        checkup.find(Severity::Repairable, what, advice);
    }
}

#[cfg(test)]
mod tests {
    use driftless_record::HEAD_KEY;

    use super::*;

    fn records(records: &[(&str, Option<&str>)]) -> BTreeMap<RecordKey, Record> {
        let record = |(key, value): &(&str, Option<&str>)| {
            let object = serde_json::json!({ "Key": key, "Value": value, "SyncCount": 1 });
            let record: Record = serde_json::from_value(object).unwrap();
            (record.key.clone(), record)
        };
        records.iter().map(record).collect()
    }

    #[track_caller]
    fn check(found: &[(&str, Option<&str>)], severity: Severity, what: &str) {
        let checkup = examine_records(&records(found), &Limits::default(), None);
        let told = checkup.findings.iter().map(|finding| &finding.what);
        assert_eq!(checkup.worst(), severity, "{checkup:?}");
        assert!(
            told.into_iter().any(|told| told.contains(what)),
            "{checkup:?}"
        );
    }

    #[test]
    fn what_is_no_state_is_told_apart() {
        let nothing = examine_records(&BTreeMap::new(), &Limits::default(), None);
        assert!(nothing.findings.is_empty());
        check(&[("a", Some("1"))], Severity::Note, "only plain records");
        check(&[(HEAD_KEY, None)], Severity::Repairable, "were removed");
        let garbage = [(HEAD_KEY, Some("garbage"))];
        check(&garbage, Severity::Broken, "which life");
        let large = "x".repeat(800_000);
        check(
            &[("a", Some(large.as_str()))],
            Severity::Note,
            "of 1000000 bytes",
        );
    }
}
