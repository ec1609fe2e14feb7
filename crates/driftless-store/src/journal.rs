//! The database's journal, checked before the database sees it.
//!
//! The database (fjall 3.1) cuts its journal at the first byte that makes no sense, without telling, refuses to open at
//! a wrong checksum, and believes lengths and sequence numbers that no checksum covers. So every journal is read here
//! first, and what is not whole is copied, then cut off: the database only ever opens a journal of whole batches in
//! order, and who opens the store learns what was cut. In order means that sequence numbers rise, that the commit number
//! which each batch carries is one more than that of the batch before, and that both agree with what stands in tables
//! already: see [`Order`].
//!
//! ```text
//! journal  batch … | zeros (64 MiB are allocated ahead)
//! batch    1 | items u32 | sequence number u64 | item … | 3 | xxh3 of the items u64 | "FJL" 3
//! item     2 | type u8 | compression u8 | keyspace u64 | key length u16 | value length u32 | stored length u32
//!            | key | value as stored
//! ```
//!
//! Numbers are little endian. The journals of a store are its files `<number>.jnl`, oldest first.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use crate::schema;

const BUFFER_BYTES: usize = 64 * 1024;
static ZEROS: [u8; BUFFER_BYTES] = [0; BUFFER_BYTES];
const TRAILER: [u8; 4] = *b"FJL\x03";
/// The bytes of an item before its key, without the tag.
const ITEM_HEADER_BYTES: usize = 20;
/// Sequence numbers above are a sign of damage; the database keeps the highest bit for itself.
const MAX_SEQUENCE: u64 = 1 << 48;

/// What the journals are.
#[derive(Debug)]
pub(crate) struct Checked {
    /// How many bytes of whole batches there are.
    pub(crate) whole: u64,
    broken: Option<Broken>,
}

/// A journal that is not whole, and those after it.
#[derive(Debug)]
struct Broken {
    journals: Vec<PathBuf>,
    extent: Extent,
}

/// Returns the journals in `rows`, oldest first.
pub(crate) fn list(rows: &Path) -> io::Result<Vec<PathBuf>> {
    let mut journals = Vec::new();
    for entry in fs::read_dir(rows)? {
        let path = entry?.path();
        let number = path
            .file_name()
            .and_then(|name| name.to_str()?.strip_suffix(".jnl")?.parse::<u64>().ok());
        journals.extend(number.map(|number| (number, path)));
    }
    journals.sort();
    Ok(journals.into_iter().map(|(_, path)| path).collect())
}

/// Checks the journals in `rows`. `tables` is the last commit that stands in tables.
pub(crate) fn check(rows: &Path, tables: Option<Place>) -> io::Result<Checked> {
    let mut journals = list(rows)?;
    let mut whole = 0;
    let mut order = Order { tables, last: None };
    for (at, path) in journals.iter().enumerate() {
        let extent = scan(File::open(path)?, &mut order)?;
        whole += extent.whole;
        if extent.used > extent.whole {
            let journals = journals.split_off(at);
            let broken = Some(Broken { journals, extent });
            return Ok(Checked { whole, broken });
        }
    }
    let broken = None;
    Ok(Checked { whole, broken })
}

impl Checked {
    /// Tells whether something has to be cut off.
    pub(crate) const fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    /// Cuts the journals after the last whole batch, keeps what they were before that in `copy`, and returns how many bytes
    /// were cut off, up to the last one that was not zero.
    ///
    /// A journal after one that had to be cut goes as a whole: its batches build on what is missing.
    pub(crate) fn cut(&self, copy: &Path) -> io::Result<u64> {
        let broken = self.broken.as_ref();
        broken.map_or(Ok(0), |broken| cut(&broken.journals, broken.extent, copy))
    }
}

/// Copies the journals, cuts the first one, removes the others, and returns how many bytes that took.
fn cut(journals: &[PathBuf], extent: Extent, copy: &Path) -> io::Result<u64> {
    if copy.exists() {
        fs::remove_dir_all(copy)?;
    }
    fs::create_dir(copy)?;
    let mut used = extent.used;
    let mut cut = extent.used - extent.whole;
    for (at, path) in journals.iter().enumerate() {
        if at > 0 {
            used = filled(File::open(path)?)?;
            cut += used;
        }
        let name = path
            .file_name()
            .expect("journals are listed by their names");
        let mut to = File::create_new(copy.join(name))?;
        io::copy(&mut File::open(path)?.take(used), &mut to)?;
        to.sync_all()?;
    }
    sync_dir(copy)?;
    // The newest first: what is left is in order after a crash in between.
    for path in journals[1..].iter().rev() {
        fs::remove_file(path)?;
    }
    let file = OpenOptions::new().write(true).open(&journals[0])?;
    file.set_len(extent.whole)?;
    file.sync_all()?;
    Ok(cut)
}

