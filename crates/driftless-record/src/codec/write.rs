//! The walk through a delta that fills the columns.

use std::collections::BTreeSet;

use driftless_document::{
    Actor, Body, Clock, Content, Delta, ObjectDelta, ObjectId, ObjectType, OpId, RegisterDelta,
    Removed, Run, Scalar, SequenceDelta,
};

use crate::codec::{body, push_varint, removed, tag, zigzag};

pub(super) fn write(delta: &Delta, before: &Clock) -> Vec<u8> {
    let mut writer = Writer::new(delta, before);
    writer.objects(delta);
    let added = added_at_root(delta);
    // Few deltas have totals or times of older values.
    let has_more = !delta.counts.is_empty() || delta.times.keys().any(|id| !added.contains(id));
    let mut out = writer.actors(delta, before, has_more);
    writer.columns.append_to(&mut out);
    writer.times(delta, &added, &mut out);
    if has_more {
        writer.counts(delta, &mut out);
        writer.other_times(delta, &added, &mut out);
    }
    out
}

/// A column of op ids: authors together, counters together.
///
/// A counter is coded against the one before it of the same author in this column, the first against the author's clock.
struct Ids {
    actors: Vec<u8>,
    counters: Vec<u8>,
    last: Vec<u32>,
}

impl Ids {
    fn new(writer: &Authors) -> Self {
        Self {
            actors: Vec::new(),
            counters: Vec::new(),
            last: writer.tops.clone(),
        }
    }

    fn push(&mut self, authors: &Authors, id: OpId) {
        let actor = authors.place(id.actor);
        push_varint(&mut self.actors, actor as u64);
        self.push_counter(actor, id.counter);
    }

    fn push_counter(&mut self, actor: usize, counter: u32) {
        let last = std::mem::replace(&mut self.last[actor], counter);
        push_varint(
            &mut self.counters,
            zigzag(i64::from(counter) - i64::from(last)),
        );
    }

    fn append_to(&self, out: &mut Vec<u8>) {
        out.extend(&self.actors);
        out.extend(&self.counters);
    }
}

/// The authors that a delta names, ascending, and the highest counter of each.
struct Authors {
    actors: Vec<Actor>,
    tops: Vec<u32>,
}

impl Authors {
    fn new(delta: &Delta, before: &Clock) -> Self {
        let actors: Vec<Actor> = named(delta).into_iter().collect();
        let top = |actor| {
            delta
                .clock
                .get(actor)
                .or(before.get(actor))
                .copied()
                .unwrap_or(0)
        };
        let tops = actors.iter().map(top).collect();
        Self { actors, tops }
    }

    fn place(&self, actor: Actor) -> usize {
        self.actors
            .binary_search(&actor)
            .expect("every author that a delta names is in its table")
    }
}

struct Columns {
    objects: Vec<u8>,
    object_ids: Ids,
    elements: Ids,
    key_lengths: Vec<u8>,
    keys: Vec<u8>,
    registers: Vec<u8>,
    removed_counts: Vec<u8>,
    removed: Ids,
    starts: Ids,
    references: Vec<u8>,
    reference_gaps: Vec<u8>,
    bodies: Vec<u8>,
    spans: Ids,
    span_lengths: Vec<u8>,
    added: Ids,
    contents: Contents,
}

/// What operations put: the kinds, and the values of each kind together.
#[derive(Default)]
struct Contents {
    tags: Vec<u8>,
    numbers: Vec<u8>,
    timestamps: Vec<u8>,
    last_timestamp: i64,
    floats: Vec<u8>,
    type_codes: Vec<u8>,
    string_lengths: Vec<u8>,
    byte_lengths: Vec<u8>,
    strings: Vec<u8>,
    bytes: Vec<u8>,
    characters: Vec<u8>,
}

struct Writer {
    authors: Authors,
    columns: Columns,
}

