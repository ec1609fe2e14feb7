//! The columns read one after the other, and a delta put together from them.
//!
//! Every count is checked against the bytes that are left before anything is kept for it, since no entry is shorter than a
//! byte.

use std::collections::{BTreeMap, BTreeSet};

use driftless_document::{
    Actor, Body, Clock, Content, Count, CountKey, Delta, MAX_COUNTER, ObjectDelta, ObjectId,
    ObjectType, OpId, RegisterDelta, Removed, Run, Scalar, SequenceDelta, Span,
};

use crate::codec::{
    DecodeError, MAX_ELEMENTS, MAX_OBJECTS, MAX_VALUES, body, removed, tag, unzigzag,
    write::added_at_root,
};

pub(super) fn read(bytes: &[u8], before: &Clock) -> Result<Delta, DecodeError> {
    let mut input = Input { bytes, at: 0 };
    let header = input.varint()?;
    let (authors, clock) = Authors::read(&mut input, header >> 1, before)?;
    let shapes = shapes(&mut input, &authors)?;
    let mut columns = Columns::read(&mut input, &authors, &shapes)?;
    let mut delta = Delta {
        clock,
        ..Delta::default()
    };
    for shape in &shapes {
        let changed = columns.object(shape)?;
        if delta.objects.insert(shape.id, changed).is_some() {
            return Err(DecodeError::NotCanonical);
        }
    }
    let added = added_at_root(&delta);
    times(&mut input, &added, &mut delta.times)?;
    if header & 1 != 0 {
        delta.counts = counts(&mut input, &authors)?;
        other_times(&mut input, &authors, &mut delta.times)?;
    }
    match input.left() {
        0 => Ok(delta),
        bytes => Err(DecodeError::Trailing { bytes }),
    }
}

/// What is left of the bytes.
struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    const fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        if len > self.left() {
            return Err(DecodeError::Short {
                at: self.bytes.len(),
            });
        }
        let taken = &self.bytes[self.at..self.at + len];
        self.at += len;
        Ok(taken)
    }

    fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            if shift == 63 && byte > 1 {
                break;
            }
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(DecodeError::Range { what: "number" })
    }

    /// Reads a count of entries that take at least one byte each.
    fn count(&mut self) -> Result<usize, DecodeError> {
        let count = self.varint()?;
        self.fits(count)
    }

    fn fits(&self, count: u64) -> Result<usize, DecodeError> {
        usize::try_from(count)
            .ok()
            .filter(|count| *count <= self.left())
            .ok_or(DecodeError::Short {
                at: self.bytes.len(),
            })
    }

    fn column(&mut self, len: usize) -> Result<Vec<u64>, DecodeError> {
        self.fits(len as u64)?;
        (0..len).map(|_| self.varint()).collect()
    }

    fn strings(&mut self, lengths: &[u64]) -> Result<Vec<&'a str>, DecodeError> {
        let text = |bytes| std::str::from_utf8(bytes).map_err(|_| DecodeError::Utf8);
        self.blobs(lengths)?.into_iter().map(text).collect()
    }

    fn blobs(&mut self, lengths: &[u64]) -> Result<Vec<&'a [u8]>, DecodeError> {
        lengths
            .iter()
            .map(|len| self.fits(*len).and_then(|len| self.take(len)))
            .collect()
    }

    /// Reads times that are each coded against the one before.
    fn times(&mut self, len: usize) -> Result<Vec<i64>, DecodeError> {
        let differences = self.column(len)?;
        Ok(differences
            .into_iter()
            .scan(0_i64, |last, difference| {
                *last = last.wrapping_add(unzigzag(difference));
                Some(*last)
            })
            .collect())
    }
}

/// The authors that the delta names, and the highest counter of each.
struct Authors {
    actors: Vec<Actor>,
    tops: Vec<u32>,
}

