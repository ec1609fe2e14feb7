//! A concurrent trace, merged from its graph: each transaction is an edit on the join of its parents'
//! states, and at the end all are joined.
//!
//! The transactions fall into **chains**: in a chain everyone has seen the one before, so that one
//! document, with one actor, can make them all. Most agents are one chain; one that went back and
//! typed on an older version is several. A document joins what its next transaction has seen and its
//! chain has not, which a device does when it syncs; no server, record or delta takes part here.
//!
//! The merge also yields the **flat** order: the same transactions as patches of one text, for whoever
//! replays them through a service. There a device that syncs sees all that was pushed, so that the
//! graph itself cannot be replayed.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use driftless::document::{self, Actor, Document, EditError, Reference, State};

use crate::trace::{Concurrent, Patch, Transaction};

/// The key of the text in the documents.
const KEY: &str = "text";

/// A concurrent trace that was merged, and what it took.
#[derive(Clone, Debug)]
pub struct Merged {
    /// The text of the joined state.
    pub text: String,
    /// The text of plain automerge, which got every edit and forgot nothing.
    pub reference: String,
    /// The same transactions, in the same order, as patches of one text that end in `text`.
    pub flat: Vec<Flat>,
    /// What each transaction took, without the joins before it.
    pub edits: Vec<Edit>,
    /// How many transactions have several parents.
    pub merges: usize,
    /// How many transactions have several children.
    pub forks: usize,
    /// How many documents, each with an actor of its own, made the edits.
    pub documents: usize,
}

/// A transaction of the flat order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flat {
    /// Who made it.
    pub agent: usize,
    /// What it changes in the text that all before it left.
    pub patches: Vec<Patch>,
}

/// What one transaction took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The time of its edits.
    pub took: Duration,
    /// Whether a join came right before it, after which caches are cold.
    pub joined: bool,
}

/// Why a graph cannot be merged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("transaction {transaction} does not fit its parents")]
pub struct GraphError {
    /// Which transaction, from 0.
    pub transaction: usize,
    /// What is the matter with its patches.
    pub source: EditError,
}

/// Merges a trace; `progress` hears of each transaction that was done.
///
/// Memory is a document per chain and a state per transaction that a child on another chain still
/// waits for: as many as there were branches at once.
///
/// # Errors
///
/// [`GraphError`] if a patch lies behind the end of the text that its parents left.
pub fn merge(trace: &Concurrent, mut progress: impl FnMut()) -> Result<Merged, GraphError> {
    let plan = Plan::of(&trace.transactions);
    let mut merging = Merging::new(&plan);
    for (index, transaction) in trace.transactions.iter().enumerate() {
        let failed = |source| GraphError {
            transaction: index,
            source,
        };
        merging.transaction(index, transaction).map_err(failed)?;
        progress();
    }
    Ok(merging.finish(&trace.transactions))
}

/// Which chain makes which transaction.
struct Plan {
    chain_of: Vec<usize>,
    chains: usize,
    /// Per transaction how many children on other chains need its state.
    awaited: Vec<usize>,
    /// Per transaction whether its parents had seen all that comes before it in the file.
    saw_all: Vec<bool>,
}

impl Plan {
    fn of(transactions: &[Transaction]) -> Self {
        let mut plan = Self {
            chain_of: Vec::with_capacity(transactions.len()),
            chains: 0,
            awaited: vec![0; transactions.len()],
            saw_all: Vec::with_capacity(transactions.len()),
        };
        let mut children = vec![0; transactions.len()];
        for parent in transactions
            .iter()
            .flat_map(|transaction| &transaction.parents)
        {
            children[*parent] += 1;
        }
        // Per transaction that still has children to come: how many of each chain it has seen.
        let mut seen: HashMap<usize, Vec<usize>> = HashMap::new();
        // Per chain: its agent and its length.
        let mut chains: Vec<(usize, usize)> = Vec::new();
        for (index, transaction) in transactions.iter().enumerate() {
            let mut knows = vec![0; chains.len()];
            for parent in &transaction.parents {
                for (known, also) in knows.iter_mut().zip(&seen[parent]) {
                    *known = (*known).max(*also);
                }
                children[*parent] -= 1;
                if children[*parent] == 0 {
                    seen.remove(parent);
                }
            }
            plan.saw_all.push(knows.iter().sum::<usize>() == index);
            let agent = transaction.agent;
            let continued = (0..chains.len()).find(|at| chains[*at] == (agent, knows[*at]));
            let chain = continued.unwrap_or_else(|| {
                chains.push((agent, 0));
                knows.push(0);
                chains.len() - 1
            });
            chains[chain].1 += 1;
            knows[chain] = chains[chain].1;
            plan.chain_of.push(chain);
            for parent in &transaction.parents {
                plan.awaited[*parent] += usize::from(plan.chain_of[*parent] != chain);
            }
            if children[index] > 0 {
                seen.insert(index, knows);
            }
        }
        plan.chains = chains.len();
        plan
    }
}

