//! A look over the shoulder of every edit.

use std::fmt::Debug;

use driftless_document::Edit;
use driftless_wire::DatasetName;

/// Sees every edit that a client makes, as operations with their ids, after it is durable.
///
/// With a [`Reference`](driftless_document::Reference) behind it, what all devices show can be
/// compared with one automerge document that got every edit ever made; the demonstration and the
/// simulator do. It is called while the dataset is locked: it must be quick and must not call the
/// client.
///
/// In a [plain](crate::Dataset::is_plain) dataset it is not told of an import of an old client's
/// record whose push stands without its answer: later edits may refer to operations that it never saw.
pub trait Recorder: Debug + Send + Sync {
    /// Takes note of an edit.
    fn record(&self, dataset: &DatasetName, edit: &Edit);

    /// Takes note of what a session wrote again under other ids, since what stands at the service is another life of the
    /// dataset or contradicts this device, or of what it imported for an old client. It is an edit like others.
    fn record_again(&self, dataset: &DatasetName, edit: &Edit) {
        self.record(dataset, edit);
    }
}
