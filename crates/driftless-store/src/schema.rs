//! The rows: what their keys and values look like as bytes.
//!
//! All rows of a store stand in one keyspace, and the first byte of a key is the row's kind. One keyspace, because what
//! the database writes out of memory is then always a whole number of commits: with several, one may be written out
//! further than another, and a journal that breaks in between would leave a mixture of two commits.
//!
//! ```text
//! key      kind u8 | rest
//!   C      -                           commit     number u64
//!   H      dataset                     head       first u64, next u64, commit u64, parts u8
//!   B      dataset                     base       the snapshot's state
//!   D      dataset                     document   the snapshot's saved document
//!   L      dataset | number u64 BE     log        one delta
//!   R      dataset | record key        record     sync count u64, has value u8, value
//!   Y      dataset                     sync       the sync row
//!   S      name                        setting    its bytes
//!   X      commit u64 BE | key         aside      a row of a dataset that was set aside, as it was
//! dataset  0 | length u8 | name                          of the local owner
//!          1 | length u8 | identity | length u8 | name
//! value    version u8 | kind u8 | checksum [8] | body
//! ```
//!
//! Numbers in values are little endian; those in keys are big endian, so that rows stand in their order. The checksum
//! is the first eight bytes of `blake3(length of key u32 | key | version | kind | body)`, so a row that turned up under
//! another's key is noticed too. The decoder is strict: every length is checked, nothing trails.

use driftless_merge::{DatasetKey, MirroredRecord, Owner};
use driftless_wire::{DatasetName, IdentityId, RecordKey, SyncCount};

/// The version of a row's value.
const VERSION: u8 = 1;
const CHECKSUM_BYTES: usize = 8;
const HEADER_BYTES: usize = 2 + CHECKSUM_BYTES;
/// The length of the commit row's value.
pub(crate) const COMMIT_VALUE_BYTES: usize = HEADER_BYTES + 8;

/// What a row is for, by the first byte of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Commit = b'C',
    Head = b'H',
    Base = b'B',
    Document = b'D',
    Log = b'L',
    Record = b'R',
    Sync = b'Y',
    Setting = b'S',
    Aside = b'X',
}

impl Kind {
    /// The kinds of a dataset's rows.
    pub(crate) const OF_DATASET: [Self; 6] = [
        Self::Head,
        Self::Base,
        Self::Document,
        Self::Log,
        Self::Record,
        Self::Sync,
    ];

    /// Makes the key of a dataset's only row of this kind, which is also the prefix of its rows of this kind.
    pub(crate) fn key(self, dataset: &DatasetKey) -> Vec<u8> {
        let mut key = vec![self as u8];
        put_owner(&mut key, dataset.owner());
        put_short(&mut key, dataset.name().as_str());
        key
    }

    /// Makes the prefix of the rows of this kind of all of an owner's datasets.
    pub(crate) fn prefix(self, owner: &Owner) -> Vec<u8> {
        let mut key = vec![self as u8];
        put_owner(&mut key, owner);
        key
    }
}

pub(crate) fn commit_key() -> Vec<u8> {
    vec![Kind::Commit as u8]
}

pub(crate) fn log_key(dataset: &DatasetKey, number: u64) -> Vec<u8> {
    let mut key = Kind::Log.key(dataset);
    key.extend(number.to_be_bytes());
    key
}

pub(crate) fn record_key(dataset: &DatasetKey, record: &RecordKey) -> Vec<u8> {
    let mut key = Kind::Record.key(dataset);
    key.extend(record.as_str().as_bytes());
    key
}

pub(crate) fn setting_key(name: &str) -> Vec<u8> {
    let mut key = vec![Kind::Setting as u8];
    key.extend(name.as_bytes());
    key
}

/// Reads the name out of the key of a setting.
pub(crate) fn parse_setting_key(key: &[u8]) -> Option<String> {
    let (&kind, name) = key.split_first()?;
    let name = std::str::from_utf8(name).ok()?;
    (kind == Kind::Setting as u8).then(|| name.to_owned())
}

/// Makes the key under which the row at `key` is kept once commit `number` set its dataset aside.
pub(crate) fn aside_key(number: u64, key: &[u8]) -> Vec<u8> {
    let mut aside = vec![Kind::Aside as u8];
    aside.extend(number.to_be_bytes());
    aside.extend(key);
    aside
}

fn put_owner(key: &mut Vec<u8>, owner: &Owner) {
    match owner {
        Owner::Local => key.push(0),
        Owner::Identity(id) => {
            key.push(1);
            put_short(key, id.as_str());
        }
    }
}

