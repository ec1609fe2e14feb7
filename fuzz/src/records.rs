//! Records of a dataset: their texts, and what a writer seals into them.

use std::collections::BTreeMap;

use driftless_document::{Actor, Document, Scalar, State};
use driftless_record::{Frame, Life, Limits, Standing, Stored, plan, read};

use crate::input::Input;

const MAGIC: u8 = 0xd7;
const VERSION: u8 = 1 << 4;
const DEFLATED: u8 = 4;
const FOLDED: u8 = 8;
const LINEAGE: [u8; 8] = *b"lineage.";

/// More frames than a dataset has slots for say nothing new.
const MAX_FRAMES: usize = 96;

/// States with more values and elements are not edited here, which would take most of the time.
const MAX_EDITED: usize = 4_096;

/// Reads one record's text, alone and in each of the slots where it can stand; a frame that is read is written back alike.
pub fn frame_decode(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(frame) = Frame::decode(text) {
        assert_eq!(frame.encode(), text, "one frame has one text");
    }
    for key in [
        "_driftless.head",
        "_driftless.log.0",
        "_driftless.run.0",
        "_driftless.base.0.0",
    ] {
        drop(read([(key, text)], &limits(), None));
    }
}

/// Reads a dataset whose frames carry these bodies under right checksums, then pushes an edit onto it and reads that.
///
/// ```text
/// head      u8: 1 plain, 2 with a predecessor, 4 left out, 8 of a sequence that is not there
/// frames    kind u8: low two bits 0 log, 1 run, 2 folded run of the logs since the last run, 3 base; 4 deflated
///           length of the body u16
///           body; the first three bytes of a deflated one are the length that it inflates to
/// ```
///
/// Each frame stands on the one before it; a base begins again beside it.
pub fn records_read(bytes: &[u8]) {
    let records = forge(bytes);
    let Ok(Some(stored)) = read(values(&records), &limits(), None) else {
        return;
    };
    let known = read(values(&records), &limits(), Some(&stored));
    let known = known
        .expect("what was read reads again")
        .expect("records stand there");
    assert_eq!(
        known.state(),
        stored.state(),
        "what is known changes no result"
    );
    assert_eq!(known.needs_repair(), stored.needs_repair());
    push_edit(records, &stored);
}

fn limits() -> Limits {
    Limits::default().with_dataset_bytes(64 * 1024)
}

fn values(records: &BTreeMap<String, String>) -> impl Iterator<Item = (&str, &str)> {
    records
        .iter()
        .map(|(key, text)| (key.as_str(), text.as_str()))
}

fn push_edit(mut records: BTreeMap<String, String>, stored: &Stored) {
    let sizes = records.iter().map(|(key, text)| (key.clone(), text.len()));
    let sizes: BTreeMap<String, usize> = sizes.collect();
    let standing = Standing {
        records: &sizes,
        ..Standing::NOTHING
    };
    let state = edited(stored.state());
    let Ok(push) = plan(Life::Continued(stored), &state, &standing, &limits()) else {
        return;
    };
    for (key, text) in push.patches {
        match text {
            Some(text) => records.insert(key, text),
            None => records.remove(&key),
        };
    }
    let again = read(values(&records), &limits(), None);
    let again = again
        .expect("what was pushed reads")
        .expect("records stand there");
    assert_eq!(*again.state(), state, "what was pushed stands there");
    assert!(!again.needs_repair(), "a push leaves nothing to repair");
    assert_eq!(again.tip(), push.stored.tip());
}

fn edited(state: &State) -> State {
    if state.population().total() > MAX_EDITED {
        return state.clone();
    }
    let mut document = Document::from_state("notes", Actor::random(*b"fuzzfuzz"), state.clone());
    // A hostile state may have used up the counters.
    drop(document.put("key", Scalar::from(1), 0));
    document.state().clone()
}