impl Writer {
    fn new(delta: &Delta, before: &Clock) -> Self {
        let authors = Authors::new(delta, before);
        let ids = || Ids::new(&authors);
        let columns = Columns {
            objects: Vec::new(),
            object_ids: ids(),
            elements: ids(),
            key_lengths: Vec::new(),
            keys: Vec::new(),
            registers: Vec::new(),
            removed_counts: Vec::new(),
            removed: ids(),
            starts: ids(),
            references: Vec::new(),
            reference_gaps: Vec::new(),
            bodies: Vec::new(),
            spans: ids(),
            span_lengths: Vec::new(),
            added: ids(),
            contents: Contents::default(),
        };
        Self { authors, columns }
    }

    /// Writes the table of authors and how far the clock of each rose.
    fn actors(&self, delta: &Delta, before: &Clock, has_more: bool) -> Vec<u8> {
        let known: Vec<Actor> = before.keys().copied().collect();
        let (mut places, mut names, mut rises) = (Vec::new(), Vec::new(), Vec::new());
        for actor in &self.authors.actors {
            match known.binary_search(actor) {
                Ok(place) => push_varint(&mut places, place as u64 + 1),
                Err(_) => {
                    places.push(0);
                    names.extend(actor.to_bytes());
                }
            }
            let old = before.get(actor).copied().unwrap_or(0);
            let rise = delta
                .clock
                .get(actor)
                .map_or(0, |new| new.saturating_sub(old));
            push_varint(&mut rises, rise.into());
        }
        let mut out = Vec::new();
        let more = u64::from(has_more);
        push_varint(&mut out, (self.authors.actors.len() as u64) << 1 | more);
        [places, names, rises]
            .iter()
            .for_each(|column| out.extend(column));
        push_varint(&mut out, delta.objects.len() as u64);
        out
    }

    fn objects(&mut self, delta: &Delta) {
        for (id, changed) in &delta.objects {
            match id {
                ObjectId::Root => self.columns.objects.push(0),
                ObjectId::Made(id) => {
                    let actor = self.authors.place(id.actor);
                    push_varint(&mut self.columns.objects, actor as u64 + 1);
                    self.columns.object_ids.push_counter(actor, id.counter);
                }
            }
            match changed {
                ObjectDelta::Map(keys) => {
                    push_varint(&mut self.columns.objects, (keys.len() as u64) << 1);
                    for (key, change) in keys {
                        push_varint(&mut self.columns.key_lengths, key.len() as u64);
                        self.columns.keys.extend(key.as_bytes());
                        self.register(change);
                    }
                }
                ObjectDelta::Sequence(changed) => self.sequence(changed),
            }
        }
    }

    fn sequence(&mut self, changed: &SequenceDelta) {
        let objects = &mut self.columns.objects;
        push_varint(objects, (changed.inserted.len() as u64) << 1 | 1);
        push_varint(objects, changed.deleted.len() as u64);
        push_varint(objects, changed.sets.len() as u64);
        changed.inserted.iter().for_each(|run| self.run(run));
        for span in &changed.deleted {
            self.columns.spans.push(&self.authors, span.start);
            push_varint(&mut self.columns.span_lengths, span.len.into());
        }
        for (element, change) in &changed.sets {
            self.columns.elements.push(&self.authors, *element);
            self.register(change);
        }
    }

    fn register(&mut self, change: &RegisterDelta) {
        let columns = &mut self.columns;
        let kind = match &change.removed {
            Removed::Nothing => removed::NOTHING,
            Removed::All => removed::ALL,
            Removed::Some(ids) => {
                push_varint(&mut columns.removed_counts, ids.len() as u64);
                ids.iter()
                    .for_each(|id| columns.removed.push(&self.authors, *id));
                removed::SOME
            }
        };
        push_varint(
            &mut columns.registers,
            (change.added.len() as u64) << 2 | kind,
        );
        for (id, content) in &change.added {
            columns.added.push(&self.authors, *id);
            columns.contents.push(content);
        }
    }

