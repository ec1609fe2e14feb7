//! What one state holds and another lacks, written again as new edits onto a document.
//!
//! Scalars are put, increments added, elements and typed runs inserted, members put, at any depth, each into the object of
//! the same kind that stands in the same place now; it is created where it is missing. Elements of lists and texts are found
//! again by their ids, and only if they were listed: a copy of a store gave the ids of the others to something else. What was
//! written inside of an element that is no more is gone with it.

use std::collections::{BTreeMap, BTreeSet};

use crate::branch;
use crate::document::Document;
use crate::draft::Draft;
use crate::edit::Edit;
use crate::id::{ObjectId, OpId};
use crate::kind::Kind;
use crate::reauthor::Carry;
use crate::sequence::{Element, Sequence};
use crate::state::{Items, Key, Place, State};
use crate::value::{Content, Scalar, Value};
use crate::write::element_place;

/// What holds for the few operations that are written again: the record decoder refuses states whose counters are nearly
/// used up, so that a document that joined one can still write.
const ROOM: &str = "counters of joined states leave room for edits";

/// What is to be written again.
#[derive(Clone, Copy)]
pub(crate) struct Again<'a> {
    /// The state that holds it.
    pub(crate) local: &'a State,
    /// The state that others may have seen: what is in there was synchronized.
    pub(crate) listed: &'a State,
    pub(crate) carry: Carry,
    pub(crate) time: i64,
}

impl Again<'_> {
    /// Tells whether something, or anything inside of it, was never listed.
    fn is_news(&self, id: OpId, content: &Content) -> bool {
        if !self.listed.has_seen(id) {
            return true;
        }
        if content.is_counter() {
            return self.gained(id, content) != 0;
        }
        let object = self.local.objects.get(&ObjectId::Made(id));
        let Some(items) = object.map(|object| &object.items) else {
            return false;
        };
        let has_new_elements = match items {
            Items::Map(..) => false,
            Items::Sequence(_, sequence) => sequence.runs().any(|run| {
                run.body.is_live() && run.end() > self.listed.seen_from(run.start.actor) + 1
            }),
        };
        let is_news = |(id, content, _): (OpId, &Content, Key)| self.is_news(id, content);
        has_new_elements || items.placed().any(is_news)
    }

    /// Returns what a counter gained since it was listed.
    fn gained(&self, id: OpId, content: &Content) -> i64 {
        let Content::Scalar(Scalar::Counter(start)) = content else {
            return 0;
        };
        let is_listed = self.listed.counters.contains_key(&id) && self.listed.has_seen(id);
        let before = if is_listed {
            self.listed.total(id, *start)
        } else {
            0
        };
        self.local.total(id, *start).wrapping_sub(before)
    }
}

impl Document {
    /// Writes what stands at the keys of an object again, at those of another one.
    pub(crate) fn rewrite_keys(&mut self, again: &Again<'_>, old: ObjectId, new: ObjectId) -> Edit {
        let keys = [again.local, again.listed].map(|state| state.keys_in(old));
        let keys = keys.into_iter().flatten().flatten();
        let keys: BTreeSet<&String> = keys.map(|(key, _)| key).collect();
        let nothing = State::new();
        let mut edit = Edit::default();
        for key in keys {
            let place = |object| Place {
                object,
                key: Key::Map(key.clone()),
            };
            let (was, is) = (place(old), place(new));
            if again.local.contents_at(&was).is_empty() && again.carry != Carry::Additions {
                edit.append(self.remove_again(again, &was, &is));
            }
            let is_missing = self.state().contents_at(&is).is_empty();
            let listed = match again.carry {
                Carry::EverythingMissing if is_missing => &nothing,
                _ => again.listed,
            };
            edit.append(self.rewrite_place(&Again { listed, ..*again }, &was, &is));
        }
        edit
    }

    fn rewrite_place(&mut self, again: &Again<'_>, was: &Place, is: &Place) -> Edit {
        let mut edit = self.put_again(again, was, is);
        for (id, content) in again.local.contents_at(was) {
            edit.append(self.rewrite(again, id, &content, is));
        }
        edit
    }

    /// Removes what stands in a place, unless something else came there since it was removed.
    fn remove_again(&mut self, again: &Again<'_>, was: &Place, is: &Place) -> Edit {
        let before = again.listed.contents_at(was);
        let is_known = |(id, content): &(OpId, Content)| {
            again.listed.has_seen(*id) || before.iter().any(|(_, old)| old == content)
        };
        if before.is_empty() || !self.state().contents_at(is).iter().all(is_known) {
            return Edit::default();
        }
        branch!(RemovedAgain);
        self.write_again(again, |draft| draft.clear(is))
    }

    /// Puts the highest scalar of a place that was not listed, unless what wins over it still stands.
    fn put_again(&mut self, again: &Again<'_>, was: &Place, is: &Place) -> Edit {
        let there = self.state().contents_at(is);
        let stands = |id: OpId| there.iter().any(|(other, _)| *other == id);
        let is_gone = |(id, _): &&(OpId, Content)| again.listed.has_seen(*id) && !stands(*id);
        let contents = again.local.contents_at(was);
        let Some((id, content)) = contents.iter().rev().find(|entry| !is_gone(entry)) else {
            return Edit::default();
        };
        let is_written_inside = matches!(is.key, Key::Map(_)) && Kind::of(*id, content).is_some();
        if again.listed.has_seen(*id) || is_written_inside {
            return Edit::default();
        }
        branch!(PutAgain);
        let value = again.local.value(*id, content);
        // What no device of ours could have put is not written again.
        self.compose(again.time, |draft| draft.set(is, &value, 0))
            .unwrap_or_default()
    }