/// The documents of all chains on their way through the trace.
struct Merging<'a> {
    plan: &'a Plan,
    documents: Vec<Document>,
    /// States that children on other chains wait for, and how many do.
    states: HashMap<usize, (State, usize)>,
    /// All edits, in an order in which each comes after those it builds on.
    recorded: document::Edit,
    line: Line,
    flat: Vec<Flat>,
    edits: Vec<Edit>,
}

impl<'a> Merging<'a> {
    fn new(plan: &'a Plan) -> Self {
        let actor = |chain: usize| Actor::random((chain as u64 + 1).to_be_bytes());
        Self {
            plan,
            documents: (0..plan.chains)
                .map(|chain| Document::new("trace", actor(chain)))
                .collect(),
            states: HashMap::new(),
            recorded: document::Edit::default(),
            line: Line::default(),
            flat: Vec::new(),
            edits: Vec::new(),
        }
    }

    fn transaction(&mut self, index: usize, transaction: &Transaction) -> Result<(), EditError> {
        let chain = self.plan.chain_of[index];
        let saw_all = self.plan.saw_all[index];
        let joined = self.join_parents(chain, &transaction.parents);
        if !saw_all {
            self.line.part(&self.documents);
        }
        let document = &mut self.documents[chain];
        let mut took = Duration::ZERO;
        for Patch(at, delete, insert) in &transaction.patches {
            let started = Instant::now();
            let edit = document.splice_text(KEY, *at, *delete, insert, 0)?;
            took += started.elapsed();
            self.recorded.append(edit);
        }
        self.edits.push(Edit { took, joined });
        let patches = if saw_all {
            self.line.follow(chain, &transaction.patches);
            transaction.patches.clone()
        } else {
            self.line.take_in(document.state())
        };
        self.flat.push(Flat {
            agent: transaction.agent,
            patches,
        });
        let awaited = self.plan.awaited[index];
        if awaited > 0 {
            self.states
                .insert(index, (document.state().clone(), awaited));
        }
        Ok(())
    }

    /// Joins what a chain has not seen of some transactions, and tells whether there was any.
    fn join_parents(&mut self, chain: usize, parents: &[usize]) -> bool {
        let mut joined = false;
        for parent in parents
            .iter()
            .filter(|parent| self.plan.chain_of[**parent] != chain)
        {
            let (state, awaited) = self
                .states
                .get_mut(parent)
                .expect("a child still waits for it");
            joined |= !self.documents[chain].join(state).is_empty();
            *awaited -= 1;
            if *awaited == 0 {
                self.states.remove(parent);
            }
        }
        joined
    }

    fn finish(self, transactions: &[Transaction]) -> Merged {
        let joined = self
            .documents
            .iter()
            .fold(State::new(), |joined, document| {
                joined.join(document.state())
            });
        let mut children = vec![0; transactions.len()];
        for parent in transactions
            .iter()
            .flat_map(|transaction| &transaction.parents)
        {
            children[*parent] += 1;
        }
        let mut reference = Reference::new();
        reference.record(&self.recorded);
        Merged {
            text: text_of(&joined),
            reference: reference.text(KEY).unwrap_or_default(),
            flat: self.flat,
            edits: self.edits,
            merges: transactions
                .iter()
                .filter(|txn| txn.parents.len() > 1)
                .count(),
            forks: children
                .into_iter()
                .filter(|children| *children > 1)
                .count(),
            documents: self.plan.chains,
        }
    }
}

/// The text that all transactions so far make together.
#[derive(Default)]
struct Line {
    text: Vec<char>,
    at: At,
}

/// Where the state of the line is.
enum At {
    /// The document of this chain has it.
    Chain(usize),
    /// No document has all of it.
    Between(State),
}

impl Default for At {
    fn default() -> Self {
        Self::Between(State::new())
    }
}

