//! Recorded editing sessions: what somebody typed, keystroke by keystroke, and the text it came to.
//!
//! The files are gzipped or plain JSON of two kinds, as the public collection `editing-traces` has
//! them. A **sequential** one has `startContent`, `endContent` and `txns` of `patches`; a
//! **concurrent** one has `kind` "concurrent", `numAgents`, and says per transaction who made it
//! (`agent`) and on the merge of which earlier transactions (`parents`). A patch is `[position,
//! deleted, inserted]` in Unicode code points; patches of a transaction apply one after the other.
//!
//! The reader takes any bytes: it never panics, reads no more than [`MAX_FILE_BYTES`], inflates no
//! more than [`MAX_TEXT_BYTES`] and [`MAX_RATIO`] allow, and says which transaction is wrong. What it returns is checked as
//! far as it can be without merging: parents come before their children, agents exist, and the
//! patches of a sequential trace lie in the text. Whether a patch of a concurrent one does shows when
//! its graph is merged (`graph.rs`).

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// How long a file may be; the longest of the collection has about 1 MB.
pub const MAX_FILE_BYTES: usize = 16 * 1024 * 1024;

/// How long the JSON in a file may be; the longest of the collection has 16 MB.
pub const MAX_TEXT_BYTES: usize = 64 * 1024 * 1024;

/// How many times its own length a file may inflate to; the collection has 18 at most, and deflate can
/// make a thousand of one.
pub const MAX_RATIO: usize = 64;

/// A file may always inflate to so many bytes.
const SMALL_TEXT_BYTES: usize = 1024 * 1024;

/// How many agents a concurrent trace may have: one device is opened for each.
pub const MAX_AGENTS: usize = 64;

/// A recorded editing session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trace {
    /// One hand after the other.
    Sequential(Sequential),
    /// Several at once, with the graph of who had seen what.
    Concurrent(Concurrent),
}

/// A session in which every transaction builds on the one before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequential {
    /// The text before the first transaction.
    pub start: String,
    /// The text after the last.
    pub end: String,
    /// What each transaction changed; every patch lies in the text it meets.
    pub transactions: Vec<Vec<Patch>>,
}

/// A session of several agents, each transaction on the merge of its parents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Concurrent {
    /// The text when everything is merged; it begins empty.
    pub end: String,
    /// How many agents there are; from 1 to [`MAX_AGENTS`].
    pub agents: usize,
    /// The transactions, parents before their children.
    pub transactions: Vec<Transaction>,
}

/// A transaction of a concurrent session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// The transactions that its author had seen, by index; what those had seen is included.
    pub parents: Vec<usize>,
    /// Who made it; less than [`Concurrent::agents`].
    pub agent: usize,
    /// What it changed.
    pub patches: Vec<Patch>,
}

/// A change at one place of a text, in Unicode code points.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Patch(
    /// Where.
    pub usize,
    /// How many code points are removed there.
    pub usize,
    /// What is inserted in their place.
    pub String,
);