    /// Writes what merges inside again, where a place has the like of it or can have.
    pub(crate) fn rewrite(
        &mut self,
        again: &Again<'_>,
        id: OpId,
        content: &Content,
        is: &Place,
    ) -> Edit {
        let Some(kind) = Kind::of(id, content) else {
            return Edit::default();
        };
        let there = self.state().find_in(is, kind);
        if matches!(is.key, Key::Element(_)) && there != Some(id) {
            return Edit::default();
        }
        match kind {
            Kind::Counter => self.add_again(again, id, content, is),
            Kind::Text | Kind::List => self.insert_again(again, id, kind, is),
            Kind::Map | Kind::Set => {
                let mut edit = Edit::default();
                if there.is_none() && again.is_news(id, content) {
                    edit = self.write_again(again, |draft| {
                        draft.create(is, kind);
                    });
                }
                if let Some(new) = self.state().find_in(is, kind) {
                    let (old, new) = (ObjectId::Made(id), ObjectId::Made(new));
                    edit.append(self.rewrite_keys(again, old, new));
                }
                edit
            }
            Kind::Table => Edit::default(),
        }
    }

    /// Adds what a counter gained to that in a place, whatever else stands there.
    fn add_again(&mut self, again: &Again<'_>, id: OpId, content: &Content, is: &Place) -> Edit {
        let by = again.gained(id, content);
        if by == 0 && again.listed.has_seen(id) {
            return Edit::default();
        }
        branch!(AddedAgain);
        self.write_again(again, |draft| {
            let mut counters = draft.state.counters_in(is);
            if counters.is_empty() {
                counters.push(draft.create(is, Kind::Counter));
            }
            if by != 0 {
                draft.increment(is, &counters, by);
            }
        })
    }

    /// Inserts what was inserted into a list or text since it was listed, and deletes what was deleted if removals are
    /// carried; then goes on inside of the elements that are still there.
    fn insert_again(&mut self, again: &Again<'_>, id: OpId, kind: Kind, is: &Place) -> Edit {
        let object = ObjectId::Made(id);
        let empty = Sequence::default();
        let [old, before] = [again.local, again.listed].map(|state| state.sequence(object));
        let (old, before) = (old.unwrap_or(&empty), before.unwrap_or(&empty));
        let there = self.state().elements_in(is, kind);
        let splices = splices(again, old, before, &there);
        let mut edit = Edit::default();
        if !splices.is_empty() || !again.listed.has_seen(id) {
            branch!(RetypedAgain);
            edit = self.write_again(again, |draft| {
                let there_is = draft.state.find_in(is, kind);
                let new = there_is.unwrap_or_else(|| draft.create(is, kind));
                draft.splice_again(new, &there, &splices);
            });
        }
        let new = self
            .state()
            .find_in(is, kind)
            .filter(|_| kind == Kind::List);
        let Some(new) = new else { return edit };
        for Element { id: element, .. } in there {
            if again.listed.has_seen(element) && old.shows(element) {
                let (was, is) = (element_place(id, element), element_place(new, element));
                edit.append(self.rewrite_place(again, &was, &is));
            }
        }
        edit
    }

    fn write_again(&mut self, again: &Again<'_>, write: impl FnOnce(&mut Draft<'_>)) -> Edit {
        let written = self.compose(again.time, |draft| {
            write(draft);
            Ok(())
        });
        written.expect(ROOM)
    }
}

/// One change of a sequence at a place: delete the element there, then insert before it.
#[derive(Default)]
struct Splice {
    delete: bool,
    insert: Vec<Value>,
}

impl Draft<'_> {
    fn splice_again(&mut self, new: OpId, there: &[Element], splices: &BTreeMap<usize, Splice>) {
        for (at, splice) in splices {
            if splice.delete {
                self.remove_element(new, there[*at].id);
            }
            let behind = at.checked_sub(1).map(|last| there[last].id);
            // Only what no device of ours could have inserted is refused.
            drop(self.insert_values(new, behind, &splice.insert, 0));
        }
    }
}

/// Returns, by position in `there`, what makes it follow the steps from `before` to `old`.
///
/// What was inserted goes behind the nearest element before it that is visible there too, else to the end.
fn splices(
    again: &Again<'_>,
    old: &Sequence,
    before: &Sequence,
    there: &[Element],
) -> BTreeMap<usize, Splice> {
    let Again { listed, carry, .. } = again;
    let index: BTreeMap<OpId, usize> = there
        .iter()
        .enumerate()
        .filter(|(_, element)| listed.has_seen(element.id))
        .map(|(at, element)| (element.id, at))
        .collect();
    let shown = old.elements().into_iter();
    let shown: BTreeMap<OpId, Element> = shown.map(|element| (element.id, element)).collect();
    let related = old.runs().any(|run| index.contains_key(&run.start));
    let mut at = if related { 0 } else { there.len() };
    let mut splices: BTreeMap<usize, Splice> = BTreeMap::new();
    for (run, from, len) in old.ordered() {
        for element in (from..from + len).map(|offset| run.start.plus(offset)) {
            let is_shown = shown.get(&element);
            if let Some(place) = index.get(&element) {
                let is_deleted = is_shown.is_none() && before.shows(element);
                if *carry != Carry::Additions && is_deleted {
                    splices.entry(*place).or_default().delete = true;
                }
                at = place + 1;
            } else if let Some(Element {
                winner, content, ..
            }) = is_shown
                && !listed.has_seen(element)
            {
                let value = again.local.value(*winner, content);
                splices.entry(at).or_default().insert.push(value);
            }
        }
    }
    splices
}
