//! What a foreign hand wrote as text at a root key: an old client, a console or a Lambda, which know no operations.
//!
//! It becomes an edit of whoever imports it, and replaces only the value that was shown to that hand, not what stands beside
//! it in conflict. The type stays as far as the text allows: a counter gains the difference, a text what was typed.

use crate::document::Document;
use crate::draft::Draft;
use crate::edit::{Edit, EditError};
use crate::id::{Actor, OpId};
use crate::path::{check_root_key, is_root_key};
use crate::state::Place;
use crate::value::{Content, ObjectType, Scalar};

/// Reads a text as a scalar of the type of another one, where it is one.
pub type ReadScalar = fn(&str, &Scalar) -> Scalar;

impl Document {
    /// Tells whether a dataset can have this key.
    #[must_use]
    pub fn is_key(key: &str) -> bool {
        is_root_key(key)
    }

    /// Imports what a foreign hand left at a key: a text, or nothing where it removed the record.
    ///
    /// This document must show what was shown to it.
    ///
    /// # Errors
    ///
    /// [`EditError::Key`] if no dataset has such a key, [`EditError::Exhausted`].
    pub fn import(
        &mut self,
        key: &str,
        text: Option<&str>,
        read: ReadScalar,
        time: i64,
    ) -> Result<Edit, EditError> {
        check_root_key(key)?;
        self.compose(time, |draft| {
            draft.import(&Place::root(key), text, read);
            Ok(())
        })
    }

    /// Removes what stands at a key and was written by anybody but `own`; what that author wrote there stays.
    ///
    /// # Errors
    ///
    /// [`EditError::Key`] if no dataset has such a key, [`EditError::Exhausted`].
    pub fn remove_others(&mut self, key: &str, own: Actor, time: i64) -> Result<Edit, EditError> {
        self.remove_if(key, time, |author| author != own)
    }

    /// Removes what an author wrote at a key; what stands beside it stays.
    ///
    /// # Errors
    ///
    /// [`EditError::Key`] if no dataset has such a key, [`EditError::Exhausted`].
    pub fn remove_of(&mut self, key: &str, author: Actor, time: i64) -> Result<Edit, EditError> {
        self.remove_if(key, time, |other| other == author)
    }

    fn remove_if(
        &mut self,
        key: &str,
        time: i64,
        goes: impl Fn(Actor) -> bool,
    ) -> Result<Edit, EditError> {
        check_root_key(key)?;
        self.compose(time, |draft| {
            let place = Place::root(key);
            let ids = draft
                .state
                .contents_at(&place)
                .into_iter()
                .map(|(id, _)| id);
            let going: Vec<OpId> = ids.filter(|id| goes(id.actor)).collect();
            draft.remove(&place, &going);
            Ok(())
        })
    }
}

impl Draft<'_> {
    fn import(&mut self, place: &Place, text: Option<&str>, read: ReadScalar) {
        let shown = self.state.contents_at(place).pop();
        match (shown, text) {
            (None, None) => {}
            (None, Some(text)) => self.write_text(place, &[], text),
            (Some((id, _)), None) => self.remove(place, &[id]),
            (Some((id, content)), Some(text)) => self.import_over(place, id, &content, text, read),
        }
    }

    fn import_over(
        &mut self,
        place: &Place,
        id: OpId,
        content: &Content,
        text: &str,
        read: ReadScalar,
    ) {
        match content {
            Content::Object(ObjectType::Text) => self.set_text(id, text),
            // It has no record, so that nothing was shown.
            Content::Object(_) => self.write_text(place, &[], text),
            Content::Scalar(Scalar::Counter(_)) => match text.parse::<i64>() {
                Ok(new) if new.to_string() == text => {
                    let total = self.state.value(id, content).as_i64().unwrap_or(0);
                    if new != total {
                        self.increment(place, &[id], new.wrapping_sub(total));
                    }
                }
                _ => self.write_text(place, &[id], text),
            },
            Content::Scalar(scalar) => {
                let scalar = read(text, scalar);
                self.replace(place, &[id], &Content::Scalar(scalar));
            }
        }
    }

    fn write_text(&mut self, place: &Place, replaced: &[OpId], text: &str) {
        self.replace(place, replaced, &Content::Scalar(Scalar::from(text)));
    }
}
