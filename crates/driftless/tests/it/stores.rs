//! The store under a client: whose it is, who may use it, what a damage or a failure of it does.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use driftless::store::{CommitError, OpenError as StoreOpenError, RecoverError, Store};
use driftless::{
    Client, ClientBuilder, DatasetError, Durability, IdentityId, OpenError, PutError, SyncError,
    Value,
};
use driftless_merge::{Commit, DatasetKey, Owner, Recovered};
use driftless_store::{DiskStore, MemoryStore};
use driftless_wire::DatasetName;

use crate::failures::check_text;
use crate::fake::Fake;
use crate::service::{IDENTITY, POOL};

const OTHER: &str = "us-east-1:00000000-0000-0000-0000-00000000000b";

fn int(number: i64) -> Option<Value> {
    Some(Value::Scalar(number.into()))
}

fn builder(path: &Path) -> ClientBuilder {
    Client::builder(path).pool(POOL.parse().unwrap())
}

#[test]
fn client_without_a_pool_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let error = Client::builder(home.path()).open().unwrap_err();
    assert!(matches!(error, OpenError::NoPool));
}

#[test]
fn store_of_another_pool_is_refused_and_kept() {
    let home = tempfile::tempdir().unwrap();
    let client = builder(home.path()).open().unwrap();
    client.dataset("notes").unwrap().put("key", 1).unwrap();
    client.close().unwrap();
    let other = "us-east-1:00000000-0000-0000-0000-000000000002"
        .parse()
        .unwrap();
    let error = builder(home.path()).pool(other).open().unwrap_err();
    assert!(matches!(error, OpenError::OtherPool { found } if found == POOL));
    let client = builder(home.path()).open().unwrap();
    assert_eq!(client.dataset("notes").unwrap().get("key"), int(1));
}

#[test]
fn data_of_two_identities_never_mix() {
    let home = tempfile::tempdir().unwrap();
    let owners: [Option<IdentityId>; 3] = [
        None,
        Some(POOL.parse().unwrap()),
        Some(OTHER.parse().unwrap()),
    ];
    let open = |owner: &Option<IdentityId>| {
        let builder = builder(home.path());
        match owner.clone() {
            Some(identity) => builder.identity(identity).open().unwrap(),
            None => builder.open().unwrap(),
        }
    };
    for (number, owner) in owners.iter().enumerate().skip(1) {
        let client = open(owner);
        assert_eq!(client.datasets().unwrap(), []);
        let notes = client.dataset("notes").unwrap();
        assert!(notes.is_empty());
        notes.put("key", number as i64).unwrap();
        client.close().unwrap();
    }
    let client = open(&owners[0]);
    assert_eq!(client.datasets().unwrap(), []);
    client.close().unwrap();
    for (number, owner) in owners.iter().enumerate().skip(1) {
        let client = open(owner);
        let notes = client.dataset("notes").unwrap();
        assert_eq!((notes.len(), notes.get("key")), (1, int(number as i64)));
        client.close().unwrap();
    }
}

#[test]
fn second_client_on_a_store_is_refused_until_the_first_is_closed() {
    let home = tempfile::tempdir().unwrap();
    let first = builder(home.path()).open().unwrap();
    first.dataset("notes").unwrap().put("key", 1).unwrap();
    let error = builder(home.path()).open().unwrap_err();
    assert!(matches!(error, OpenError::Store(StoreOpenError::InUse)));
    first.dataset("notes").unwrap().put("key", 2).unwrap();
    first.close().unwrap();
    let second = builder(home.path()).open().unwrap();
    assert_eq!(second.dataset("notes").unwrap().get("key"), int(2));
}

#[test]
fn client_that_is_only_dropped_gives_the_store_free() {
    let home = tempfile::tempdir().unwrap();
    let buffered = || {
        builder(home.path())
            .durability(Durability::Buffered)
            .open()
            .unwrap()
    };
    let notes = buffered().dataset("notes").unwrap();
    notes.put("key", 1).unwrap();
    drop(notes);
    assert_eq!(buffered().dataset("notes").unwrap().get("key"), int(1));
}