fn put_short(key: &mut Vec<u8>, text: &str) {
    let length =
        u8::try_from(text.len()).expect("names and identities are ASCII of at most 128 characters");
    key.push(length);
    key.extend(text.as_bytes());
}

/// Reads the dataset out of the key of its head row.
pub(crate) fn parse_head_key(key: &[u8]) -> Option<DatasetKey> {
    let (&kind, rest) = key.split_first()?;
    let (owner, rest) = match rest.split_first()? {
        (0, rest) => (Owner::Local, rest),
        (1, rest) => {
            let (id, rest) = take_short(rest)?;
            (Owner::Identity(IdentityId::try_from(id).ok()?), rest)
        }
        _ => return None,
    };
    let (name, rest) = take_short(rest)?;
    let name = DatasetName::try_from(name).ok()?;
    (kind == Kind::Head as u8 && rest.is_empty()).then(|| DatasetKey::new(owner, name))
}

fn take_short(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (&length, rest) = bytes.split_first()?;
    let (text, rest) = rest.split_at_checked(length.into())?;
    Some((std::str::from_utf8(text).ok()?, rest))
}

/// Frames a row's body as the value to be stored at `key`.
pub(crate) fn seal(key: &[u8], body: &[u8]) -> Vec<u8> {
    let header = [VERSION, key[0]];
    let mut value = Vec::with_capacity(HEADER_BYTES + body.len());
    value.extend(header);
    value.extend(checksum(key, header, body));
    value.extend(body);
    value
}

/// Why a row's value is not what was stored at its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The bytes are not those that were written.
    Checksum,
    /// The row was written by a newer version.
    Version(u8),
}

/// Returns the body of the row at `key`, which has a kind.
pub(crate) fn unseal<'a>(key: &[u8], value: &'a [u8]) -> Result<&'a [u8], Fault> {
    let (header, body) = value
        .split_at_checked(HEADER_BYTES)
        .ok_or(Fault::Checksum)?;
    if header[0] != VERSION {
        return Err(Fault::Version(header[0]));
    }
    let whole = header[1] == key[0] && header[2..] == checksum(key, [VERSION, key[0]], body);
    whole.then_some(body).ok_or(Fault::Checksum)
}

fn checksum(key: &[u8], header: [u8; 2], body: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let length = u32::try_from(key.len()).expect("keys are far below 4 GiB");
    let mut hasher = blake3::Hasher::new();
    hasher
        .update(&length.to_le_bytes())
        .update(key)
        .update(&header)
        .update(body);
    let mut checksum = [0; CHECKSUM_BYTES];
    checksum.copy_from_slice(&hasher.finalize().as_bytes()[..CHECKSUM_BYTES]);
    checksum
}

/// What a dataset has: tells a missing row from one that never was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    /// The number of the oldest log row.
    pub(crate) first: u64,
    /// The number that the next log row gets.
    pub(crate) next: u64,
    /// The number of the commit that wrote this.
    pub(crate) commit: u64,
    pub(crate) has_base: bool,
    pub(crate) has_document: bool,
    pub(crate) has_sync: bool,
}

impl Head {
    pub(crate) fn to_body(self) -> Vec<u8> {
        let parts = u8::from(self.has_base)
            | u8::from(self.has_document) << 1
            | u8::from(self.has_sync) << 2;
        let mut body = Vec::with_capacity(25);
        for number in [self.first, self.next, self.commit] {
            body.extend(number.to_le_bytes());
        }
        body.push(parts);
        body
    }

    pub(crate) fn from_body(body: &[u8]) -> Option<Self> {
        let (first, rest) = take_u64(body)?;
        let (next, rest) = take_u64(rest)?;
        let (commit, rest) = take_u64(rest)?;
        let &[parts @ 0..8] = rest else { return None };
        (first <= next).then_some(Self {
            first,
            next,
            commit,
            has_base: parts & 1 != 0,
            has_document: parts & 2 != 0,
            has_sync: parts & 4 != 0,
        })
    }
}

/// Returns the number in the commit row, or `None` if this is another row or not whole.
pub(crate) fn commit_number(key: &[u8], value: &[u8]) -> Option<u64> {
    let body = (key == commit_key()).then(|| unseal(key, value).ok())??;
    let (number, rest) = take_u64(body)?;
    rest.is_empty().then_some(number)
}