impl Authors {
    fn read(
        input: &mut Input<'_>,
        count: u64,
        before: &Clock,
    ) -> Result<(Self, Clock), DecodeError> {
        let count = input.fits(count)?;
        let known: Vec<Actor> = before.keys().copied().collect();
        let places = input.column(count)?;
        let mut authors = Self {
            actors: Vec::with_capacity(count),
            tops: Vec::new(),
        };
        for place in places {
            let actor = match place {
                0 => {
                    let bytes = input.take(8)?.try_into().expect("eight bytes were taken");
                    Actor::from_bytes(bytes)
                }
                place => at(&known, place - 1, "author")?,
            };
            authors.actors.push(actor);
        }
        let mut clock = Clock::new();
        for (actor, rise) in authors.actors.iter().zip(input.column(count)?) {
            let old = before.get(actor).copied().unwrap_or(0);
            let top = u64::from(old)
                .checked_add(rise)
                .and_then(|top| u32::try_from(top).ok());
            let top = top.ok_or(DecodeError::Range {
                what: "clock entry",
            })?;
            authors.tops.push(top);
            if rise > 0 {
                clock.insert(*actor, top);
            }
        }
        Ok((authors, clock))
    }

    /// Reads the authors of a column of ids, then their counters.
    fn ids(&self, input: &mut Input<'_>, len: usize) -> Result<Vec<OpId>, DecodeError> {
        let places = input.column(len)?;
        self.counters(input, &places)
    }

    /// Reads the counters of ids whose authors are known.
    fn counters(&self, input: &mut Input<'_>, places: &[u64]) -> Result<Vec<OpId>, DecodeError> {
        let mut last = self.tops.clone();
        let counters = input.column(places.len())?;
        let ids = places.iter().zip(counters).map(|(place, difference)| {
            let actor = at(&self.actors, *place, "author")?;
            let last = &mut last[*place as usize];
            *last = counter(i64::from(*last), unzigzag(difference))?;
            Ok(OpId::new(*last, actor))
        });
        ids.collect()
    }
}

fn at<T: Copy>(entries: &[T], place: u64, what: &'static str) -> Result<T, DecodeError> {
    let entry = usize::try_from(place)
        .ok()
        .and_then(|place| entries.get(place));
    entry.copied().ok_or(DecodeError::Range { what })
}

/// Returns the counter that lies so far from another, if an operation may have it.
fn counter(from: i64, difference: i64) -> Result<u32, DecodeError> {
    from.checked_add(difference)
        .and_then(|counter| u32::try_from(counter).ok())
        .filter(|counter| (1..=MAX_COUNTER).contains(counter))
        .ok_or(DecodeError::Range { what: "counter" })
}

/// Returns a number of elements from `start` on, if their ids are ids.
fn length(start: OpId, len: u64) -> Result<u32, DecodeError> {
    u32::try_from(len)
        .ok()
        .filter(|len| (1..=MAX_ELEMENTS).contains(len) && len - 1 <= MAX_COUNTER - start.counter)
        .ok_or(DecodeError::Range {
            what: "number of elements",
        })
}

/// What changes in one object, in numbers.
struct Shape {
    id: ObjectId,
    places: usize,
    sequence: Option<(usize, usize)>,
}

fn shapes(input: &mut Input<'_>, authors: &Authors) -> Result<Vec<Shape>, DecodeError> {
    let count = input.count()?;
    // The root may be among them.
    bounded(count, MAX_OBJECTS + 1)?;
    let mut rows = Vec::with_capacity(count);
    let mut made = Vec::new();
    for _ in 0..count {
        let author = input.varint()?;
        made.extend(author.checked_sub(1));
        let head = input.varint()?;
        let number = input.fits(head >> 1)?;
        let (places, sequence) = match head & 1 {
            0 => (number, None),
            _ => {
                let deleted = input.count()?;
                (input.count()?, Some((number, deleted)))
            }
        };
        rows.push((author, places, sequence));
    }
    let mut ids = authors.counters(input, &made)?.into_iter();
    let shape = |(author, places, sequence)| {
        let id = match author {
            0 => ObjectId::Root,
            _ => ObjectId::Made(ids.next().expect("every object but the root has an id")),
        };
        Shape {
            id,
            places,
            sequence,
        }
    };
    Ok(rows.into_iter().map(shape).collect())
}