#[test]
fn buffered_edits_are_there_after_closing() {
    let home = tempfile::tempdir().unwrap();
    let client = builder(home.path())
        .durability(Durability::Buffered)
        .open()
        .unwrap();
    let notes = client.dataset("notes").unwrap();
    for number in 0..1_000 {
        notes.put(format!("key{}", number % 50), number).unwrap();
    }
    client.close().unwrap();
    let again = builder(home.path()).open().unwrap();
    assert_eq!(again.dataset("notes").unwrap().state(), notes.state());
}

#[tokio::test]
async fn closed_client_says_so_and_reads_go_on() {
    let client = Fake::new().device();
    let notes = client.dataset("notes").unwrap();
    notes.put("key", 1).unwrap();
    client.close().unwrap();
    client.clone().close().unwrap();
    assert!(matches!(notes.put("key", 2), Err(PutError::Closed)));
    assert!(matches!(notes.put("key", 1), Err(PutError::Closed)));
    assert!(matches!(notes.remove("key"), Err(PutError::Closed)));
    assert!(matches!(notes.delete(), Err(PutError::Closed)));
    assert!(matches!(
        notes.transaction::<(), PutError>(|_| Ok(())),
        Err(PutError::Closed)
    ));
    assert!(matches!(notes.synchronize().await, Err(SyncError::Closed)));
    assert!(matches!(
        client.remote_datasets().await,
        Err(SyncError::Closed)
    ));
    assert!(matches!(client.dataset("notes"), Err(DatasetError::Closed)));
    assert!(matches!(client.dataset("other"), Err(DatasetError::Closed)));
    assert!(matches!(client.datasets(), Err(DatasetError::Closed)));
    assert!(matches!(
        client.set_aside("notes"),
        Err(DatasetError::Closed)
    ));
    assert_eq!(
        (notes.get("key"), notes.len(), notes.has_unsynced()),
        (int(1), 1, true)
    );
}

#[tokio::test]
async fn client_lacks_what_it_was_not_given() {
    let home = tempfile::tempdir().unwrap();
    let client = builder(home.path()).open().unwrap();
    let notes = client.dataset("notes").unwrap();
    notes.put("key", 1).unwrap();
    assert!(matches!(
        notes.synchronize().await,
        Err(SyncError::NoTransport)
    ));
    client.close().unwrap();
    let transport = Fake::new() as Arc<dyn driftless::transport::Transport>;
    let client = builder(home.path()).transport(transport).open().unwrap();
    let notes = client.dataset("notes").unwrap();
    assert!(matches!(
        notes.synchronize().await,
        Err(SyncError::NoIdentity)
    ));
    assert!(matches!(
        client.remote_datasets().await,
        Err(SyncError::NoIdentity)
    ));
    assert!(notes.contains_key("key") && notes.has_unsynced());
}

/// Long logs are folded beside the edits, and what is folded is what was there.
#[test]
fn long_log_is_folded() {
    let (fake, store) = (Fake::new(), Arc::new(MemoryStore::new()));
    let client = fake.builder(&store).open().unwrap();
    let notes = client.dataset("notes").unwrap();
    let value = "x".repeat(1_000);
    for number in 0..400 {
        notes
            .put(format!("key{}", number % 10), format!("{number}{value}"))
            .unwrap();
        notes.splice_text("text", 0, 0, "hello").unwrap();
    }
    client.close().unwrap();
    let owner = Owner::Identity(IDENTITY.parse().unwrap());
    let key = DatasetKey::new(owner, "notes".parse().unwrap());
    let kept = store.reopen().recover(&key).unwrap().unwrap();
    assert!(
        kept.state.is_some() && kept.deltas.len() < 400,
        "{} deltas",
        kept.deltas.len()
    );
    let again = fake.builder(&Arc::new(store.reopen())).open().unwrap();
    let again = again.dataset("notes").unwrap();
    assert_eq!(again.state(), notes.state());
    again.splice_text("text", 5, 0, ", ").unwrap();
    assert!(again.text("text").unwrap().starts_with("hello, hello"));
}