pub(crate) fn record_to_body(record: &MirroredRecord) -> Vec<u8> {
    let mut body = record.sync_count.get().to_le_bytes().to_vec();
    body.push(u8::from(record.value.is_some()));
    body.extend(record.value.as_deref().unwrap_or_default().as_bytes());
    body
}

pub(crate) fn record_from_body(body: &[u8]) -> Option<MirroredRecord> {
    let (count, rest) = take_u64(body)?;
    let sync_count = SyncCount::try_from(count.cast_signed()).ok()?;
    let value = match rest.split_first()? {
        (0, []) => None,
        (1, text) => Some(std::str::from_utf8(text).ok()?.to_owned()),
        _ => return None,
    };
    Some(MirroredRecord { value, sync_count })
}

fn take_u64(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u64::from_le_bytes(*number), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dataset(owner: Owner, name: &str) -> DatasetKey {
        DatasetKey::new(owner, name.parse().unwrap())
    }

    fn identity() -> Owner {
        Owner::Identity("us-east-1:0a".parse().unwrap())
    }

    #[test]
    fn a_head_key_names_its_dataset() {
        for dataset in [dataset(Owner::Local, "notes"), dataset(identity(), "notes")] {
            let key = Kind::Head.key(&dataset);
            assert_eq!(parse_head_key(&key), Some(dataset));
            for end in 0..key.len() {
                assert_eq!(parse_head_key(&key[..end]), None);
            }
        }
    }

    #[test]
    fn no_datasets_keys_begin_with_anothers() {
        let datasets = [
            dataset(Owner::Local, "a"),
            dataset(Owner::Local, "ab"),
            dataset(identity(), "a"),
            dataset(identity(), "ab"),
        ];
        for a in &datasets {
            for b in &datasets {
                assert_eq!(Kind::Log.key(b).starts_with(&Kind::Log.key(a)), a == b);
            }
        }
    }

    #[test]
    fn log_keys_stand_in_the_order_of_their_numbers() {
        let notes = dataset(Owner::Local, "notes");
        assert!(log_key(&notes, 255) < log_key(&notes, 256));
    }

    #[test]
    fn any_changed_bit_of_a_row_is_noticed() {
        let key = log_key(&dataset(Owner::Local, "notes"), 7);
        let value = seal(&key, b"delta");
        assert_eq!(unseal(&key, &value), Ok(b"delta".as_slice()));
        for bit in 0..value.len() * 8 {
            let mut rotten = value.clone();
            rotten[bit / 8] ^= 1 << (bit % 8);
            assert!(unseal(&key, &rotten).is_err(), "bit {bit}");
        }
        for end in 0..value.len() {
            assert!(unseal(&key, &value[..end]).is_err(), "prefix {end}");
        }
    }

    #[test]
    fn a_row_under_another_rows_key_is_noticed() {
        let notes = dataset(Owner::Local, "notes");
        let value = seal(&log_key(&notes, 7), b"delta");
        assert_eq!(unseal(&log_key(&notes, 8), &value), Err(Fault::Checksum));
    }

    #[test]
    fn a_row_of_a_newer_version_is_told_from_a_damaged_one() {
        let key = setting_key("identity");
        let mut value = seal(&key, b"x");
        value[0] = 2;
        assert_eq!(unseal(&key, &value), Err(Fault::Version(2)));
    }

    #[test]
    fn bodies_come_back_and_nothing_else_is_taken_for_one() {
        let head = Head {
            first: 3,
            next: 9,
            commit: 12,
            has_base: true,
            has_document: false,
            has_sync: true,
        };
        let tombstone = MirroredRecord {
            value: None,
            sync_count: SyncCount::from(4),
        };
        let empty = MirroredRecord {
            value: Some(String::new()),
            ..tombstone.clone()
        };
        assert_eq!(Head::from_body(&head.to_body()), Some(head));
        assert_eq!(Head::from_body(&Head { first: 10, ..head }.to_body()), None);
        assert_eq!(
            record_from_body(&record_to_body(&tombstone)),
            Some(tombstone.clone())
        );
        assert_eq!(record_from_body(&record_to_body(&empty)), Some(empty));
        for body in [head.to_body(), record_to_body(&tombstone)] {
            let longer = [body.as_slice(), &[0]].concat();
            for other in (0..body.len())
                .map(|end| &body[..end])
                .chain([longer.as_slice()])
            {
                assert_eq!(Head::from_body(other), None);
                assert_eq!(record_from_body(other), None);
            }
        }
    }
}