/// Makes the entries of a directory durable.
pub(crate) fn sync_dir(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(path)?.sync_all()
    } else {
        Ok(())
    }
}

/// How far a journal is filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Extent {
    /// The end of the last whole batch.
    whole: u64,
    /// The end of the last byte that is not zero.
    used: u64,
}

/// Where a batch stands in the order of batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) sequence: u64,
    pub(crate) commit: u64,
}

/// Which batch may come next.
///
/// The database passes over a batch whose sequence number stands in tables, so that must be those of the commits that do:
/// a wrong number, which no checksum covers, would leave one out or do one again over those after it. What was passed over
/// may have holes, for a journal is gone on with after it was cut before what stands in tables; what comes after may not.
#[derive(Debug, Default)]
struct Order {
    /// The last commit in tables.
    tables: Option<Place>,
    /// The last batch.
    last: Option<Place>,
}

impl Order {
    /// Takes a batch if it is the next one, and returns whether it is.
    fn take(&mut self, place: Place) -> bool {
        let commit = |place: Option<Place>| place.map_or(0, |place| place.commit);
        let is_in_tables = self
            .tables
            .is_some_and(|tables| place.sequence <= tables.sequence);
        let is_next = if is_in_tables {
            (commit(self.last) + 1..=commit(self.tables)).contains(&place.commit)
        } else {
            place.commit == commit(self.last).max(commit(self.tables)) + 1
        };
        let rises = self.last.is_none_or(|last| place.sequence > last.sequence);
        if is_next && rises {
            self.last = Some(place);
        }
        is_next && rises
    }
}

/// Reads a journal, whose batches must be the next ones.
fn scan(source: impl Read, order: &mut Order) -> io::Result<Extent> {
    let mut reader = Reader::new(source);
    let mut whole = 0;
    while let Some(place) = reader.batch()? {
        if !order.take(place) {
            break;
        }
        whole = reader.at;
    }
    reader.skip_rest()?;
    Ok(Extent {
        whole,
        used: reader.used.max(whole),
    })
}

/// Returns how many of a journal's bytes are whole batches.
pub(crate) fn whole_bytes(journal: &[u8]) -> u64 {
    scan(journal, &mut Order::default()).map_or(0, |extent| extent.whole)
}

/// Returns the end of the last byte that is not zero.
fn filled(source: impl Read) -> io::Result<u64> {
    let mut reader = Reader::new(source);
    reader.skip_rest()?;
    Ok(reader.used)
}

/// Reads forward and remembers the last byte that was not zero.
struct Reader<R> {
    source: BufReader<R>,
    at: u64,
    used: u64,
}

impl<R: Read> Reader<R> {
    fn new(source: R) -> Self {
        Self {
            source: BufReader::with_capacity(BUFFER_BYTES, source),
            at: 0,
            used: 0,
        }
    }

    /// Reads a batch and returns its place, or `None` if it is not whole.
    fn batch(&mut self) -> io::Result<Option<Place>> {
        let Some([1]) = self.array()? else {
            return Ok(None);
        };
        let Some(items) = self.array()?.map(u32::from_le_bytes) else {
            return Ok(None);
        };
        let Some(sequence) = self.array()?.map(u64::from_le_bytes) else {
            return Ok(None);
        };
        let mut hasher = Xxh3::new();
        let mut commit = None;
        for _ in 0..items {
            if !self.item(&mut hasher, &mut commit)? {
                return Ok(None);
            }
        }
        let Some([3]) = self.array()? else {
            return Ok(None);
        };
        let Some(checksum) = self.array()?.map(u64::from_le_bytes) else {
            return Ok(None);
        };
        let whole = checksum == hasher.digest()
            && self.array()? == Some(TRAILER)
            && sequence < MAX_SEQUENCE;
        Ok(commit
            .filter(|_| whole)
            .map(|commit| Place { sequence, commit }))
    }