/// A device that only pulls has a log too.
#[tokio::test]
async fn log_of_a_device_that_only_pulls_is_folded() {
    let (fake, store) = (Fake::new(), Arc::new(MemoryStore::new()));
    let writer = fake.device().dataset("notes").unwrap();
    let client = fake.builder(&store).open().unwrap();
    let reader = client.dataset("notes").unwrap();
    for number in 0..60_u32 {
        let mut value = vec![0; 4_000];
        blake3::Hasher::new()
            .update(&number.to_le_bytes())
            .finalize_xof()
            .fill(&mut value);
        writer.put(format!("key{}", number % 3), value).unwrap();
        writer.synchronize().await.unwrap();
        reader.synchronize().await.unwrap();
    }
    let owner = Owner::Identity(IDENTITY.parse().unwrap());
    let key = DatasetKey::new(owner, "notes".parse().unwrap());
    let mut kept = store.recover(&key).unwrap().unwrap();
    // The fold has a thread of its own, and the lock of the dataset while it works.
    for _ in 0..1_000 {
        if kept.deltas.len() < 60 {
            break;
        }
        std::thread::yield_now();
        assert_eq!(reader.len(), 3);
        kept = store.recover(&key).unwrap().unwrap();
    }
    client.close().unwrap();
    assert!(
        kept.state.is_some() && kept.deltas.len() < 60,
        "{} deltas",
        kept.deltas.len()
    );
}

/// Changes the sync row of a dataset under the database's own checksums, as memory that went bad
/// before the write does.
fn change_row(dir: &Path, dataset: &str) {
    let db = fjall::Database::builder(dir.join("rows")).open().unwrap();
    let rows = db
        .keyspace("rows", fjall::KeyspaceCreateOptions::default)
        .unwrap();
    let keys = rows.prefix(b"Y").map(|row| row.key().unwrap());
    let key = keys
        .into_iter()
        .find(|key| key.ends_with(dataset.as_bytes()))
        .unwrap();
    let mut value = rows.get(&key).unwrap().unwrap().to_vec();
    *value.last_mut().unwrap() ^= 1;
    // Into a table, for the journal would have to carry the number of a commit.
    let mut table = rows.start_ingestion().unwrap();
    table.write(key, value).unwrap();
    table.finish().unwrap();
}

#[tokio::test]
async fn damaged_dataset_is_set_aside_and_built_anew_from_the_service() {
    let home = tempfile::tempdir().unwrap();
    let fake = Fake::new();
    let open = || fake.reach(Client::builder(home.path())).open().unwrap();
    let client = open();
    let (notes, other) = (
        client.dataset("notes").unwrap(),
        client.dataset("other").unwrap(),
    );
    notes.put("key", 1).unwrap();
    notes.splice_text("text", 0, 0, "hello").unwrap();
    other.put("key", 1).unwrap();
    notes.synchronize().await.unwrap();
    let before = notes.state();
    client.close().unwrap();
    change_row(home.path(), "notes");

    let client = open();
    let error = client.dataset("notes").unwrap_err();
    assert!(
        matches!(error, DatasetError::Store(RecoverError::Damaged { .. })),
        "{error:?}"
    );
    assert_eq!(client.datasets().unwrap().len(), 2);
    let other = client.dataset("other").unwrap();
    other.put("key", 2).unwrap();
    other.synchronize().await.unwrap();

    client.set_aside("notes").unwrap();
    let notes = client.dataset("notes").unwrap();
    assert!(notes.is_empty());
    notes.put("meanwhile", 3).unwrap();
    notes.synchronize().await.unwrap();
    assert_eq!(
        (notes.get("key"), notes.text("text")),
        (int(1), Some("hello".to_owned()))
    );
    assert!(
        before
            .clock()
            .keys()
            .all(|actor| notes.state().clock().contains_key(actor))
    );
    client.close().unwrap();
    assert_eq!(open().dataset("notes").unwrap().state(), notes.state());
}