/// The columns, each with how far it was used.
struct Columns<'a> {
    elements: std::vec::IntoIter<OpId>,
    keys: std::vec::IntoIter<&'a str>,
    registers: std::vec::IntoIter<u64>,
    removed_counts: std::vec::IntoIter<u64>,
    removed: std::vec::IntoIter<OpId>,
    runs: std::vec::IntoIter<(OpId, Option<OpId>, u64)>,
    spans: std::vec::IntoIter<Span>,
    added: std::vec::IntoIter<OpId>,
    contents: std::vec::IntoIter<Content>,
    characters: &'a str,
}

impl<'a> Columns<'a> {
    fn read(
        input: &mut Input<'a>,
        authors: &Authors,
        shapes: &[Shape],
    ) -> Result<Self, DecodeError> {
        let total =
            |count: fn(&Shape) -> usize| shapes.iter().map(count).fold(0, usize::saturating_add);
        let sets = total(|shape| shape.sequence.map_or(0, |_| shape.places));
        let keys = total(|shape| shape.sequence.map_or(shape.places, |_| 0));
        let inserted = total(|shape| shape.sequence.map_or(0, |(inserted, _)| inserted));
        let deleted = total(|shape| shape.sequence.map_or(0, |(_, deleted)| deleted));

        for count in [sets, keys, inserted, deleted] {
            bounded(count, MAX_VALUES)?;
        }

        let elements = authors.ids(input, sets)?;
        let key_lengths = input.column(keys)?;
        let keys = input.strings(&key_lengths)?;
        let registers = input.column(keys.len() + elements.len())?;
        let some = registers
            .iter()
            .filter(|entry| **entry & 3 == removed::SOME)
            .count();
        let removed_counts = input.column(some)?;
        let removed = authors.ids(input, sum(&removed_counts))?;
        let runs = runs(input, authors, inserted)?;
        let spans = spans(input, authors, deleted)?;
        let puts: Vec<u64> = registers.iter().map(|entry| entry >> 2).collect();
        let added = authors.ids(input, sum(&puts))?;
        let of_kind = |kind| {
            runs.iter()
                .filter(move |(.., body)| body & 3 == kind)
                .map(|(.., body)| body >> 2)
        };
        let values: Vec<u64> = of_kind(body::VALUES).collect();
        let values = added.len().saturating_add(sum(&values));
        let contents = contents(input, bounded(values, MAX_VALUES)?)?;
        let characters = match of_kind(body::CHARACTERS).next() {
            Some(_) => {
                let length = input.varint()?;
                input.strings(&[length])?[0]
            }
            None => "",
        };
        Ok(Self {
            elements: elements.into_iter(),
            keys: keys.into_iter(),
            registers: registers.into_iter(),
            removed_counts: removed_counts.into_iter(),
            removed: removed.into_iter(),
            runs: runs.into_iter(),
            spans: spans.into_iter(),
            added: added.into_iter(),
            contents: contents.into_iter(),
            characters,
        })
    }

    fn object(&mut self, shape: &Shape) -> Result<ObjectDelta, DecodeError> {
        let Some((inserted, deleted)) = shape.sequence else {
            // Built as a whole, since the keys come in order.
            let keys = (0..shape.places).map(|_| {
                let key = next(&mut self.keys).to_owned();
                Ok((key, self.register()?))
            });
            return Ok(ObjectDelta::Map(keys.collect::<Result<_, DecodeError>>()?));
        };
        let mut changed = SequenceDelta::default();
        for _ in 0..inserted {
            let run = self.run()?;
            changed.inserted.push(run);
        }
        changed.deleted.extend(self.spans.by_ref().take(deleted));
        for _ in 0..shape.places {
            let element = next(&mut self.elements);
            changed.sets.insert(element, self.register()?);
        }
        Ok(ObjectDelta::Sequence(changed))
    }

    fn register(&mut self) -> Result<RegisterDelta, DecodeError> {
        let entry = next(&mut self.registers);
        let removed = match entry & 3 {
            removed::NOTHING => Removed::Nothing,
            removed::ALL => Removed::All,
            removed::SOME => {
                let count = next(&mut self.removed_counts) as usize;
                Removed::Some(self.removed.by_ref().take(count).collect())
            }
            _ => {
                return Err(DecodeError::Range {
                    what: "kind of removal",
                });
            }
        };
        let ids = self.added.by_ref().take((entry >> 2) as usize);
        let added = ids.zip(self.contents.by_ref()).collect();
        Ok(RegisterDelta { removed, added })
    }

