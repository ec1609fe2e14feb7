//! The body of the fuzz target: any bytes, read as each thing that this crate reads from disk.

use crate::journal;
use crate::mark::Mark;
use crate::schema::{self, Head, Kind};

/// Reads bytes as a row's key, value and body, as a journal and as a mark; what can be made out comes back the same.
///
/// # Panics
///
/// If a reader takes for whole what its writer would not have written.
pub fn read_any(bytes: &[u8]) {
    if let Some(dataset) = schema::parse_head_key(bytes) {
        assert_eq!(Kind::Head.key(&dataset), bytes);
    }
    if let Some(head) = Head::from_body(bytes) {
        assert_eq!(head.to_body(), bytes);
    }
    if let Some(record) = schema::record_from_body(bytes) {
        assert_eq!(schema::record_to_body(&record), bytes);
    }
    if let Some(number) = schema::commit_number(&schema::commit_key(), bytes) {
        assert_eq!(
            schema::seal(&schema::commit_key(), &number.to_le_bytes()),
            bytes
        );
    }
    if let Some(mark) = Mark::from_bytes(bytes) {
        assert_eq!(mark.to_bytes(), bytes);
    }
    assert!(journal::whole_bytes(bytes) <= bytes.len() as u64);
}

#[cfg(test)]
mod tests {
    use driftless_merge::{DatasetKey, Owner};
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Bytes with the beginning of something that is read, and any bytes after it.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let notes = DatasetKey::new(Owner::Local, "notes".parse().unwrap());
        let starts = [
            vec![],
            Kind::Head.key(&notes),
            vec![1, 1, 0, 0, 0],
            vec![0; 8],
        ];
        (
            prop::sample::select(starts.to_vec()),
            vec(any::<u8>(), 0..200),
        )
            .prop_map(|(start, rest)| [start, rest].concat())
    }

    proptest! {
        /// Any bytes are refused or come back the same.
        #[test]
        fn any_bytes_are_refused_or_come_back(bytes in bytes()) {
            read_any(&bytes);
        }
    }
}