/// Why a file is no trace.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The place.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is longer than any trace.
    #[error("a trace has at most {MAX_FILE_BYTES} bytes")]
    FileTooLong,
    /// The file begins like gzip and is not, or ends too early.
    #[error("the file cannot be inflated")]
    Gzip(#[source] io::Error),
    /// The file inflates to more than any trace.
    #[error("a trace inflates to at most {MAX_RATIO} times its length, and {MAX_TEXT_BYTES} bytes")]
    TextTooLong,
    /// The content is not JSON, or a member beside the transactions is missing or of another type.
    #[error("the trace is not JSON of the expected form")]
    Json(#[source] serde_json::Error),
    /// A transaction has not the expected form.
    #[error("transaction {transaction} is malformed")]
    Malformed {
        /// Which one, from 0.
        transaction: usize,
        /// What is the matter; its line and column count from the transaction's first character.
        source: serde_json::Error,
    },
    /// A transaction of a concurrent trace does not say by whom or on what it was made.
    #[error("transaction {transaction} has no parents or no agent")]
    Incomplete {
        /// Which one, from 0.
        transaction: usize,
    },
    /// The trace is of a kind that is not known.
    #[error("a trace of kind {0:?} is not known")]
    Kind(String),
    /// A concurrent trace begins with text, which belongs to no agent.
    #[error("a concurrent trace has no start content")]
    StartContent,
    /// A concurrent trace has no agents, or more than can be replayed.
    #[error("a concurrent trace has 1 to {MAX_AGENTS} agents, not {0}")]
    Agents(usize),
    /// A transaction is by an agent that is not there.
    #[error("transaction {transaction} is by agent {agent} of {agents}")]
    Agent {
        /// Which one, from 0.
        transaction: usize,
        /// Who made it.
        agent: usize,
        /// How many agents there are.
        agents: usize,
    },
    /// A transaction builds on one that does not come before it.
    #[error("transaction {transaction} builds on {parent}, which does not come before it")]
    Parent {
        /// Which one, from 0.
        transaction: usize,
        /// What it builds on.
        parent: usize,
    },
    /// A patch lies behind the end of the text.
    #[error("transaction {transaction} changes characters {at} to {end} of {len}")]
    OutOfRange {
        /// Which one, from 0.
        transaction: usize,
        /// The first character.
        at: usize,
        /// Behind the last character.
        end: usize,
        /// How many characters the text has.
        len: usize,
    },
}

impl Trace {
    /// Reads a trace from a file, gzipped or not.
    ///
    /// # Errors
    ///
    /// [`TraceError`].
    pub fn read(path: &Path) -> Result<Self, TraceError> {
        let failed = |source| TraceError::Read {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(failed)?;
        let bytes = read_up_to(file, MAX_FILE_BYTES).map_err(failed)?;
        Self::from_bytes(&bytes.ok_or(TraceError::FileTooLong)?)
    }

    /// Reads a trace from the bytes of a file, gzipped or not; any bytes may be given.
    ///
    /// # Errors
    ///
    /// [`TraceError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TraceError> {
        let text = match bytes {
            [0x1f, 0x8b, ..] => {
                let limit = bytes.len().saturating_mul(MAX_RATIO).max(SMALL_TEXT_BYTES);
                let text = read_up_to(MultiGzDecoder::new(bytes), limit.min(MAX_TEXT_BYTES));
                Cow::Owned(
                    text.map_err(TraceError::Gzip)?
                        .ok_or(TraceError::TextTooLong)?,
                )
            }
            plain if plain.len() > MAX_TEXT_BYTES => return Err(TraceError::TextTooLong),
            plain => Cow::Borrowed(plain),
        };
        let file: TraceFile = serde_json::from_slice(&text).map_err(TraceError::Json)?;
        match file.kind.as_deref() {
            None | Some("sequential") => file.into_sequential().map(Self::Sequential),
            Some("concurrent") => file.into_concurrent().map(Self::Concurrent),
            Some(other) => Err(TraceError::Kind(other.to_owned())),
        }
    }

    /// Returns the text when everything is done.
    #[must_use]
    pub fn end(&self) -> &str {
        match self {
            Self::Sequential(trace) => &trace.end,
            Self::Concurrent(trace) => &trace.end,
        }
    }

    /// Returns the number of transactions.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Sequential(trace) => trace.transactions.len(),
            Self::Concurrent(trace) => trace.transactions.len(),
        }
    }

    /// Tells whether nothing was typed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Returns all bytes, or `None` if there are more than `limit`.
fn read_up_to(source: impl Read, limit: usize) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    source.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() <= limit).then_some(bytes))
}

/// The members of a file, of both kinds.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TraceFile {
    kind: Option<String>,
    #[serde(default)]
    start_content: String,
    end_content: String,
    #[serde(default)]
    num_agents: usize,
    txns: Transactions,
}

#[derive(Deserialize)]
struct TransactionFile {
    parents: Option<Vec<usize>>,
    agent: Option<usize>,
    patches: Vec<Patch>,
}

impl TraceFile {
    fn into_sequential(self) -> Result<Sequential, TraceError> {
        let transactions: Vec<_> = self.txns.0?.into_iter().map(|txn| txn.patches).collect();
        let mut len = self.start_content.chars().count();
        for (transaction, patches) in transactions.iter().enumerate() {
            for Patch(at, deleted, inserted) in patches {
                let end = at.saturating_add(*deleted);
                if end > len {
                    return Err(TraceError::OutOfRange {
                        transaction,
                        at: *at,
                        end,
                        len,
                    });
                }
                len = len - deleted + inserted.chars().count();
            }
        }
        Ok(Sequential {
            start: self.start_content,
            end: self.end_content,
            transactions,
        })
    }

    fn into_concurrent(self) -> Result<Concurrent, TraceError> {
        let agents = self.num_agents;
        if !self.start_content.is_empty() {
            return Err(TraceError::StartContent);
        }
        if !(1..=MAX_AGENTS).contains(&agents) {
            return Err(TraceError::Agents(agents));
        }
        let mut transactions = Vec::new();
        for (
            transaction,
            TransactionFile {
                parents,
                agent,
                patches,
            },
        ) in self.txns.0?.into_iter().enumerate()
        {
            let (Some(parents), Some(agent)) = (parents, agent) else {
                return Err(TraceError::Incomplete { transaction });
            };
            if agent >= agents {
                return Err(TraceError::Agent {
                    transaction,
                    agent,
                    agents,
                });
            }
            if let Some(&parent) = parents.iter().find(|parent| **parent >= transaction) {
                return Err(TraceError::Parent {
                    transaction,
                    parent,
                });
            }
            transactions.push(Transaction {
                parents,
                agent,
                patches,
            });
        }
        Ok(Concurrent {
            end: self.end_content,
            agents,
            transactions,
        })
    }
}

/// All transactions, or which one is malformed: serde's own error would not say.
struct Transactions(Result<Vec<TransactionFile>, TraceError>);