    fn run(&mut self) -> Result<Run, DecodeError> {
        let (start, reference, entry) = next(&mut self.runs);
        let len = (entry >> 2) as u32;
        let body = match entry & 3 {
            body::CHARACTERS => self.characters(len)?,
            body::VALUES => Body::Values(self.contents.by_ref().take(len as usize).collect()),
            body::DEAD => Body::Dead(len),
            _ => {
                return Err(DecodeError::Range {
                    what: "kind of run",
                });
            }
        };
        Ok(Run {
            start,
            reference,
            body,
        })
    }

    fn characters(&mut self, count: u32) -> Result<Body, DecodeError> {
        let last = self.characters.char_indices().nth(count as usize - 1);
        let (at, last) = last.ok_or(DecodeError::Range {
            what: "number of characters",
        })?;
        let (text, rest) = self.characters.split_at(at + last.len_utf8());
        self.characters = rest;
        Ok(Body::Characters {
            text: text.to_owned(),
            count,
        })
    }
}

/// Takes the next entry of a column that was read as long as its users need.
fn next<T>(column: &mut std::vec::IntoIter<T>) -> T {
    column
        .next()
        .expect("a column has the length that follows from those before it")
}

/// Adds up counts; what no column can be long enough for stays so.
fn sum(counts: &[u64]) -> usize {
    let sum = counts
        .iter()
        .fold(0, |sum: u64, count| sum.saturating_add(*count));
    usize::try_from(sum).unwrap_or(usize::MAX)
}

/// Reads runs as (first id, reference, body entry); the body's length is checked.
fn runs(
    input: &mut Input<'_>,
    authors: &Authors,
    count: usize,
) -> Result<Vec<(OpId, Option<OpId>, u64)>, DecodeError> {
    let starts = authors.ids(input, count)?;
    let references = input.column(count)?;
    let gaps = input.column(references.iter().filter(|author| **author != 0).count())?;
    let bodies = input.column(count)?;
    let mut gaps = gaps.into_iter();
    let mut total = 0;
    let mut runs = Vec::with_capacity(count);
    for ((start, reference), entry) in starts.into_iter().zip(references).zip(bodies) {
        total = grown(total, length(start, entry >> 2)?)?;
        let reference = match reference {
            0 => None,
            place => {
                let gap = unzigzag(next(&mut gaps));
                let back = gap
                    .checked_neg()
                    .ok_or(DecodeError::Range { what: "counter" })?;
                let actor = at(&authors.actors, place - 1, "author")?;
                Some(OpId::new(counter(start.counter.into(), back)?, actor))
            }
        };
        runs.push((start, reference, entry));
    }
    Ok(runs)
}

fn spans(input: &mut Input<'_>, authors: &Authors, count: usize) -> Result<Vec<Span>, DecodeError> {
    let starts = authors.ids(input, count)?;
    let lengths = input.column(count)?;
    let mut total = 0;
    let spans = starts.into_iter().zip(lengths).map(|(start, len)| {
        let len = length(start, len)?;
        total = grown(total, len)?;
        Ok(Span { start, len })
    });
    spans.collect()
}

/// Refuses a number of things each of which is kept by itself, before anything is kept for them.
fn bounded(count: usize, limit: usize) -> Result<usize, DecodeError> {
    Some(count)
        .filter(|count| *count <= limit)
        .ok_or(DecodeError::Elements)
}

fn grown(total: u32, by: u32) -> Result<u32, DecodeError> {
    Some(total + by)
        .filter(|total| *total <= MAX_ELEMENTS)
        .ok_or(DecodeError::Elements)
}