#[tokio::test]
async fn damaged_store_is_told_and_an_empty_one_gets_all_from_the_service() {
    let home = tempfile::tempdir().unwrap();
    let fake = Fake::new();
    let open = || {
        fake.reach(Client::builder(home.path().join("store")))
            .open()
    };
    let client = open().unwrap();
    let notes = client.dataset("notes").unwrap();
    notes.put("key", 1).unwrap();
    notes.synchronize().await.unwrap();
    client.close().unwrap();
    fs::remove_file(home.path().join("store/rows/version")).unwrap();
    let error = open().unwrap_err();
    assert!(
        matches!(error, OpenError::Store(StoreOpenError::Damaged(_))),
        "{error:?}"
    );
    fs::rename(home.path().join("store"), home.path().join("away")).unwrap();
    let again = open().unwrap().dataset("notes").unwrap();
    again.synchronize().await.unwrap();
    assert_eq!(again.state(), notes.state());
}

#[tokio::test]
async fn handles_of_a_dataset_that_was_set_aside_are_closed() {
    let fake = Fake::new();
    let client = fake.device();
    let old = client.dataset("notes").unwrap();
    old.put("key", 1).unwrap();
    let mut changes = old.changes();
    client.set_aside("notes").unwrap();
    assert!(matches!(old.put("key", 2), Err(PutError::Closed)));
    assert!(matches!(old.synchronize().await, Err(SyncError::Closed)));
    assert_eq!(changes.next().await, None);
    let new = client.dataset("notes").unwrap();
    assert!(new.is_empty());
    new.put("key", 3).unwrap();
    assert_eq!(client.dataset("notes").unwrap().get("key"), int(3));
}

/// A store that lost its tail gives all datasets new authors, whoever opens them and when.
#[test]
fn lost_tail_gives_every_dataset_a_new_author() {
    let home = tempfile::tempdir().unwrap();
    let identity = || {
        builder(home.path())
            .identity(OTHER.parse().unwrap())
            .open()
            .unwrap()
    };
    let names = ["a", "b", "c"];
    let client = identity();
    for name in names {
        client.dataset(name).unwrap().put("key", 1).unwrap();
    }
    client.dataset("a").unwrap().put("key", 2).unwrap();
    client.close().unwrap();
    let journal = home.path().join("rows/0.jnl");
    let whole = fs::read(&journal).unwrap();
    let end = whole.iter().rposition(|byte| *byte != 0).unwrap();
    fs::write(&journal, &whole[..end - 4]).unwrap();

    // Opened for somebody else, who closes it well.
    let client = builder(home.path()).accept_loss().open().unwrap();
    client.close().unwrap();
    let client = identity();
    for name in names {
        let dataset = client.dataset(name).unwrap();
        assert_eq!(
            (dataset.get("key"), dataset.state().clock().len()),
            (int(1), 1)
        );
        dataset.put("key", 3).unwrap();
        assert_eq!(dataset.state().clock().len(), 2, "{name}");
    }
}

/// A store that fails on demand.
#[derive(Debug)]
struct Failing {
    inner: MemoryStore,
    fails: AtomicBool,
    error: fn() -> CommitError,
}

fn disk_is_full() -> CommitError {
    CommitError::Full("no space left on device".into())
}

fn disk_is_gone() -> CommitError {
    CommitError::Failed("the disk is gone".into())
}

/// The file system was mounted anew without writes, as systems do after a failure.
fn disk_is_read_only() -> CommitError {
    let cause = std::io::Error::from(std::io::ErrorKind::ReadOnlyFilesystem);
    CommitError::Failed(cause.into())
}

impl Failing {
    fn check(&self) -> Result<(), CommitError> {
        match self.fails.load(Ordering::SeqCst) {
            true => Err((self.error)()),
            false => Ok(()),
        }
    }
}