    /// Reads an item, and the commit number if it is that row; `false` if it is not whole.
    fn item(&mut self, hasher: &mut Xxh3, commit: &mut Option<u64>) -> io::Result<bool> {
        let Some([2]) = self.array()? else {
            return Ok(false);
        };
        let Some(header) = self.array::<ITEM_HEADER_BYTES>()? else {
            return Ok(false);
        };
        let key: u64 = u16::from_le_bytes([header[10], header[11]]).into();
        let stored: u64 =
            u32::from_le_bytes([header[16], header[17], header[18], header[19]]).into();
        hasher.update(&[2]);
        hasher.update(&header);
        if key != 1 || stored != schema::COMMIT_VALUE_BYTES as u64 {
            return self.hash(key + stored, hasher);
        }
        let Some(row) = self.array::<{ 1 + schema::COMMIT_VALUE_BYTES }>()? else {
            return Ok(false);
        };
        hasher.update(&row);
        *commit = commit.or(schema::commit_number(&row[..1], &row[1..]));
        Ok(true)
    }

    /// Hashes `length` bytes; `false` if the journal ends before.
    fn hash(&mut self, length: u64, hasher: &mut Xxh3) -> io::Result<bool> {
        let mut left = length;
        let mut chunk = [0; 4096];
        while left > 0 {
            let wanted = chunk.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            if !self.fill(&mut chunk[..wanted])? {
                return Ok(false);
            }
            hasher.update(&chunk[..wanted]);
            left -= wanted as u64;
        }
        Ok(true)
    }

    fn array<const N: usize>(&mut self) -> io::Result<Option<[u8; N]>> {
        let mut bytes = [0; N];
        Ok(self.fill(&mut bytes)?.then_some(bytes))
    }

