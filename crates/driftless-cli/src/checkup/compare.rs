//! What the service holds, compared with what this device had synchronized: which of the two knows more.

use std::collections::BTreeMap;

use driftless::Dataset;
use driftless::document::{Document, State};
use driftless_record::{Stored, text_of};
use driftless_wire::{Record, RecordKey};

use super::{Checkup, Severity, has_reserved};

/// Compares what stands at the service with a dataset of the store.
pub(super) fn compare(
    checkup: &mut Checkup,
    dataset: &Dataset,
    stored: Option<&Stored>,
    records: &BTreeMap<RecordKey, Record>,
) {
    if dataset.is_plain_only() {
        return compare_records(checkup, dataset, records);
    }
    // What was never synchronized has nothing to be compared with.
    let Some(known) = dataset.lineage() else {
        return;
    };
    match stored {
        // What is damaged is told already.
        Some(stored) if stored.needs_repair() => {}
        Some(stored) if stored.lineage() != known => checkup.find(
            Severity::Note,
            "the service has another life of it than this device synchronized: it was compacted, or deleted and begun anew",
            "the next synchronization goes on with that one, and writes onto it what was edited here since",
        ),
        Some(stored) => compare_states(checkup, dataset, stored.state()),
        None if !has_reserved(records) => checkup.find(
            Severity::Note,
            "the service does not have it any more, which this device synchronized: it was deleted, or the service lost it",
            "the next synchronization takes it for deleted, and keeps only what was edited here since; if that is not meant, \
             export it first",
        ),
        None => {}
    }
}

fn compare_states(checkup: &mut Checkup, dataset: &Dataset, stored: &State) {
    let local = dataset.state();
    let has_more = |this: &State, that: &State| {
        let mut clock = this.clock().iter();
        clock.any(|(actor, counter)| that.seen_from(*actor) < *counter)
    };
    if has_more(stored, &local) {
        note_news(checkup);
    }
    // Edits that wait are missing there, and rightly.
    if !dataset.has_unsynced() && has_more(&local, stored) {
        checkup.find(
            Severity::Repairable,
            "what this device had synchronized is missing: the service was taken back to an earlier moment, or lost it",
            "it is safe here, and the next synchronization of this device writes it there again",
        );
    }
}

/// Compares the records of a dataset that has no state at the service.
fn compare_records(
    checkup: &mut Checkup,
    dataset: &Dataset,
    records: &BTreeMap<RecordKey, Record>,
) {
    let (state, unsynced) = (dataset.state(), dataset.unsynced_keys());
    let is_news = |(key, record): (&RecordKey, &Record)| {
        let shown = state.get(key.as_str()).as_ref().and_then(text_of);
        // What no dataset can have as a key stays a record.
        let is_key = Document::is_key(key.as_str());
        is_key && record.value != shown && !unsynced.contains(key.as_str())
    };
    if records.iter().any(is_news) {
        note_news(checkup);
    }
}

fn note_news(checkup: &mut Checkup) {
    checkup.find(
        Severity::Note,
        "others wrote there what this device does not have yet",
        "the next synchronization brings it",
    );
}