impl<'de> Deserialize<'de> for Transactions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(TransactionsVisitor).map(Self)
    }
}

struct TransactionsVisitor;

impl<'de> Visitor<'de> for TransactionsVisitor {
    type Value = Result<Vec<TransactionFile>, TraceError>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array of transactions")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self::Value, A::Error> {
        let mut transactions = Vec::new();
        while let Some(raw) = array.next_element::<&RawValue>()? {
            match serde_json::from_str(raw.get()) {
                Ok(transaction) => transactions.push(transaction),
                Err(source) => {
                    while array.next_element::<IgnoredAny>()?.is_some() {}
                    let transaction = transactions.len();
                    return Ok(Err(TraceError::Malformed {
                        transaction,
                        source,
                    }));
                }
            }
        }
        Ok(Ok(transactions))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn refused(text: &str) -> String {
        Trace::from_bytes(text.as_bytes()).unwrap_err().to_string()
    }

    fn concurrent(agents: usize, txns: &str) -> String {
        format!(r#"{{"kind":"concurrent","endContent":"","numAgents":{agents},"txns":[{txns}]}}"#)
    }

    fn sequential(txns: &str) -> String {
        format!(r#"{{"startContent":"añ😀","endContent":"","txns":[{txns}]}}"#)
    }

    #[test]
    fn gzipped_and_plain_files_are_the_same_trace() {
        let text = sequential(r#"{"time":"x","patches":[[3,0,"b"],[0,4,""]]}"#);
        let plain = Trace::from_bytes(text.as_bytes()).unwrap();
        assert_eq!(Trace::from_bytes(&gzip(&text)).unwrap(), plain);
        let Trace::Sequential(trace) = plain else {
            panic!("it has no kind")
        };
        assert_eq!(trace.transactions[0][1], Patch(0, 4, String::new()));
    }

    #[test]
    fn positions_count_code_points() {
        assert!(Trace::from_bytes(sequential(r#"{"patches":[[3,0,""]]}"#).as_bytes()).is_ok());
        assert_eq!(
            refused(&sequential(
                r#"{"patches":[]},{"patches":[[3,0,"é"],[3,2,""]]}"#
            )),
            "transaction 1 changes characters 3 to 5 of 4"
        );
        let far = format!(r#"{{"patches":[[{0},{0},""]]}}"#, usize::MAX);
        assert!(refused(&sequential(&far)).starts_with("transaction 0 changes"));
    }

    #[test]
    fn malformed_transaction_is_named() {
        let text = sequential(r#"{"patches":[]},{"patches":[[0,-1,""]]},7"#);
        assert_eq!(refused(&text), "transaction 1 is malformed");
    }

    #[test]
    fn graph_points_backwards_and_to_agents_that_exist() {
        let check = |agents, txns, expected: &str| {
            assert_eq!(refused(&concurrent(agents, txns)), expected);
        };
        check(0, "", "a concurrent trace has 1 to 64 agents, not 0");
        check(
            1,
            r#"{"parents":[0],"agent":0,"patches":[]}"#,
            "transaction 0 builds on 0, which does not come before it",
        );
        check(
            2,
            r#"{"parents":[],"agent":2,"patches":[]}"#,
            "transaction 0 is by agent 2 of 2",
        );
    }

    #[test]
    fn every_shorter_prefix_is_an_error() {
        let text = concurrent(1, r#"{"parents":[],"agent":0,"patches":[[0,0,"é"]]}"#);
        let zipped = gzip(&text);
        for bytes in [text.as_bytes(), &zipped] {
            assert!(Trace::from_bytes(bytes).is_ok());
            for end in 0..bytes.len() {
                assert!(Trace::from_bytes(&bytes[..end]).is_err(), "{end}");
            }
        }
    }

    #[test]
    fn file_that_inflates_without_end_is_refused() {
        let bytes = gzip(&" ".repeat(MAX_TEXT_BYTES + 1));
        assert!(matches!(
            Trace::from_bytes(&bytes),
            Err(TraceError::TextTooLong)
        ));
    }

    #[test]
    fn file_that_inflates_to_much_more_than_it_has_is_refused() {
        let text = |len: usize| sequential(&format!(r#"{{"patches":[]}}{}"#, " ".repeat(len)));
        let small = gzip(&text(SMALL_TEXT_BYTES / 2));
        assert!(small.len() * MAX_RATIO < SMALL_TEXT_BYTES / 2);
        assert!(Trace::from_bytes(&small).is_ok(), "a small one may");
        assert!(matches!(
            Trace::from_bytes(&gzip(&text(SMALL_TEXT_BYTES))),
            Err(TraceError::TextTooLong)
        ));
    }

    #[test]
    fn deep_nesting_is_an_error_and_no_overflow() {
        let deep = "[".repeat(1_000_000);
        assert!(Trace::from_bytes(deep.as_bytes()).is_err());
        assert!(refused(&sequential(&deep)).contains("not JSON"));
        let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(refused(&sequential(&nested)), "transaction 0 is malformed");
    }
}
