//! Values that stand beside each other at one place, as if devices had put them without knowing of each other.
//!
//! Each comes from an author of its own, who saw everything that stood here before and nothing of the others. So they take
//! the place of what stood there, and none takes the place of another.

use crate::document::Document;
use crate::edit::{Edit, EditError};
use crate::id::Actor;
use crate::path::Path;
use crate::value::{Scalar, Value};

impl Document {
    /// Puts several values at each place, the one to be shown first.
    ///
    /// `authors` are at least as many as one place has values, each drawn for this call alone. The order holds among scalars;
    /// what merges inside is made by the author that all devices share, so look what is shown. It builds the document anew
    /// for each author.
    ///
    /// # Errors
    ///
    /// [`EditError`] if one of the values cannot be put; none is put then.
    pub fn put_concurrently(
        &mut self,
        places: &[(Path, Vec<Value>)],
        authors: Vec<Actor>,
        time: i64,
    ) -> Result<Edit, EditError> {
        let before = self.state().clone();
        let mut whole = Edit::default();
        for (rank, author) in authors.into_iter().enumerate().rev() {
            let mut state = before.clone();
            // The author begins above all others, so that the later one is shown.
            state.clock.insert(author, self.state().max_counter());
            let mut fork = Self::from_state(self.name(), author, state);
            let values = places.iter();
            let mut values = values.filter_map(|(path, values)| Some((path, values.get(rank)?)));
            let put = values.try_fold(Edit::default(), |mut edit, (path, value)| {
                edit.append(fork.put_anew(path, value, time)?);
                Ok(edit)
            });
            let put = put.inspect_err(|_| self.restore(before.clone()))?;
            if !put.is_empty() {
                whole.append(Edit::new(self.join(fork.state()), put.into_changes()));
            }
        }
        Ok(whole)
    }

    /// Puts a value by a new operation, also where an equal one stands that the other authors take away.
    fn put_anew(&mut self, path: &Path, value: &Value, time: i64) -> Result<Edit, EditError> {
        let put = self.put_at(path, value, time)?;
        if !put.is_empty() {
            return Ok(put);
        }
        let other = match value {
            Value::Scalar(Scalar::Null) => Scalar::Bool(false),
            _ => Scalar::Null,
        };
        let mut edit = self.put_at(path, &other.into(), time)?;
        edit.append(self.put_at(path, value, time)?);
        Ok(edit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(before: &[i64], values: &[i64]) {
        let mut document = Document::new("notes", Actor::random([1; 8]));
        let mut whole = document.clone();
        for value in before {
            let edit = document.put("k", Scalar::Int(*value), 0).unwrap();
            whole = replayed(whole, &edit);
        }
        let number = |value: &i64| Value::Scalar(Scalar::Int(*value));
        let places = [(Path::from("k"), values.iter().map(number).collect())];
        // Of equal counters the author of the last value would win.
        let authors = (0..values.len()).map(|n| Actor::random([2 + n as u8; 8]));
        let edit = document.put_concurrently(&places, authors.collect(), 0);
        whole = replayed(whole, &edit.unwrap());
        let shown: Vec<Value> = document
            .state()
            .conflicts("k")
            .into_iter()
            .map(|it| it.value)
            .collect();
        assert_eq!(shown, values.iter().map(number).collect::<Vec<_>>());
        assert_eq!(whole.state(), document.state(), "the deltas say the same");
        let later = document.put("k", Scalar::Int(99), 0).unwrap();
        assert!(!later.is_empty() && document.state().conflicts("k").len() == 1);
    }

    fn replayed(document: Document, edit: &Edit) -> Document {
        let state = edit
            .deltas
            .iter()
            .fold(document.state().clone(), |state, delta| {
                state.apply(delta).unwrap()
            });
        Document::from_state("notes", document.actor(), state)
    }

    #[test]
    fn values_stand_beside_each_other_in_their_order() {
        check(&[], &[3, 1, 2]);
        check(&[7], &[3, 1]);
        check(&[1, 3], &[3, 1]);
    }

    #[test]
    fn value_that_cannot_be_put_leaves_everything_as_it_was() {
        let mut document = Document::new("notes", Actor::random([1; 8]));
        let authors = vec![Actor::random([2; 8]), Actor::random([3; 8])];
        let value = |scalar: Scalar| Value::Scalar(scalar);
        let places = [(
            Path::from("k"),
            vec![value(Scalar::Counter(1)), value(Scalar::Null)],
        )];
        assert!(document.put_concurrently(&places, authors, 0).is_err());
        assert!(document.state().is_blank());
        assert!(document.state().clock().is_empty());
    }
}