    fn run(&mut self, run: &Run) {
        let columns = &mut self.columns;
        columns.starts.push(&self.authors, run.start);
        match run.reference {
            None => columns.references.push(0),
            Some(reference) => {
                let actor = self.authors.place(reference.actor);
                push_varint(&mut columns.references, actor as u64 + 1);
                let gap = i64::from(run.start.counter) - i64::from(reference.counter);
                push_varint(&mut columns.reference_gaps, zigzag(gap));
            }
        }
        let kind = match &run.body {
            Body::Characters { text, .. } => {
                columns.contents.characters.extend(text.as_bytes());
                body::CHARACTERS
            }
            Body::Values(values) => {
                values
                    .iter()
                    .for_each(|content| columns.contents.push(content));
                body::VALUES
            }
            Body::Dead(_) => body::DEAD,
        };
        push_varint(&mut columns.bodies, u64::from(run.len()) << 2 | kind);
    }

    /// Writes which of the values added at root keys have a time, as lengths of stretches with and without in turn, and the
    /// times, each against the one before; in ascending order of op ids, because that is nearly the order of time.
    fn times(&self, delta: &Delta, added: &BTreeSet<OpId>, out: &mut Vec<u8>) {
        let mut stretches: Vec<u64> = Vec::new();
        let mut times = Vec::new();
        let mut last = 0;
        for id in added {
            let time = delta.times.get(id);
            // The first stretch is one with times, if need be of none.
            if stretches.is_empty() {
                stretches.push(0);
            }
            if (stretches.len() % 2 == 1) != time.is_some() {
                stretches.push(0);
            }
            *stretches.last_mut().expect("a stretch was just begun") += 1;
            last = push_time(&mut times, last, time.copied());
        }
        stretches.iter().for_each(|len| push_varint(out, *len));
        out.extend(times);
    }

    fn counts(&self, delta: &Delta, out: &mut Vec<u8>) {
        push_varint(out, delta.counts.len() as u64);
        let (mut authors, mut lengths, mut sums) = (Vec::new(), Vec::new(), Vec::new());
        let (mut counters, mut lasts) = (Ids::new(&self.authors), Ids::new(&self.authors));
        for (key, count) in &delta.counts {
            let author = self.authors.place(key.actor);
            push_varint(&mut authors, author as u64);
            push_varint(&mut lengths, key.counters.len() as u64);
            key.counters
                .iter()
                .for_each(|id| counters.push(&self.authors, *id));
            lasts.push_counter(author, count.last);
            push_varint(&mut sums, zigzag(count.sum));
        }
        out.extend(authors);
        out.extend(lengths);
        counters.append_to(out);
        out.extend(lasts.counters);
        out.extend(sums);
    }

    /// Writes the times of values that were there before.
    fn other_times(&self, delta: &Delta, added: &BTreeSet<OpId>, out: &mut Vec<u8>) {
        let (mut ids, mut times) = (Ids::new(&self.authors), Vec::new());
        let (mut last, mut count) = (0, 0);
        for (id, time) in delta.times.iter().filter(|(id, _)| !added.contains(id)) {
            count += 1;
            ids.push(&self.authors, *id);
            last = push_time(&mut times, last, Some(*time));
        }
        push_varint(out, count);
        ids.append_to(out);
        out.extend(times);
    }
}

impl Columns {
    fn append_to(&self, out: &mut Vec<u8>) {
        out.extend(&self.objects);
        out.extend(&self.object_ids.counters);
        self.elements.append_to(out);
        out.extend(&self.key_lengths);
        out.extend(&self.keys);
        out.extend(&self.registers);
        out.extend(&self.removed_counts);
        self.removed.append_to(out);
        self.starts.append_to(out);
        out.extend(&self.references);
        out.extend(&self.reference_gaps);
        out.extend(&self.bodies);
        self.spans.append_to(out);
        out.extend(&self.span_lengths);
        self.added.append_to(out);
        self.contents.append_to(out);
    }
}

impl Contents {
    fn push(&mut self, content: &Content) {
        let tag = match content {
            Content::Object(ObjectType::Map) => tag::MAP,
            Content::Object(ObjectType::Table) => tag::TABLE,
            Content::Object(ObjectType::List) => tag::LIST,
            Content::Object(ObjectType::Text) => tag::TEXT,
            Content::Scalar(scalar) => self.scalar(scalar),
        };
        self.tags.push(tag);
    }