impl Line {
    /// Keeps the state of a document that is about to stop having it.
    fn part(&mut self, documents: &[Document]) {
        if let At::Chain(chain) = self.at {
            self.at = At::Between(documents[chain].state().clone());
        }
    }

    /// Applies patches of a chain that had seen everything.
    fn follow(&mut self, chain: usize, patches: &[Patch]) {
        for Patch(at, delete, insert) in patches {
            self.text.splice(*at..at + delete, insert.chars());
        }
        self.at = At::Chain(chain);
    }

    /// Joins a state that had not seen everything, and returns what that changed.
    fn take_in(&mut self, state: &State) -> Vec<Patch> {
        let At::Between(line) = &self.at else {
            unreachable!("the line was parted before the edit");
        };
        let joined = line.join(state);
        let text: Vec<char> = text_of(&joined).chars().collect();
        let patch = difference(&self.text, &text);
        (self.text, self.at) = (text, At::Between(joined));
        patch.into_iter().collect()
    }
}

fn text_of(state: &State) -> String {
    state
        .get(KEY)
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}

/// Returns the one patch that leads from a text to another.
fn difference(old: &[char], new: &[char]) -> Option<Patch> {
    if old == new {
        return None;
    }
    let prefix = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let (old, new) = (&old[prefix..], &new[prefix..]);
    let suffix = old
        .iter()
        .rev()
        .zip(new.iter().rev())
        .take_while(|(a, b)| a == b)
        .count();
    Some(Patch(
        prefix,
        old.len() - suffix,
        new[..new.len() - suffix].iter().collect(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn txn(parents: &[usize], agent: usize, at: usize, delete: usize, insert: &str) -> Transaction {
        Transaction {
            parents: parents.to_vec(),
            agent,
            patches: vec![Patch(at, delete, insert.to_owned())],
        }
    }

    fn merged(transactions: Vec<Transaction>) -> Merged {
        let agents = transactions
            .iter()
            .map(|txn| txn.agent + 1)
            .max()
            .unwrap_or(1);
        let trace = Concurrent {
            end: String::new(),
            agents,
            transactions,
        };
        let merged = merge(&trace, || ()).unwrap();
        assert_eq!(merged.reference, merged.text);
        let mut line: Vec<char> = Vec::new();
        for Patch(at, delete, insert) in merged.flat.iter().flat_map(|flat| &flat.patches) {
            line.splice(*at..at + delete, insert.chars());
        }
        assert_eq!(
            line.into_iter().collect::<String>(),
            merged.text,
            "the flat order ends alike"
        );
        merged
    }

    #[test]
    fn empty_trace_is_an_empty_text() {
        assert_eq!(merged(Vec::new()).text, "");
    }

    #[test]
    fn both_branches_are_in() {
        let merged = merged(vec![
            txn(&[], 0, 0, 0, "ab"),
            txn(&[0], 0, 1, 0, "X"),
            txn(&[0], 1, 2, 0, "Y"),
            txn(&[1, 2], 1, 0, 1, ""),
        ]);
        assert_eq!((merged.text.as_str(), merged.documents), ("XbY", 2));
        assert_eq!((merged.merges, merged.forks), (1, 1));
        assert!(merged.edits[3].joined && !merged.edits[1].joined);
    }

    #[test]
    fn agent_that_goes_back_gets_another_document() {
        let merged = merged(vec![
            txn(&[], 0, 0, 0, "ab"),
            txn(&[0], 0, 0, 1, ""),
            txn(&[0], 0, 0, 2, "c"),
            txn(&[1], 0, 1, 0, "d"),
        ]);
        assert_eq!((merged.text.as_str(), merged.documents), ("cd", 2));
    }

    #[test]
    fn character_that_two_remove_is_removed_once() {
        let merged = merged(vec![
            txn(&[], 0, 0, 0, "añb"),
            txn(&[0], 0, 1, 1, ""),
            txn(&[0], 1, 1, 2, "😀"),
        ]);
        assert_eq!(merged.text, "a😀");
        assert_eq!(merged.flat[2].patches, [Patch(1, 1, "😀".to_owned())]);
    }

    #[test]
    fn patch_behind_the_end_names_its_transaction() {
        let transactions = vec![txn(&[], 0, 0, 0, "a"), txn(&[], 1, 1, 0, "b")];
        let trace = Concurrent {
            end: String::new(),
            agents: 2,
            transactions,
        };
        assert_eq!(merge(&trace, || ()).unwrap_err().transaction, 1);
    }
}