fn contents(input: &mut Input<'_>, count: usize) -> Result<Vec<Content>, DecodeError> {
    let tags = input.take(input.fits(count as u64)?)?;
    let of = |kinds: &[u8]| tags.iter().filter(|tag| kinds.contains(tag)).count();
    let mut numbers = input
        .column(of(&[tag::INT, tag::UINT, tag::COUNTER]))?
        .into_iter();
    let mut timestamps = input.times(of(&[tag::TIMESTAMP]))?.into_iter();
    let mut floats = input
        .take(of(&[tag::FLOAT]).saturating_mul(8))?
        .chunks_exact(8);
    let mut type_codes = input.take(of(&[tag::UNKNOWN]))?.iter();
    let string_lengths = input.column(of(&[tag::STRING]))?;
    let byte_lengths = input.column(of(&[tag::BYTES, tag::UNKNOWN]))?;
    let mut strings = input.strings(&string_lengths)?.into_iter();
    let mut blobs = input.blobs(&byte_lengths)?.into_iter();
    let content = |tag: &u8| {
        Ok(Content::Scalar(match *tag {
            tag::NULL => Scalar::Null,
            tag::FALSE => Scalar::Bool(false),
            tag::TRUE => Scalar::Bool(true),
            tag::INT => Scalar::Int(unzigzag(next(&mut numbers))),
            tag::UINT => Scalar::Uint(next(&mut numbers)),
            tag::COUNTER => Scalar::Counter(unzigzag(next(&mut numbers))),
            tag::FLOAT => {
                let bits = floats.next().and_then(|bits| bits.try_into().ok());
                let bits = bits.expect("there are eight bytes for each float");
                Scalar::Float(f64::from_bits(u64::from_be_bytes(bits)))
            }
            tag::STRING => Scalar::String(next(&mut strings).to_owned()),
            tag::BYTES => Scalar::Bytes(next(&mut blobs).to_vec()),
            tag::TIMESTAMP => Scalar::Timestamp(next(&mut timestamps)),
            tag::UNKNOWN => Scalar::Unknown {
                type_code: *type_codes
                    .next()
                    .expect("there is a code for each unknown type"),
                bytes: next(&mut blobs).to_vec(),
            },
            tag::MAP => return Ok(Content::Object(ObjectType::Map)),
            tag::TABLE => return Ok(Content::Object(ObjectType::Table)),
            tag::LIST => return Ok(Content::Object(ObjectType::List)),
            tag::TEXT => return Ok(Content::Object(ObjectType::Text)),
            _ => {
                return Err(DecodeError::Range {
                    what: "kind of value",
                });
            }
        }))
    };
    tags.iter().map(content).collect()
}

/// Reads the times of the values that the delta adds at root keys.
fn times(
    input: &mut Input<'_>,
    added: &BTreeSet<OpId>,
    times: &mut BTreeMap<OpId, i64>,
) -> Result<(), DecodeError> {
    let mut timed = Vec::new();
    let mut rest: Vec<OpId> = added.iter().copied().rev().collect();
    let mut with = true;
    while !rest.is_empty() {
        let len = usize::try_from(input.varint()?).unwrap_or(usize::MAX);
        if len > rest.len() || (len == 0 && (!with || rest.len() < added.len())) {
            return Err(DecodeError::Range {
                what: "number of times",
            });
        }
        let stretch = rest.split_off(rest.len() - len);
        if with {
            timed.extend(stretch.into_iter().rev());
        }
        with = !with;
    }
    let values = input.times(timed.len())?;
    times.extend(timed.into_iter().zip(values));
    Ok(())
}

fn other_times(
    input: &mut Input<'_>,
    authors: &Authors,
    times: &mut BTreeMap<OpId, i64>,
) -> Result<(), DecodeError> {
    let count = input.count()?;
    let ids = authors.ids(input, count)?;
    let values = input.times(count)?;
    times.extend(ids.into_iter().zip(values));
    Ok(())
}

fn counts(
    input: &mut Input<'_>,
    authors: &Authors,
) -> Result<BTreeMap<CountKey, Count>, DecodeError> {
    let count = bounded(input.count()?, MAX_VALUES)?;
    let places = input.column(count)?;
    let lengths = input.column(count)?;
    let mut counters = authors.ids(input, sum(&lengths))?.into_iter();
    let lasts = authors.counters(input, &places)?;
    let sums = input.column(count)?;
    let totals = lasts
        .into_iter()
        .zip(lengths)
        .zip(sums)
        .map(|((last, len), sum)| {
            let counters = counters.by_ref().take(len as usize).collect();
            let count = Count {
                last: last.counter,
                sum: unzigzag(sum),
            };
            (
                CountKey {
                    actor: last.actor,
                    counters,
                },
                count,
            )
        });
    Ok(totals.collect())
}
