//! The sync row: what a device must remember of a dataset's exchange with the service, beside the records themselves.
//!
//! JSON, because it is small, read by people who debug, and grows by members; a version that is not known is refused.

use std::collections::BTreeMap;

use driftless_document::{Actor, OpId, mutant};
use driftless_record::{Earlier, Lineage, Predecessor};
use driftless_wire::{RecordKey, SyncCount, Timestamp};
use serde::{Deserialize, Serialize};

use crate::plain::Plain;
use crate::plain_only::SentPlain;
use crate::unsent::{Over, UnsentId};

const VERSION: u32 = 1;

/// What is remembered of one dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SyncRow {
    /// The author of the edits made here.
    pub(crate) actor: Actor,
    /// The highest counter of that author that the service was ever seen to hold.
    pub(crate) own: u32,
    /// The DatasetSyncCount up to which everything was listed.
    pub(crate) count: SyncCount,
    /// The life of the stored dataset that was last seen.
    pub(crate) lineage: Option<Lineage>,
    /// The life that it came from by compaction, as its head said when that could last be read.
    pub(crate) predecessor: Option<Predecessor>,
    /// Pushes that were sent and not refused, until a list or an answer shows them.
    pub(crate) sent: Vec<Sent>,
    /// Creators of objects, and how many generations the service was seen to hold of each in this life: those of which the
    /// mirrored records, being damaged or older, show less. Others may have seen these objects.
    pub(crate) listed: Vec<OpId>,
    /// The lives of the stored dataset that were deleted here and are to be deleted there: at most one of them stands.
    pub(crate) deleting: Vec<Lineage>,
    /// The lives of datasets of merged identities that were deleted here: when they turn up as merged datasets, they go.
    pub(crate) unwanted: Vec<Lineage>,
    /// Whether the dataset is kept as plain records too.
    pub(crate) plain: Plain,
    /// Pushes of plain records that were sent from a plain-only dataset and not refused, until the records tell of them.
    pub(crate) plain_sent: Vec<SentPlain>,
    /// Under whose name plain records are imported, and the highest counter given out under it.
    pub(crate) importer: Option<OpId>,
    /// Over which records edits made here were made by an old client, until a push brings them or there is nothing to bring.
    pub(crate) over: Over,
    /// What was taken of old clients.
    pub(crate) taken: Vec<UnsentId>,
    /// When the last session went well, by this device's clock, and the count that it ended at. It decides nothing.
    pub(crate) synced: Option<Synced>,
}

/// When a dataset was synchronized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Synced {
    /// The time, by this device's clock.
    pub at: Timestamp,
    /// The service's count of the dataset up to which everything is here; 0 if the service has none.
    pub count: SyncCount,
}

/// A push on its way: it may stand or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    /// The highest counter of this device's author in it.
    pub(crate) counter: u32,
    /// The life of the stored dataset that it belongs to, perhaps begun by it.
    pub(crate) lineage: Lineage,
    /// The count of the record with head, if there was one, when it was sent: it can only arrive while that stands.
    pub(crate) upon: Option<SyncCount>,
    /// Objects created here that nobody had seen before it, by creator and generation.
    pub(crate) made: Vec<OpId>,
}

/// Why a row cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RowError {
    /// It is not what this or another version wrote.
    #[error("the sync row is not readable")]
    Unreadable(#[source] serde_json::Error),
    /// A later version wrote it.
    #[error("the sync row has version {0}, this library knows {VERSION}")]
    Version(u32),
    /// An id in it is not 8 bytes in hexadecimal.
    #[error("the sync row holds an id that is none")]
    Id,
}

#[derive(Serialize, Deserialize)]
struct Form {
    version: u32,
    actor: String,
    #[serde(default)]
    own: u32,
    count: SyncCount,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lineage: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    predecessor: Option<PredecessorForm>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    sent: Vec<SentForm>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    listed: Vec<(String, u32)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    deleting: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    unwanted: Vec<String>,
    #[serde(default, skip_serializing_if = "Plain::is_no")]
    plain: Plain,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    plain_sent: Vec<SentPlainForm>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    importer: Option<(String, u32)>,
    #[serde(default, skip_serializing_if = "Over::is_empty")]
    over: Over,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    taken: Vec<String>,
    /// Milliseconds since 1970, and the count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    synced: Option<(i64, SyncCount)>,
}