    /// Fills `bytes`; `false` if the journal ends before.
    fn fill(&mut self, bytes: &mut [u8]) -> io::Result<bool> {
        let mut filled = 0;
        while filled < bytes.len() {
            match self.source.read(&mut bytes[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        // Most of a new journal is zeros, and comparing is much faster than looking for the last other byte.
        if bytes[..filled] != ZEROS[..filled] {
            let last = bytes[..filled]
                .iter()
                .rposition(|&byte| byte != 0)
                .unwrap_or(0);
            self.used = self.at + last as u64 + 1;
        }
        self.at += filled as u64;
        Ok(filled == bytes.len())
    }

    fn skip_rest(&mut self) -> io::Result<()> {
        let mut chunk = vec![0; BUFFER_BYTES];
        while self.fill(&mut chunk)? {}
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn item(key: &[u8], value: &[u8]) -> Vec<u8> {
        let length = u32::try_from(value.len()).unwrap().to_le_bytes();
        let mut item = vec![2, 0, 0];
        item.extend(1_u64.to_le_bytes());
        item.extend(u16::try_from(key.len()).unwrap().to_le_bytes());
        item.extend([length, length].concat());
        item.extend([key, value].concat());
        item
    }

    fn batch(number: u64, values: &[&[u8]]) -> Vec<u8> {
        batch_at(2 * number, number, values)
    }

    fn batch_at(sequence: u64, number: u64, values: &[&[u8]]) -> Vec<u8> {
        let key = schema::commit_key();
        let mut items = item(&key, &schema::seal(&key, &number.to_le_bytes()));
        items.extend(values.iter().flat_map(|value| item(b"key", value)));
        let mut hasher = Xxh3::new();
        hasher.update(&items);
        let mut batch = vec![1];
        batch.extend(u32::try_from(values.len() + 1).unwrap().to_le_bytes());
        batch.extend(sequence.to_le_bytes());
        batch.extend(items);
        batch.push(3);
        batch.extend(hasher.digest().to_le_bytes());
        batch.extend(TRAILER);
        batch
    }

    /// The order of a journal when this commit is the last one in tables.
    fn after(commit: u64) -> Order {
        let sequence = 2 * commit;
        Order {
            tables: Some(Place { sequence, commit }),
            last: None,
        }
    }

    fn check(journal: &[u8], whole: usize, used: usize) {
        let expected = Extent {
            whole: whole as u64,
            used: used as u64,
        };
        assert_eq!(scan(journal, &mut after(3)).unwrap(), expected);
    }

    #[test]
    fn whole_batches_are_taken_and_zeros_after_them_are_nothing() {
        let journal = [batch(4, &[b"a", b"b"]), batch(5, &[b""])].concat();
        check(&journal, journal.len(), journal.len());
        check(
            &[journal.as_slice(), &[0; 10_000]].concat(),
            journal.len(),
            journal.len(),
        );
        check(&[], 0, 0);
    }

    #[test]
    fn a_hole_in_the_numbers_ends_a_journal() {
        let first = batch(4, &[b"a"]);
        for number in [3, 4, 6] {
            let journal = [first.clone(), batch(number, &[b"b"])].concat();
            check(&journal, first.len(), journal.len());
        }
    }

    /// The commits up to 3 stand in tables, with sequence numbers up to 6.
    #[test]
    fn a_journal_follows_on_the_tables() {
        let whole = |journal: &[u8]| check(journal, journal.len(), journal.len());
        let nothing = |journal: &[u8]| check(journal, 0, journal.len());
        whole(&[batch(2, &[]), batch(3, &[]), batch(4, &[])].concat());
        whole(&[batch(1, &[]), batch(3, &[])].concat());
        whole(&[batch(1, &[]), batch(4, &[])].concat());
        // A journal before this one is missing or empty.
        nothing(&batch(5, &[]));
        // It would be passed over, or done again over what came after it.
        nothing(&batch_at(6, 4, &[]));
        nothing(&batch_at(7, 2, &[]));
    }

    #[test]
    fn every_prefix_ends_at_the_batch_before() {
        let (first, second) = (batch(4, &[b"a"]), batch(5, &[b"b"]));
        let journal = [first.clone(), second].concat();
        for end in first.len()..journal.len() {
            let used = journal[..end].iter().rposition(|&byte| byte != 0).unwrap() + 1;
            check(&journal[..end], first.len(), used);
        }
    }

    /// Only the sequence number is under no checksum. What is kept is in order even if it changed.
    #[test]
    fn a_changed_bit_ends_a_journal_at_a_whole_batch() {
        let batches = [batch(4, &[b"a"]), batch(5, &[b"b"]), batch(6, &[b"c"])];
        let ends = [1, 2, 3].map(|count| batches[..count].concat().len());
        for bit in 0..batches[1].len() * 8 {
            let mut rotten = batches[1].clone();
            rotten[bit / 8] ^= 1 << (bit % 8);
            let journal = [batches[0].as_slice(), &rotten, &batches[2]].concat();
            let whole = scan(journal.as_slice(), &mut after(3)).unwrap().whole as usize;
            let in_sequence = (5..13).contains(&(bit / 8));
            assert!(
                whole == ends[0] || in_sequence && ends.contains(&whole),
                "bit {bit}"
            );
        }
    }

    #[test]
    fn a_length_over_the_end_is_not_believed() {
        let mut journal = batch(4, &[b"a"]);
        let stored = journal
            .windows(3)
            .position(|bytes| bytes == b"key")
            .unwrap()
            - 4;
        journal[stored..stored + 4].fill(0xff);
        check(&journal, 0, journal.len());
    }

    #[test]
    fn journals_after_one_that_is_cut_go_as_a_whole_and_all_are_kept_in_the_copy() {
        let home = tempfile::tempdir().unwrap();
        let (rows, copy) = (home.path().join("rows"), home.path().join("copy"));
        let torn = batch(5, &[b"b"])[..20].to_vec();
        let journals = [
            ("9.jnl", batch(4, &[b"a"])),
            ("10.jnl", [batch(5, &[b"b"]), torn.clone()].concat()),
            ("11.jnl", [batch(6, &[b"c"]), vec![0; 100]].concat()),
        ];
        fs::create_dir(&rows).unwrap();
        for (name, bytes) in &journals {
            fs::write(rows.join(name), bytes).unwrap();
        }
        let lost = torn.iter().rposition(|&byte| byte != 0).unwrap() + 1 + batch(6, &[b"c"]).len();
        let whole = batch(4, &[b"a"]).len() + batch(5, &[b"b"]).len();
        let expected = (whole as u64, lost as u64);
        assert_eq!(check_and_cut(&rows, &copy), expected);
        assert_eq!(
            list(&rows).unwrap(),
            [rows.join("9.jnl"), rows.join("10.jnl")]
        );
        assert_eq!(fs::read(rows.join("10.jnl")).unwrap(), batch(5, &[b"b"]));
        assert_eq!(fs::read(copy.join("11.jnl")).unwrap(), batch(6, &[b"c"]));
        assert_eq!(check_and_cut(&rows, &copy), (expected.0, 0));
    }

    fn check_and_cut(rows: &Path, copy: &Path) -> (u64, u64) {
        let checked = super::check(rows, after(3).tables).unwrap();
        (checked.whole, checked.cut(copy).unwrap())
    }

    proptest! {
        /// Any bytes are a journal of some extent, within their length.
        #[test]
        fn any_bytes_have_an_extent(bytes in proptest::collection::vec(0_u8..6, 0..300)) {
            let extent = scan(bytes.as_slice(), &mut Order::default()).unwrap();
            prop_assert!(extent.whole <= extent.used && extent.used <= bytes.len() as u64);
        }
    }
}