/// What stands on the chain so far.
#[derive(Default)]
struct Forge {
    records: BTreeMap<String, String>,
    generation: u8,
    sequence: u8,
    runs: u8,
    /// The sequence and the tip where the last run ends, or the base.
    anchor: (u8, [u8; 8]),
    tip: [u8; 8],
}

fn forge(bytes: &[u8]) -> BTreeMap<String, String> {
    let mut input = Input::new(bytes);
    let head = input.byte();
    let mut forge = Forge::default();
    for _ in 0..MAX_FRAMES {
        if input.is_empty() {
            break;
        }
        let kind = input.byte();
        forge.frame(kind, input.block());
    }
    if head & 4 == 0 {
        forge.head(head);
    }
    forge.records
}

impl Forge {
    fn frame(&mut self, marks: u8, body: &[u8]) {
        let mut input = Input::new(body);
        let mut end = Vec::new();
        if marks & DEFLATED != 0 {
            let [high, middle, low] = [input.byte(), input.byte(), input.byte()];
            push_varint(&mut end, u32::from_be_bytes([0, high, middle, low]));
        }
        end.extend(input.rest());
        match marks & 3 {
            0 => self.log(marks & DEFLATED, &end),
            1 => self.run(marks & DEFLATED, false, &end),
            2 => self.run(marks & DEFLATED, true, &end),
            _ => self.base(marks & DEFLATED, &end),
        }
    }

    fn log(&mut self, deflated: u8, end: &[u8]) {
        self.sequence += 1;
        let header = [MAGIC, VERSION | deflated | 1, self.sequence];
        let key = format!("log.{}", self.sequence % 64);
        self.tip = self.seal(&key, Some(self.tip), &header, end);
    }

    fn run(&mut self, deflated: u8, folded: bool, end: &[u8]) {
        let (from, tip) = self.anchor;
        let key = format!("run.{}", self.runs);
        self.runs += 1;
        if folded && self.sequence > from {
            let mut header = vec![MAGIC, VERSION | FOLDED | deflated | 2];
            header.extend([self.sequence, self.sequence - from]);
            header.extend(self.tip);
            self.seal(&key, Some(tip), &header, end);
        } else {
            self.sequence += 1;
            let logs = self.sequence - from;
            let header = [MAGIC, VERSION | deflated | 2, self.sequence, logs];
            self.tip = self.seal(&key, Some(tip), &header, end);
        }
        self.anchor = (self.sequence, self.tip);
    }

    fn base(&mut self, deflated: u8, end: &[u8]) {
        self.generation += 1;
        let mut header = vec![MAGIC, VERSION | deflated | 3];
        header.extend(LINEAGE);
        header.extend([self.generation, 0, 1]);
        let key = format!("base.{}.0", self.generation % 2);
        self.tip = self.seal(&key, None, &header, end);
        (self.sequence, self.runs) = (0, 0);
        self.anchor = (0, self.tip);
    }

    fn head(&mut self, marks: u8) {
        let mut header = vec![MAGIC, VERSION, marks & 3];
        header.extend(LINEAGE);
        header.extend([self.generation, 1, self.sequence ^ (marks >> 3 & 1)]);
        header.extend(self.tip);
        header.push(0);
        if marks & 2 != 0 {
            header.extend(*b"before..");
        }
        self.seal("head", None, &header, &[]);
    }

    /// Writes a record and returns its checksum.
    fn seal(&mut self, slot: &str, before: Option<[u8; 8]>, header: &[u8], end: &[u8]) -> [u8; 8] {
        let mut bytes = [header, end].concat();
        let mut hasher = blake3::Hasher::new();
        hasher.update(before.as_ref().map_or(&[], |before| &before[..]));
        hasher.update(&bytes);
        let checksum = *hasher
            .finalize()
            .as_bytes()
            .first_chunk()
            .expect("32 are more than 8");
        bytes.extend(checksum);
        self.records
            .insert(format!("_driftless.{slot}"), z85::encode(&bytes));
        checksum
    }
}

fn push_varint(out: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}
