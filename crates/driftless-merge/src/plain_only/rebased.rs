//! A local edit is made again upon what its plain record became meanwhile.

use driftless_document::{Actor, Document, State, Value};
use driftless_record::{scalar_of, text_of};

use crate::replica::base_name;

/// A local edit and what its record became meanwhile.
pub(crate) struct Rebased<'a> {
    pub(crate) before: Option<&'a str>,
    pub(crate) local: Option<&'a Value>,
    pub(crate) now: Option<&'a str>,
}

impl Rebased<'_> {
    /// Returns what is to be shown, `None` if that is shown already.
    ///
    /// Without an edit, what came. A counter keeps the difference that was counted here, a text what was typed; anything else
    /// that was put or removed here stays, as with an old client whose app lets the last writer win.
    pub(crate) fn text(&self) -> Option<Option<String>> {
        let local = match self.local {
            Some(value) => Some(text_of(value)?),
            None => None,
        };
        if self.before == self.now {
            return None;
        }
        if local.as_deref() == self.before {
            return Some(self.now.map(str::to_owned));
        }
        match (self.local?, self.now?) {
            // Two that counted to the same number have both counted.
            (Value::Counter(total), now) => {
                let before = self.before.map_or(Some(0), number)?;
                let counted = total.wrapping_sub(before);
                Some(Some(number(now)?.wrapping_add(counted).to_string()))
            }
            (Value::Text(local), now) if local != now => {
                Some(Some(merged(self.before.unwrap_or_default(), local, now)?))
            }
            _ => None,
        }
    }
}

/// Returns the number that a text is in its one form.
pub(crate) fn number(text: &str) -> Option<i64> {
    let number: i64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// Merges two texts that were made of one.
fn merged(before: &str, local: &str, now: &str) -> Option<String> {
    const KEY: &str = "text";
    let import = |state: State, author: u8, text: &str| {
        let author = Actor::random([author; 8]);
        let mut document = Document::from_state(base_name(KEY), author, state);
        drop(document.import(KEY, Some(text), scalar_of, 0).ok()?);
        Some(document.state().clone())
    };
    let mut document = Document::new(base_name(KEY), Actor::random([1; 8]));
    drop(document.put_at(&KEY.into(), &Value::text(before), 0).ok()?);
    let state = document.state().clone();
    let there = import(state.clone(), 2, now)?;
    let both = import(state, 3, local)?.join(&there);
    text_of(&both.get(KEY)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(before: Option<&str>, local: Option<Value>, now: Option<&str>, shown: Option<&str>) {
        let rebased = Rebased {
            before,
            local: local.as_ref(),
            now,
        };
        let text = rebased.text();
        let text = text.unwrap_or_else(|| local.as_ref().and_then(text_of));
        assert_eq!(text.as_deref(), shown);
    }

    #[test]
    fn what_came_is_shown_where_nothing_was_edited() {
        check(Some("a"), Some("a".into()), Some("b"), Some("b"));
        check(Some("a"), Some("a".into()), None, None);
        check(None, None, Some("b"), Some("b"));
        check(Some("3"), Some(Value::Counter(3)), Some("x"), Some("x"));
    }

    #[test]
    fn edits_are_made_upon_what_came() {
        check(Some("a"), Some("mine".into()), Some("b"), Some("mine"));
        check(Some("a"), None, Some("b"), None);
        check(Some("a"), Some("mine".into()), None, Some("mine"));
        check(Some("5"), Some(Value::Counter(7)), Some("15"), Some("17"));
        check(Some("5"), Some(Value::Counter(7)), Some("7"), Some("9"));
        check(None, Some(Value::Counter(7)), Some("15"), Some("22"));
        check(Some("5"), Some(Value::Counter(7)), Some("x"), Some("7"));
        let text = Some(Value::text("> old end"));
        check(
            Some("old end"),
            text,
            Some("old new end"),
            Some("> old new end"),
        );
    }

    #[test]
    fn what_has_no_text_is_left_alone() {
        let list = Some(Value::list([1]));
        check(None, list, Some("b"), None);
    }
}