impl Store for Failing {
    fn commit(&self, commit: Commit, durability: Durability) -> Result<(), CommitError> {
        self.check()?;
        self.inner.commit(commit, durability)
    }

    fn recover(&self, dataset: &DatasetKey) -> Result<Option<Recovered>, RecoverError> {
        self.inner.recover(dataset)
    }

    fn document(&self, dataset: &DatasetKey) -> Result<Option<Vec<u8>>, RecoverError> {
        self.inner.document(dataset)
    }

    fn owners(&self) -> Result<Vec<Owner>, RecoverError> {
        self.inner.owners()
    }

    fn datasets(&self, owner: &Owner) -> Result<Vec<DatasetName>, RecoverError> {
        self.inner.datasets(owner)
    }

    fn forget(&self, dataset: &DatasetKey, durability: Durability) -> Result<(), CommitError> {
        self.check()?;
        self.inner.forget(dataset, durability)
    }

    fn set_aside(&self, dataset: &DatasetKey) -> Result<(), CommitError> {
        self.check()?;
        self.inner.set_aside(dataset)
    }

    fn setting(&self, name: &str) -> Result<Option<Vec<u8>>, RecoverError> {
        self.inner.setting(name)
    }

    fn settings(&self, prefix: &str) -> Result<Vec<String>, RecoverError> {
        self.inner.settings(prefix)
    }

    fn set_setting(
        &self,
        name: &str,
        value: Option<&[u8]>,
        durability: Durability,
    ) -> Result<(), CommitError> {
        self.check()?;
        self.inner.set_setting(name, value, durability)
    }

    fn close(&self) -> Result<(), CommitError> {
        self.inner.close()
    }
}

#[tokio::test]
async fn full_or_failing_disk_breaks_the_dataset_and_keeps_what_was_acknowledged() {
    let errors: [fn() -> CommitError; 3] = [disk_is_full, disk_is_gone, disk_is_read_only];
    let cases = errors.map(|error| [(true, error), (false, error)]);
    for (is_edit, error) in cases.into_iter().flatten() {
        let fake = Fake::new();
        let disk = MemoryStore::new();
        let store = Arc::new(Failing {
            inner: disk.reopen(),
            fails: AtomicBool::new(false),
            error,
        });
        let client = fake
            .reach(Client::with_store(Arc::clone(&store) as Arc<dyn Store>))
            .open()
            .unwrap();
        let notes = client.dataset("notes").unwrap();
        notes.put("key", 1).unwrap();
        let acknowledged = notes.state();
        store.fails.store(true, Ordering::SeqCst);
        let told = |refused: &dyn std::error::Error| {
            let to_do = match error() {
                CommitError::Full(_) => "make room on the disk, close the client",
                _ => "are kept; close the client and open it again",
            };
            check_text(refused, ["the store could not keep", "are kept", to_do]);
            check_text(refused, [&error().to_string(); 3]);
        };
        if is_edit {
            let refused = notes.put("key", 2).unwrap_err();
            told(&refused);
            assert!(matches!(refused, PutError::Store(why) if is_same(&why, &error())));
        } else {
            let refused = notes.synchronize().await.unwrap_err();
            told(&refused);
            assert!(matches!(refused, SyncError::Store(why) if is_same(&why, &error())));
        }
        // Also when the disk is back: memory ran ahead of it.
        store.fails.store(false, Ordering::SeqCst);
        assert!(matches!(notes.put("key", 3), Err(PutError::Broken)));
        assert!(matches!(notes.synchronize().await, Err(SyncError::Broken)));
        client.close().unwrap();
        let again = fake.builder(&Arc::new(disk.reopen())).open().unwrap();
        let notes = again.dataset("notes").unwrap();
        assert_eq!(notes.state(), acknowledged);
        notes.put("key", 4).unwrap();
        notes.synchronize().await.unwrap();
    }
}

fn is_same(one: &CommitError, other: &CommitError) -> bool {
    std::mem::discriminant(one) == std::mem::discriminant(other)
}