    fn scalar(&mut self, scalar: &Scalar) -> u8 {
        match scalar {
            Scalar::Null => tag::NULL,
            Scalar::Bool(false) => tag::FALSE,
            Scalar::Bool(true) => tag::TRUE,
            Scalar::Int(number) => {
                push_varint(&mut self.numbers, zigzag(*number));
                tag::INT
            }
            Scalar::Uint(number) => {
                push_varint(&mut self.numbers, *number);
                tag::UINT
            }
            Scalar::Counter(number) => {
                push_varint(&mut self.numbers, zigzag(*number));
                tag::COUNTER
            }
            Scalar::Float(number) => {
                self.floats.extend(number.to_bits().to_be_bytes());
                tag::FLOAT
            }
            Scalar::Timestamp(time) => {
                self.last_timestamp =
                    push_time(&mut self.timestamps, self.last_timestamp, Some(*time));
                tag::TIMESTAMP
            }
            Scalar::String(text) => {
                push_varint(&mut self.string_lengths, text.len() as u64);
                self.strings.extend(text.as_bytes());
                tag::STRING
            }
            Scalar::Bytes(bytes) => {
                self.blob(bytes);
                tag::BYTES
            }
            Scalar::Unknown { type_code, bytes } => {
                self.type_codes.push(*type_code);
                self.blob(bytes);
                tag::UNKNOWN
            }
            _ => unreachable!("a kind of scalar that this format has no tag for"),
        }
    }

    fn blob(&mut self, bytes: &[u8]) {
        push_varint(&mut self.byte_lengths, bytes.len() as u64);
        self.bytes.extend(bytes);
    }

    fn append_to(&self, out: &mut Vec<u8>) {
        out.extend(&self.tags);
        out.extend(&self.numbers);
        out.extend(&self.timestamps);
        out.extend(&self.floats);
        out.extend(&self.type_codes);
        out.extend(&self.string_lengths);
        out.extend(&self.byte_lengths);
        out.extend(&self.strings);
        out.extend(&self.bytes);
        if !self.characters.is_empty() {
            push_varint(out, self.characters.len() as u64);
            out.extend(&self.characters);
        }
    }
}

/// Appends a time as its difference from the last one, and returns what is the last one now.
fn push_time(out: &mut Vec<u8>, last: i64, time: Option<i64>) -> i64 {
    let Some(time) = time else { return last };
    push_varint(out, zigzag(time.wrapping_sub(last)));
    time
}

/// Returns the ids of the values that a delta adds at root keys.
pub(super) fn added_at_root(delta: &Delta) -> BTreeSet<OpId> {
    match delta.objects.get(&ObjectId::Root) {
        Some(ObjectDelta::Map(keys)) => keys
            .values()
            .flat_map(|change| change.added.keys().copied())
            .collect(),
        _ => BTreeSet::new(),
    }
}

/// Returns every author that a delta names.
fn named(delta: &Delta) -> BTreeSet<Actor> {
    let mut named: BTreeSet<Actor> = delta.clock.keys().copied().collect();
    for (id, changed) in &delta.objects {
        if let ObjectId::Made(id) = id {
            named.insert(id.actor);
        }
        match changed {
            ObjectDelta::Map(keys) => keys
                .values()
                .for_each(|change| name_register(change, &mut named)),
            ObjectDelta::Sequence(changed) => {
                for run in &changed.inserted {
                    named.insert(run.start.actor);
                    named.extend(run.reference.map(|id| id.actor));
                }
                named.extend(changed.deleted.iter().map(|span| span.start.actor));
                for (element, change) in &changed.sets {
                    named.insert(element.actor);
                    name_register(change, &mut named);
                }
            }
        }
    }
    for key in delta.counts.keys() {
        named.insert(key.actor);
        named.extend(key.counters.iter().map(|id| id.actor));
    }
    named.extend(delta.times.keys().map(|id| id.actor));
    named
}

fn name_register(change: &RegisterDelta, named: &mut BTreeSet<Actor>) {
    if let Removed::Some(ids) = &change.removed {
        named.extend(ids.iter().map(|id| id.actor));
    }
    named.extend(change.added.keys().map(|id| id.actor));
}