#[derive(Serialize, Deserialize)]
struct PredecessorForm {
    lineage: String,
    counter: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    earlier: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct SentForm {
    counter: u32,
    lineage: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    upon: Option<SyncCount>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    made: Vec<(String, u32)>,
}

#[derive(Serialize, Deserialize)]
struct SentPlainForm {
    /// Milliseconds since 1970.
    at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lineage: Option<String>,
    texts: BTreeMap<RecordKey, Option<String>>,
}

impl SyncRow {
    pub(crate) const fn new(actor: Actor) -> Self {
        Self {
            actor,
            own: 0,
            count: SyncCount::ZERO,
            lineage: None,
            predecessor: None,
            sent: Vec::new(),
            listed: Vec::new(),
            deleting: Vec::new(),
            unwanted: Vec::new(),
            plain: Plain::No,
            plain_sent: Vec::new(),
            importer: None,
            over: Over::NOTHING,
            taken: Vec::new(),
            synced: None,
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let form = Form {
            version: VERSION,
            actor: hex(self.actor.to_bytes()),
            own: self.own,
            count: self.count,
            lineage: self.lineage.map(|lineage| hex(lineage.to_bytes())),
            predecessor: self.predecessor.as_ref().map(PredecessorForm::of),
            sent: self.sent.iter().map(SentForm::of).collect(),
            listed: match mutant!(ListedForgotten) {
                true => Vec::new(),
                false => write_ids(&self.listed),
            },
            deleting: write_lives(&self.deleting),
            unwanted: write_lives(&self.unwanted),
            plain: self.plain,
            plain_sent: self.plain_sent.iter().map(SentPlainForm::of).collect(),
            importer: self
                .importer
                .map(|id| (hex(id.actor.to_bytes()), id.counter)),
            over: self.over.clone(),
            taken: self.taken.iter().map(|id| hex(id.to_bytes())).collect(),
            synced: self
                .synced
                .map(|synced| (synced.at.as_millis(), synced.count)),
        };
        serde_json::to_vec(&form).expect("a form of texts and numbers is JSON")
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, RowError> {
        let form: Form = serde_json::from_slice(bytes).map_err(RowError::Unreadable)?;
        if form.version != VERSION {
            return Err(RowError::Version(form.version));
        }
        Ok(Self {
            actor: Actor::from_bytes(unhex(&form.actor)?),
            own: form.own,
            count: form.count,
            lineage: form.lineage.as_deref().map(read_life).transpose()?,
            predecessor: form.predecessor.map(PredecessorForm::read).transpose()?,
            sent: form
                .sent
                .into_iter()
                .map(SentForm::read)
                .collect::<Result<_, _>>()?,
            listed: read_ids(&form.listed)?,
            deleting: read_lives(&form.deleting)?,
            unwanted: read_lives(&form.unwanted)?,
            plain: form.plain,
            plain_sent: form
                .plain_sent
                .into_iter()
                .map(SentPlainForm::read)
                .collect::<Result<_, _>>()?,
            importer: read_ids(form.importer.as_slice())?.pop(),
            over: form.over,
            taken: form
                .taken
                .iter()
                .map(|text| unhex(text).map(UnsentId::from_bytes))
                .collect::<Result<_, _>>()?,
            synced: form.synced.map(|(at, count)| Synced {
                at: Timestamp::from_millis(at),
                count,
            }),
        })
    }

    /// Gives later edits another author.
    pub(crate) fn rename(&mut self, actor: Actor) {
        self.actor = actor;
        self.own = 0;
        self.sent.clear();
        // What was not synchronized is written again under the new name.
        self.over.author = None;
    }
}

impl PredecessorForm {
    fn of(predecessor: &Predecessor) -> Self {
        let earlier: Vec<Lineage> = predecessor.earlier.iter().collect();
        Self {
            lineage: hex(predecessor.lineage.to_bytes()),
            counter: predecessor.counter,
            earlier: write_lives(&earlier),
        }
    }

    fn read(self) -> Result<Predecessor, RowError> {
        Ok(Predecessor {
            lineage: read_life(&self.lineage)?,
            counter: self.counter,
            earlier: Earlier::of(read_lives(&self.earlier)?),
        })
    }
}

impl SentForm {
    fn of(sent: &Sent) -> Self {
        Self {
            counter: sent.counter,
            lineage: hex(sent.lineage.to_bytes()),
            upon: sent.upon,
            made: write_ids(&sent.made),
        }
    }

    fn read(self) -> Result<Sent, RowError> {
        Ok(Sent {
            counter: self.counter,
            lineage: Lineage::from_bytes(unhex(&self.lineage)?),
            upon: self.upon,
            made: read_ids(&self.made)?,
        })
    }
}

impl SentPlainForm {
    fn of(sent: &SentPlain) -> Self {
        Self {
            at: sent.at.as_millis(),
            lineage: sent.lineage.map(|lineage| hex(lineage.to_bytes())),
            texts: sent.texts.clone(),
        }
    }

    fn read(self) -> Result<SentPlain, RowError> {
        Ok(SentPlain {
            at: Timestamp::from_millis(self.at),
            lineage: self.lineage.as_deref().map(read_life).transpose()?,
            texts: self.texts,
        })
    }
}

fn write_lives(lives: &[Lineage]) -> Vec<String> {
    lives.iter().map(|life| hex(life.to_bytes())).collect()
}

fn read_lives(texts: &[String]) -> Result<Vec<Lineage>, RowError> {
    texts.iter().map(|text| read_life(text)).collect()
}

fn read_life(text: &str) -> Result<Lineage, RowError> {
    unhex(text).map(Lineage::from_bytes)
}

fn write_ids(ids: &[OpId]) -> Vec<(String, u32)> {
    let form = |id: &OpId| (hex(id.actor.to_bytes()), id.counter);
    ids.iter().map(form).collect()
}

fn read_ids(forms: &[(String, u32)]) -> Result<Vec<OpId>, RowError> {
    let id = |(actor, counter): &(String, u32)| {
        Ok(OpId::new(*counter, Actor::from_bytes(unhex(actor)?)))
    };
    forms.iter().map(id).collect()
}

fn hex(bytes: [u8; 8]) -> String {
    format!("{:016x}", u64::from_be_bytes(bytes))
}

fn unhex(text: &str) -> Result<[u8; 8], RowError> {
    let is_hex = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = is_hex.then(|| u64::from_str_radix(text, 16).ok()).flatten();
    number.map(u64::to_be_bytes).ok_or(RowError::Id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_reads_back() {
        let mut row = SyncRow::new(Actor::random([7; 8]));
        row.count = SyncCount::from(12);
        row.lineage = Some(Lineage::from_bytes([0, 1, 2, 3, 4, 5, 6, 255]));
        row.predecessor = Some(Predecessor {
            lineage: Lineage::from_bytes([5; 8]),
            counter: 6,
            earlier: Earlier::of([[4; 8], [3; 8]].map(Lineage::from_bytes)),
        });
        row.own = 8;
        let made = vec![OpId::new(1, Actor::derived(&[b"a"]))];
        row.sent = vec![Sent {
            counter: 9,
            lineage: Lineage::from_bytes([8; 8]),
            upon: Some(SyncCount::from(11)),
            made,
        }];
        row.listed = vec![OpId::new(3, Actor::derived(&[b"b"]))];
        row.deleting = row.lineage.into_iter().collect();
        row.unwanted = vec![Lineage::from_bytes([9; 8])];
        row.plain = Plain::Retiring;
        row.plain_sent = vec![SentPlain {
            at: Timestamp::from_millis(5),
            lineage: row.lineage,
            texts: [("k".parse().unwrap(), Some("v".to_owned()))].into(),
        }];
        row.importer = Some(OpId::new(4, Actor::random([9; 8])));
        row.over.everything = true;
        let key = "k".parse().unwrap();
        row.over.records.insert(key, SyncCount::from(3));
        row.taken = vec![UnsentId::from_bytes([1; 8])];
        row.synced = Some(Synced {
            at: Timestamp::from_millis(1_790_000_000_000),
            count: SyncCount::from(12),
        });
        assert_eq!(SyncRow::decode(&row.encode()).unwrap(), row);
    }

    #[test]
    fn damaged_or_later_row_is_refused() {
        assert!(matches!(
            SyncRow::decode(b"{"),
            Err(RowError::Unreadable(_))
        ));
        let later = br#"{"version":2,"actor":"0707070707070707","count":0}"#;
        assert!(matches!(SyncRow::decode(later), Err(RowError::Version(2))));
        let odd = br#"{"version":1,"actor":"+707070707070707","count":0}"#;
        assert!(matches!(SyncRow::decode(odd), Err(RowError::Id)));
    }
}