/// A clock that panics on demand, in the middle of whatever reads it.
#[derive(Debug, Default)]
struct Grenade(AtomicBool);

impl driftless::transport::Clock for Grenade {
    fn now(&self) -> driftless_wire::Timestamp {
        assert!(!self.0.load(Ordering::SeqCst), "no time");
        driftless_wire::Timestamp::from_millis(0)
    }
}

#[tokio::test]
async fn trap_23_panic_in_a_session_breaks_the_dataset_and_nothing_else() {
    let (fake, store) = (Fake::new(), Arc::new(MemoryStore::new()));
    let clock = Arc::new(Grenade::default());
    let client = fake
        .builder(&store)
        .clock(Arc::clone(&clock) as Arc<_>)
        .open()
        .unwrap();
    let (notes, other) = (
        client.dataset("notes").unwrap(),
        client.dataset("other").unwrap(),
    );
    notes.put("key", 1).unwrap();
    clock.0.store(true, Ordering::SeqCst);
    assert!(matches!(
        notes.synchronize().await,
        Err(SyncError::Panicked)
    ));
    clock.0.store(false, Ordering::SeqCst);
    assert!(matches!(notes.put("key", 2), Err(PutError::Broken)));
    assert!(matches!(notes.synchronize().await, Err(SyncError::Broken)));
    assert_eq!(notes.get("key"), int(1));
    other.put("key", 2).unwrap();
    other.synchronize().await.unwrap();
    client.close().unwrap();
    let again = fake.builder(&Arc::new(store.reopen())).open().unwrap();
    assert_eq!(again.dataset("notes").unwrap().get("key"), int(1));
}

#[test]
fn store_that_lost_acknowledged_edits_says_so_until_the_app_goes_on_without_them() {
    let home = tempfile::tempdir().unwrap();
    let client = builder(home.path()).open().unwrap();
    let notes = client.dataset("notes").unwrap();
    notes.put("first", 1).unwrap();
    notes.put("marked", "a value that can be found").unwrap();
    notes.put("last", 3).unwrap();
    client.close().unwrap();
    damage(home.path(), b"a value that can be found");

    for _ in 0..2 {
        let error = builder(home.path()).open().unwrap_err();
        assert!(matches!(error, OpenError::Lost { .. }), "{error:?}");
    }
    let client = builder(home.path()).accept_loss().open().unwrap();
    assert_eq!(client.dataset("notes").unwrap().get("first"), int(1));
    client.close().unwrap();
    builder(home.path()).open().unwrap();
}

/// The process may die after the store told of the loss, and before the client wrote that down.
#[test]
fn loss_that_no_client_lived_to_write_down_is_told_by_the_next() {
    let home = tempfile::tempdir().unwrap();
    let (dir, copy) = (home.path().join("store"), home.path().join("copy"));
    let client = builder(&dir).open().unwrap();
    let notes = client.dataset("notes").unwrap();
    notes.put("marked", "a value that can be found").unwrap();
    notes.put("last", 3).unwrap();
    client.close().unwrap();
    damage(&dir, b"a value that can be found");

    let opened = DiskStore::open(&dir).unwrap();
    assert!(opened.report.missing.is_some());
    copy_dir(&dir, &copy);
    let error = builder(&copy).open().unwrap_err();
    assert!(matches!(error, OpenError::Lost { .. }), "{error:?}");
}

/// Copies a store as the death of its process would leave it.
fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy_dir(&from, &to);
        } else {
            fs::copy(from, to).unwrap();
        }
    }
}

/// Changes a byte of `wanted` in the one file below a directory that holds it.
fn damage(directory: &Path, wanted: &[u8]) {
    let mut found = 0;
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
                continue;
            }
            let mut bytes = fs::read(&path).unwrap();
            if let Some(at) = bytes
                .windows(wanted.len())
                .position(|window| window == wanted)
            {
                bytes[at] ^= 1;
                fs::write(&path, bytes).unwrap();
                found += 1;
            }
        }
    }
    assert_eq!(found, 1);
}
