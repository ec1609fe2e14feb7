//! What an old client on the device had not sent is taken over, from each layout that an old client left.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use driftless::{
    Client, Dataset, DatasetError, LocalStoreError, LocalStoreKind, LocalStoreReport, PutError,
    RefusedEdit, Scope, Unsynced, Value,
};
use driftless_merge::{Commit, DatasetKey, Durability, Owner, Recovered};
use driftless_store::{CommitError, MemoryStore, RecoverError, Store};
use driftless_wire::{DatasetName, Operation};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::Index;
use rusqlite::Connection;
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use crate::fake::Fake;
use crate::identities::Cloud;
use crate::service::{IDENTITY, POOL};

const OTHER: &str = "us-east-1:00000000-0000-0000-0000-00000000000f";

/// As `SQLiteLocalStorage.java` makes them.
const ANDROID: &str = "
    CREATE TABLE datasets(identity_id TEXT NOT NULL,dataset_name TEXT NOT NULL,creation_timestamp INTEGER DEFAULT 0,
        last_modified_timestamp INTEGER DEFAULT 0,last_modified_by TEXT,storage_size_bytes INTEGER DEFAULT 0,
        record_count INTEGER DEFAULT 0,last_sync_count INTEGER NOT NULL DEFAULT 0,
        last_sync_timestamp INTEGER DEFAULT 0,last_sync_result TEXT,UNIQUE (identity_id, dataset_name));
    CREATE TABLE records(identity_id TEXT NOT NULL,dataset_name TEXT NOT NULL,key TEXT NOT NULL,value TEXT,
        sync_count INTEGER NOT NULL DEFAULT 0,last_modified_timestamp INTEGER DEFAULT 0,last_modified_by TEXT,
        device_last_modified_timestamp INTEGER DEFAULT 0,modified INTEGER NOT NULL DEFAULT 1,
        UNIQUE (identity_id, dataset_name, key));";

/// As `SQLiteLocalStorage.bcl.cs` makes them.
const DOTNET: &str = "
    CREATE TABLE IF NOT EXISTS datasets(identity_id TEXT NOT NULL,dataset_name TEXT NOT NULL,
        creation_timestamp TEXT DEFAULT '0',last_modified_timestamp TEXT DEFAULT '0',last_modified_by TEXT,
        storage_size_bytes INTEGER DEFAULT 0,record_count INTEGER DEFAULT 0,
        last_sync_count INTEGER NOT NULL DEFAULT 0,last_sync_timestamp TEXT DEFAULT '0',last_sync_result TEXT,
        UNIQUE (identity_id, dataset_name));
    CREATE TABLE IF NOT EXISTS records(identity_id TEXT NOT NULL,dataset_name TEXT NOT NULL,key TEXT NOT NULL,
        value TEXT,sync_count INTEGER NOT NULL DEFAULT 0,last_modified_timestamp TEXT DEFAULT '0',
        last_modified_by TEXT,device_last_modified_timestamp TEXT DEFAULT '0',
        modified INTEGER NOT NULL DEFAULT 1,UNIQUE (identity_id, dataset_name, key));
    CREATE TABLE IF NOT EXISTS kvstore (key TEXT NOT NULL, value TEXT NOT NULL, UNIQUE (KEY));";

/// As `AWSCognitoSQLiteManager.m` makes them.
const IOS: &str = "
    CREATE TABLE IF NOT EXISTS CognitoData ( IdentityId TEXT NOT NULL DEFAULT UnknownId, Dataset TEXT NOT NULL,
        Key TEXT NOT NULL, LastModified INTEGER NOT NULL, ModifiedBy TEXT NOT NULL, Data TEXT NOT NULL,
        SyncCount INTEGER NOT NULL DEFAULT 0, Dirty INTEGER NOT NULL DEFAULT 1, Type INTEGER NOT NULL,
        PRIMARY KEY(IdentityId,Dataset,Key));
    CREATE TABLE IF NOT EXISTS CognitoMetadata ( IdentityId TEXT NOT NULL DEFAULT UnknownId, Dataset TEXT NOT NULL,
        LastSyncCount INTEGER NOT NULL DEFAULT 0, LastModified INTEGER NOT NULL DEFAULT 0, ModifiedBy TEXT NOT NULL,
        CreationDate INTEGER NOT NULL DEFAULT 0, DataStorage INTEGER NOT NULL DEFAULT 0,
        RecordCount INTEGER NOT NULL DEFAULT 0, PRIMARY KEY(IdentityId,Dataset));";

/// The file of an old client.
struct Old {
    directory: TempDir,
    kind: LocalStoreKind,
}

impl Old {
    fn new(kind: LocalStoreKind) -> Self {
        let old = Self {
            directory: tempfile::tempdir().unwrap(),
            kind,
        };
        match kind {
            LocalStoreKind::Android => old.sql(ANDROID),
            LocalStoreKind::DotNet => old.sql(DOTNET),
            LocalStoreKind::Ios => old.sql(IOS),
            _ => old.write("{}"),
        }
        old
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("old")
    }

    fn open(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }

    fn sql(&self, statements: &str) {
        self.open().execute_batch(statements).unwrap();
    }

    fn write(&self, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(), bytes).unwrap();
    }

    /// Writes a row of the layout of Android: what was not sent of it, and at which count it was seen.
    fn row(&self, owner: &str, dataset: &str, key: &str, value: Option<&str>, of: (i64, bool)) {
        let row = (owner, dataset, key, value, of.0, of.1);
        let insert =
            "INSERT INTO records (identity_id, dataset_name, key, value, sync_count, modified)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        self.open().execute(insert, row).unwrap();
    }

    fn import(&self, client: &Client) -> LocalStoreReport {
        client.import_local_store(self.path(), self.kind).unwrap()
    }

    fn fail(&self) -> LocalStoreError {
        let client = Fake::new().device();
        client
            .import_local_store(self.path(), self.kind)
            .unwrap_err()
    }

    /// Writes localStorage, in which each value is JSON in a string.
    fn storage(&self, entries: &Json) {
        let text = |(key, value): (&String, &Json)| (key.clone(), json!(value.to_string()));
        let entries: serde_json::Map<_, _> =
            entries.as_object().unwrap().iter().map(text).collect();
        self.write(Json::Object(entries).to_string());
    }
}

fn shown(dataset: &Dataset) -> BTreeMap<String, Value> {
    dataset.entries().into_iter().collect()
}

fn texts<const N: usize>(entries: [(&str, &str); N]) -> BTreeMap<String, Value> {
    let entry = |(key, text): (&str, &str)| (key.to_owned(), Value::from(text));
    entries.into_iter().map(entry).collect()
}

/// A service that has what an old client had sent: `kept`, `changed` and `removed`, all at count 1.
fn service() -> Arc<Fake> {
    let fake = Fake::new();
    let records = [("changed", "before"), ("kept", "1"), ("removed", "2")];
    fake.begin_plain("notes", &records);
    fake
}

/// Takes what stands in an old file over [`service`], twice, and checks that the service shows it.
async fn check(old: &Old) {
    let fake = service();
    let client = fake.device();
    let notes = client.dataset("notes").unwrap();
    let report = old.import(&client);
    let found = &report.datasets[notes.name()];
    assert_eq!(
        (found.edits, found.removals, found.clean),
        (2, 1, 1),
        "{report:?}"
    );
    assert!(report.not_understood.is_empty() && report.other_identities.is_empty());
    assert_eq!(shown(&notes), texts([("changed", "after"), ("new", "")]));
    assert!(notes.has_unsynced());

    let again = old.import(&client);
    let found = &again.datasets[notes.name()];
    assert!(found.was_taken && found.edits == 0 && found.removals == 0);

    notes.synchronize().await.unwrap();
    let expected = texts([("changed", "after"), ("kept", "1"), ("new", "")]);
    assert_eq!(shown(&notes), expected);
    assert!(!notes.has_unsynced());
    assert!(
        notes
            .keys()
            .iter()
            .all(|key| notes.conflicts(key).len() == 1)
    );
    let stored: BTreeMap<_, _> = fake
        .records("notes")
        .into_iter()
        .filter(|record| !record.key.as_str().starts_with("_driftless."))
        .filter_map(|record| Some((record.key.to_string(), Value::from(record.value?))))
        .collect();
    assert_eq!(stored, expected);

    notes.put("changed", "newer").unwrap();
    old.import(&client);
    assert_eq!(notes.get("changed"), Some(Value::from("newer")));
}

fn fill_android(old: &Old) {
    old.sql(&format!(
        "INSERT INTO datasets (identity_id, dataset_name, last_sync_count) VALUES ('{IDENTITY}', 'notes', 1)"
    ));
    let row = |key, value, of| old.row(IDENTITY, "notes", key, value, of);
    row("kept", Some("1"), (1, false));
    row("changed", Some("after"), (1, true));
    row("removed", None, (1, true));
    row("new", Some(""), (0, true));
}

#[tokio::test]
async fn android_rows_are_taken_once() {
    let old = Old::new(LocalStoreKind::Android);
    fill_android(&old);
    check(&old).await;
}

#[tokio::test]
async fn dotnet_rows_are_taken_once() {
    let old = Old::new(LocalStoreKind::DotNet);
    fill_android(&old);
    check(&old).await;
}

fn ios_row(old: &Old, key: &str, data: &Json, of: (i64, i64, i64), by: &str) {
    let row = (
        IDENTITY,
        "notes",
        key,
        data.to_string(),
        of.0,
        of.1,
        of.2,
        by,
    );
    let insert = "INSERT INTO CognitoData (IdentityId, Dataset, Key, Data, SyncCount, Dirty, Type, ModifiedBy,
        LastModified) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0)";
    old.open().execute(insert, row).unwrap();
}

fn fill_ios(old: &Old) {
    old.sql(&format!(
        "INSERT INTO CognitoMetadata (IdentityId, Dataset, ModifiedBy, LastSyncCount)
         VALUES ('{IDENTITY}', 'notes', 'LOCAL', 1)"
    ));
    ios_row(old, "kept", &json!({ "v": "1" }), (1, 0, 1), IDENTITY);
    ios_row(old, "changed", &json!({ "v": "after" }), (1, 3, 1), "LOCAL");
    ios_row(old, "removed", &json!({ "v": "\0" }), (1, -1, 2), "LOCAL");
    ios_row(old, "new", &json!({ "v": "" }), (0, 1, 1), "LOCAL");
}

#[tokio::test]
async fn ios_rows_are_taken_once() {
    let old = Old::new(LocalStoreKind::Ios);
    fill_ios(&old);
    check(&old).await;
}

#[test]
fn ios_put_over_an_unsent_removal_is_taken_although_its_flag_says_that_it_was_sent() {
    let old = Old::new(LocalStoreKind::Ios);
    ios_row(&old, "never", &json!({ "v": "1" }), (0, 0, 1), "device");
    ios_row(&old, "again", &json!({ "v": "2" }), (4, 0, 1), "LOCAL");
    ios_row(&old, "sent", &json!({ "v": "3" }), (4, 0, 1), "Unknown");
    let client = Fake::new().device();
    old.import(&client);
    let notes = client.dataset("notes").unwrap();
    assert_eq!(shown(&notes), texts([("again", "2"), ("never", "1")]));
}

fn record(value: impl Into<Json>, count: i64, is_unsent: bool) -> Json {
    json!({ "Key": "k", "Value": value.into(), "SyncCount": count, "LastModifiedBy": "", "Modified": is_unsent })
}

fn fill_javascript(old: &Old) {
    let metadata = json!({ "DatasetName": "notes", "LastSyncCount": 1 });
    old.storage(&json!({
        format!("{IDENTITY}.notes"): {
            "kept": record("1", 1, false),
            "changed": record("after", 1, true),
            "removed": record(Json::Null, 1, true),
            "new": record("", 0, true),
        },
        "_internal._metadata": { IDENTITY: { format!("{IDENTITY}.notes"): metadata } },
        "theme": "dark",
        "user:7.theme": "dark",
        "aws.cognito.identity-id.pool": IDENTITY,
    }));
}

#[tokio::test]
async fn javascript_records_are_taken_once() {
    let old = Old::new(LocalStoreKind::JavaScript);
    fill_javascript(&old);
    check(&old).await;
}

#[tokio::test]
async fn trap_16_javascript_numbers_are_the_texts_that_come_back() {
    let fake = Fake::new();
    fake.begin_plain("notes", &[("n", "5"), ("yes", "true")]);
    let old = Old::new(LocalStoreKind::JavaScript);
    let records = json!({ "n": record(5, 0, true), "yes": record(true, 0, true) });
    old.storage(&json!({ format!("{IDENTITY}.notes"): records }));
    let client = fake.device();
    old.import(&client);
    let notes = client.dataset("notes").unwrap();
    notes.synchronize().await.unwrap();
    assert_eq!(shown(&notes), texts([("n", "5"), ("yes", "true")]));
    assert_eq!(notes.conflicts("n").len(), 1);
}

#[tokio::test]
async fn what_others_wrote_meanwhile_stands_beside_it() {
    let fake = service();
    fake.overwrite("notes", "changed", Some("theirs"));
    fake.overwrite("notes", "removed", Some("theirs"));
    let old = Old::new(LocalStoreKind::Android);
    fill_android(&old);
    let client = fake.device();
    old.import(&client);
    let notes = client.dataset("notes").unwrap();
    notes.synchronize().await.unwrap();
    assert_eq!(notes.conflicts("changed").len(), 2);
    assert_eq!(notes.get("removed"), Some(Value::from("theirs")));
}

#[tokio::test]
async fn session_that_runs_meanwhile_begins_again_and_brings_it() {
    for (requests, held) in [(1, Operation::ListRecords), (2, Operation::UpdateRecords)] {
        let fake = service();
        let old = Old::new(LocalStoreKind::Android);
        fill_android(&old);
        let client = fake.device();
        let notes = client.dataset("notes").unwrap();
        fake.hold(Some(held));
        let session = tokio::spawn({
            let notes = notes.clone();
            async move { notes.synchronize().await }
        });
        fake.arrived(requests).await;
        old.import(&client);
        fake.hold(None);
        session.await.unwrap().unwrap();
        let expected = texts([("changed", "after"), ("kept", "1"), ("new", "")]);
        assert_eq!(shown(&notes), expected, "{held:?}");
        assert_eq!(notes.conflicts("changed").len(), 1);
        assert!(!notes.has_unsynced());
    }
}

#[test]
fn trap_31_rows_of_other_identities_are_told_and_left() {
    let old = Old::new(LocalStoreKind::Android);
    old.row(IDENTITY, "notes", "mine", Some("1"), (0, true));
    old.row(OTHER, "notes", "theirs", Some("2"), (0, true));
    old.row(OTHER, "notes", "sent", Some("2"), (3, false));
    let client = Fake::new().device();
    let report = old.import(&client);
    assert_eq!(
        report.other_identities,
        BTreeMap::from([(OTHER.to_owned(), 1)])
    );
    assert_eq!(
        shown(&client.dataset("notes").unwrap()),
        texts([("mine", "1")])
    );
}

#[test]
fn trap_32_rows_from_before_any_identity_are_taken_by_the_first() {
    for (kind, placeholder) in [
        (LocalStoreKind::Android, "unknown"),
        (LocalStoreKind::Ios, "UnknownId"),
        (LocalStoreKind::JavaScript, "null"),
    ] {
        let old = Old::new(kind);
        match kind {
            LocalStoreKind::Android => old.row(placeholder, "notes", "k", Some("v"), (0, true)),
            // The column's own default.
            LocalStoreKind::Ios => old.sql(
                r#"INSERT INTO CognitoData (Dataset, Key, Data, Type, ModifiedBy, LastModified)
                   VALUES ('notes', 'k', '{"v":"v"}', 1, 'LOCAL', 0)"#,
            ),
            _ => old.storage(&json!({ "null.notes": { "k": record("v", 0, true) } })),
        }
        let nobody = Client::with_store(Arc::new(MemoryStore::new()));
        let nobody = nobody.pool(POOL.parse().unwrap()).open().unwrap();
        for client in [Fake::new().device(), nobody] {
            old.import(&client);
            let notes = client.dataset("notes").unwrap();
            assert_eq!(shown(&notes), texts([("k", "v")]), "{kind:?}");
        }
    }
}

/// Opens a store for an identity, or for nobody.
fn open_for(store: &MemoryStore, identity: Option<&str>) -> Client {
    let builder = Client::with_store(Arc::new(store.reopen())).pool(POOL.parse().unwrap());
    let builder = match identity {
        Some(identity) => builder.identity(identity.parse().unwrap()),
        None => builder,
    };
    builder.open().unwrap()
}

/// An old file from before any identity: an edit in `notes`, and that `lists` was deleted.
fn from_before() -> Old {
    let old = Old::new(LocalStoreKind::Android);
    old.row("unknown", "notes", "k", Some("v"), (0, true));
    old.sql(
        "INSERT INTO datasets (identity_id, dataset_name, last_sync_count) VALUES ('unknown', 'lists', -1)",
    );
    old
}

/// Checks that who is shown gets nothing of [`from_before`], and is told that it is another one's.
fn check_is_others(old: &Old, client: &Client, other: &str) {
    let lists = client.dataset("lists").unwrap();
    lists.put("own", "1").unwrap();
    let report = old.import(client);
    assert!(report.datasets.is_empty(), "{report:?}");
    let others = BTreeMap::from([(other.to_owned(), 2)]);
    assert_eq!(report.other_identities, others);
    assert_eq!(shown(&lists), texts([("own", "1")]));
    assert!(client.dataset("notes").unwrap().is_empty());
}

#[test]
fn trap_31_rows_from_before_any_identity_are_taken_for_one_identity_only() {
    let (old, store) = (from_before(), MemoryStore::new());
    let ann = open_for(&store, Some(IDENTITY));
    assert!(old.import(&ann).other_identities.is_empty());
    assert_eq!(shown(&ann.dataset("notes").unwrap()), texts([("k", "v")]));
    ann.close().unwrap();
    let bob = open_for(&store, Some(OTHER));
    check_is_others(&old, &bob, IDENTITY);
    bob.sign_out().unwrap();
    check_is_others(&old, &bob, IDENTITY);
    bob.close().unwrap();
    let ann = open_for(&store, Some(IDENTITY));
    let report = old.import(&ann);
    assert!(
        report
            .datasets
            .values()
            .all(|it| it.was_taken && !it.deleted)
    );
}

#[test]
fn trap_31_what_nobody_took_is_whose_who_adopts_it() {
    let (old, store) = (from_before(), MemoryStore::new());
    let nobody = open_for(&store, None);
    old.import(&nobody);
    nobody.close().unwrap();
    // It need not import, nor stay.
    open_for(&store, Some(IDENTITY)).close().unwrap();
    check_is_others(&old, &open_for(&store, Some(OTHER)), IDENTITY);
}

#[test]
fn trap_31_what_a_guest_took_is_whose_login_the_guest_became() {
    const LOGIN: &str = "us-east-1:00000000-0000-0000-0000-00000000000b";
    let (old, store) = (from_before(), MemoryStore::new());
    let guest = open_for(&store, Some(IDENTITY));
    old.import(&guest);
    guest.close().unwrap();
    let row = json!({ "version": 1, "identity": LOGIN, "moves": [[IDENTITY, LOGIN]] }).to_string();
    let set = store.set_setting("identity", Some(row.as_bytes()), Durability::Disk);
    set.unwrap();
    let login = open_for(&store, Some(LOGIN));
    assert_eq!(shown(&login.dataset("notes").unwrap()), texts([("k", "v")]));
    assert!(old.import(&login).other_identities.is_empty());
    login.close().unwrap();
    check_is_others(&old, &open_for(&store, Some(OTHER)), LOGIN);
}

#[test]
fn trap_31_what_a_crash_left_claimed_is_not_anothers() {
    let (old, disk) = (from_before(), MemoryStore::new());
    let dying = Dying {
        inner: disk.reopen(),
        commits: AtomicUsize::new(0),
        damaged: None,
    };
    let ann = Fake::new().reach(Client::with_store(Arc::new(dying)));
    old.import(&ann.open().unwrap());
    disk.crash();
    check_is_others(&old, &open_for(&disk, Some(OTHER)), IDENTITY);
    let report = old.import(&open_for(&disk, Some(IDENTITY)));
    let edits = report.datasets.values().map(|it| it.edits);
    assert_eq!(edits.sum::<usize>(), 1, "{report:?}");
}

/// Edits and deletions, of the identity and from before it.
fn edits_and_deletions() -> Old {
    let old = from_before();
    old.row(IDENTITY, "notes", "own", Some("w"), (0, true));
    old.sql(&format!(
        "INSERT INTO datasets (identity_id, dataset_name, last_sync_count) VALUES ('{IDENTITY}', 'lists', -1)"
    ));
    old
}

/// Checks that nothing of [`edits_and_deletions`] is taken in the place of what is newer.
async fn check_is_not_taken_again(old: &Old, client: &Client) {
    let report = old.import(client);
    for found in report.datasets.values() {
        assert!(
            found.was_taken && !found.deleted && found.edits == 0,
            "{report:?}"
        );
    }
    assert_eq!(report.datasets.len(), 2);
    for name in ["notes", "lists"] {
        let dataset = client.dataset(name).unwrap();
        dataset.synchronize().await.unwrap();
        assert_eq!(shown(&dataset), texts([("k", "newer")]), "{name}");
    }
}

async fn take_and_go_on(old: &Old, client: &Client) {
    old.import(client);
    for name in ["notes", "lists"] {
        let dataset = client.dataset(name).unwrap();
        dataset.synchronize().await.unwrap();
        dataset.put("k", "newer").unwrap();
        dataset.remove("own").unwrap();
        dataset.synchronize().await.unwrap();
    }
}

#[tokio::test]
async fn trap_55_what_was_taken_is_not_taken_again_after_a_wipe() {
    for scope in [Scope::Identity, Scope::Device] {
        let old = edits_and_deletions();
        let (fake, store) = (Fake::new(), Arc::new(MemoryStore::new()));
        let client = fake.builder(&store).open().unwrap();
        take_and_go_on(&old, &client).await;
        client.wipe(scope, Unsynced::Keep).unwrap();
        client.close().unwrap();
        let client = fake.builder(&Arc::new(store.reopen())).open().unwrap();
        check_is_not_taken_again(&old, &client).await;
    }
}

#[tokio::test]
async fn what_was_taken_is_not_taken_again_after_a_dataset_is_set_aside() {
    let old = edits_and_deletions();
    let client = Fake::new().device();
    take_and_go_on(&old, &client).await;
    for name in ["notes", "lists"] {
        client.set_aside(name).unwrap();
    }
    check_is_not_taken_again(&old, &client).await;
}

const CLAIMS: &str = "old-clients";

/// The process ends after the commit that takes something, and before that is noted beside it.
#[tokio::test]
async fn what_a_crash_kept_from_being_noted_is_noted_by_the_next_call() {
    let old = edits_and_deletions();
    let (fake, store) = (Fake::new(), MemoryStore::new());
    let client = fake.builder(&Arc::new(store.reopen())).open().unwrap();
    take_and_go_on(&old, &client).await;
    let whole = store.setting(CLAIMS).unwrap().unwrap();
    let mut claims: Json = serde_json::from_slice(&whole).unwrap();
    let places = claims["claims"].as_object_mut().unwrap();
    places.retain(|place, _| place.starts_with("unknown/"));
    for claim in places.values_mut() {
        claim.as_object_mut().unwrap().remove("ids").unwrap();
    }
    let torn = claims.to_string();
    let set = store.set_setting(CLAIMS, Some(torn.as_bytes()), Durability::Disk);
    set.unwrap();
    check_is_not_taken_again(&old, &client).await;
    assert_eq!(store.setting(CLAIMS).unwrap(), Some(whole));
}

#[test]
fn claims_that_are_not_understood_are_an_error_and_stand_in_nobodys_way() {
    for row in [r#"{"version":2,"claims":{}}"#, "torn"] {
        let (old, store) = (from_before(), MemoryStore::new());
        let nobody = open_for(&store, None);
        nobody.dataset("notes").unwrap().put("k", "own").unwrap();
        nobody.close().unwrap();
        let set = store.set_setting(CLAIMS, Some(row.as_bytes()), Durability::Disk);
        set.unwrap();
        let ann = open_for(&store, Some(IDENTITY));
        let refused = ann.import_local_store(old.path(), old.kind);
        assert!(
            matches!(refused, Err(LocalStoreError::Taken(_))),
            "{refused:?}"
        );
        assert_eq!(shown(&ann.dataset("notes").unwrap()), texts([("k", "own")]));
        assert_eq!(store.setting(CLAIMS).unwrap().unwrap(), row.as_bytes());
    }
}

#[test]
fn closed_client_takes_nothing() {
    let (old, client) = (from_before(), Fake::new().device());
    client.close().unwrap();
    let refused = client.import_local_store(old.path(), old.kind);
    assert!(
        matches!(refused, Err(LocalStoreError::Closed)),
        "{refused:?}"
    );
}

#[test]
fn where_both_hold_a_key_both_values_stand() {
    let old = Old::new(LocalStoreKind::Android);
    old.row("unknown", "notes", "k", Some("before"), (0, true));
    old.row(IDENTITY, "notes", "k", Some("since"), (0, true));
    let client = Fake::new().device();
    let report = old.import(&client);
    let notes = client.dataset("notes").unwrap();
    assert_eq!(report.datasets[notes.name()].edits, 2);
    assert_eq!(notes.get("k"), Some(Value::from("since")));
    assert_eq!(notes.conflicts("k").len(), 2);
}

#[tokio::test]
async fn trap_33_unsent_deletion_empties_the_dataset() {
    for kind in [
        LocalStoreKind::Android,
        LocalStoreKind::Ios,
        LocalStoreKind::JavaScript,
    ] {
        let old = Old::new(kind);
        match kind {
            LocalStoreKind::Android => {
                old.sql(&format!(
                    "INSERT INTO datasets (identity_id, dataset_name, last_sync_count) VALUES ('{IDENTITY}', 'notes', -1)"
                ));
                old.row(IDENTITY, "notes", "since", Some("1"), (0, true));
            }
            LocalStoreKind::Ios => {
                old.sql(&format!(
                    "INSERT OR REPLACE INTO CognitoMetadata(Dataset,LastSyncCount,IdentityId,ModifiedBy)
                     VALUES ('notes',-1,'{IDENTITY}','LOCAL')"
                ));
                ios_row(&old, "since", &json!({ "v": "1" }), (0, 1, 1), "LOCAL");
            }
            _ => old.storage(&json!({
                "_internal._metadata": { IDENTITY: { format!("{IDENTITY}.notes"): { "LastSyncCount": -1 } } },
                format!("{IDENTITY}.notes"): { "since": record("1", 0, true) },
            })),
        }
        let fake = service();
        let client = fake.device();
        let notes = client.dataset("notes").unwrap();
        assert!(old.import(&client).datasets[notes.name()].deleted);
        assert!(!old.import(&client).datasets[notes.name()].deleted);
        notes.synchronize().await.unwrap();
        assert_eq!(shown(&notes), texts([("since", "1")]), "{kind:?}");
        assert!(!notes.has_unsynced());
    }
}

/// A store whose process dies at a commit.
#[derive(Debug)]
struct Dying {
    inner: MemoryStore,
    commits: AtomicUsize,
    /// A dataset that cannot be read.
    damaged: Option<&'static str>,
}

impl Store for Dying {
    fn commit(&self, commit: Commit, durability: Durability) -> Result<(), CommitError> {
        let left = self
            .commits
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            });
        match left {
            Ok(_) => self.inner.commit(commit, durability),
            Err(_) => Err(CommitError::Failed("the process died".into())),
        }
    }

    fn recover(&self, dataset: &DatasetKey) -> Result<Option<Recovered>, RecoverError> {
        match self.damaged {
            Some(name) if name == dataset.name().as_str() => {
                Err(RecoverError::Failed("its rows are damaged".into()))
            }
            _ => self.inner.recover(dataset),
        }
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
        self.inner.forget(dataset, durability)
    }

    fn set_aside(&self, dataset: &DatasetKey) -> Result<(), CommitError> {
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
        self.inner.set_setting(name, value, durability)
    }

    fn close(&self) -> Result<(), CommitError> {
        self.inner.close()
    }
}

#[test]
fn call_after_a_crash_goes_on_and_repeats_nothing() {
    let old = Old::new(LocalStoreKind::Android);
    for dataset in ["a", "b"] {
        old.row(IDENTITY, dataset, "k", Some("old"), (0, true));
        old.sql(&format!(
            "INSERT INTO datasets (identity_id, dataset_name, last_sync_count) VALUES ('{IDENTITY}', '{dataset}', -1)"
        ));
    }
    for commits in 0..=4 {
        let fake = Fake::new();
        let disk = MemoryStore::new();
        let dying = Dying {
            inner: disk.reopen(),
            commits: AtomicUsize::new(commits),
            damaged: None,
        };
        let client = fake.reach(Client::with_store(Arc::new(dying)));
        let report = old.import(&client.open().unwrap());
        let refused = report.datasets.values().filter(|it| it.refused.is_some());
        assert_eq!(
            refused.count(),
            if commits < 4 { 2 - commits / 2 } else { 0 }
        );
        disk.crash();

        let client = fake.builder(&Arc::new(disk.reopen())).open().unwrap();
        for dataset in ["a", "b"].map(|name| client.dataset(name).unwrap()) {
            let was_taken = dataset.contains_key("k");
            dataset.put("k", "new").unwrap();
            old.import(&client);
            let values = dataset.conflicts("k").len();
            assert_eq!(
                values,
                if was_taken { 1 } else { 2 },
                "after {commits} commits"
            );
            assert_eq!(dataset.get("k"), Some(Value::from("new")));
        }
    }
}

#[test]
fn dataset_that_does_not_fit_is_told_and_the_others_are_taken() {
    let old = Old::new(LocalStoreKind::Android);
    // Nothing deflates it.
    let mut state = 1_u64;
    let large: String = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        char::from(b' ' + (state >> 33) as u8 % 94)
    })
    .take(1_000_000)
    .collect();
    old.row(IDENTITY, "large", "k", Some(&large), (0, true));
    old.row(IDENTITY, "small", "k", Some("v"), (0, true));
    let client = Fake::new().device();
    for _ in 0..2 {
        let report = old.import(&client);
        let refused = &report.datasets[&"large".parse::<DatasetName>().unwrap()].refused;
        let is_full = matches!(refused, Some(PutError::Refused(RefusedEdit::Full { .. })));
        assert!(is_full, "{refused:?}");
    }
    assert!(client.dataset("large").unwrap().is_empty());
    assert_eq!(
        shown(&client.dataset("small").unwrap()),
        texts([("k", "v")])
    );
}

#[test]
fn dataset_that_is_damaged_is_told_and_the_others_are_taken() {
    let old = Old::new(LocalStoreKind::Android);
    for name in ["a", "b", "c"] {
        old.row(IDENTITY, name, "k", Some("v"), (0, true));
    }
    let disk = MemoryStore::new();
    let damaged = Dying {
        inner: disk.reopen(),
        commits: AtomicUsize::new(9),
        damaged: Some("b"),
    };
    let client = Fake::new().reach(Client::with_store(Arc::new(damaged)));
    let client = client.open().unwrap();
    for edits in [1, 0] {
        let report = old.import(&client);
        for (name, found) in &report.datasets {
            let is_damaged = name.as_str() == "b";
            assert_eq!(found.not_opened.is_some(), is_damaged, "{found:?}");
            assert_eq!(found.edits, if is_damaged { 0 } else { edits });
            assert_eq!(found.was_taken, !is_damaged && edits == 0);
        }
        assert_eq!(report.datasets.len(), 3);
    }
    // Once it can be read, it is taken.
    let client = open_for(&disk, Some(IDENTITY));
    assert_eq!(
        old.import(&client)
            .datasets
            .values()
            .filter(|it| it.edits == 1)
            .count(),
        1
    );
    assert_eq!(shown(&client.dataset("b").unwrap()), texts([("k", "v")]));
}

#[tokio::test]
async fn trap_29_dataset_whose_name_is_too_long_is_told_and_the_others_are_taken() {
    let old = Old::new(LocalStoreKind::Android);
    let long = "n".repeat(73);
    for name in ["a", &long, "z"] {
        old.row("unknown", name, "k", Some("v"), (0, true));
    }
    let device = Cloud::start().await.device();
    let report = old.import(&device.client);
    for name in ["a", "z"] {
        let dataset = device.client.dataset(name).unwrap();
        assert_eq!(shown(&dataset), texts([("k", "v")]));
    }
    let not_opened = report.datasets[&long.parse().unwrap()]
        .not_opened
        .as_deref();
    assert!(matches!(
        not_opened,
        Some(DatasetError::LongName { chars: 73, .. })
    ));
}

#[test]
fn rows_that_make_no_sense_are_told_each_time_and_the_others_are_taken() {
    let old = Old::new(LocalStoreKind::Android);
    let values = "x'ff', 0, 1|'a', -3, 1|'a', 'b', 1|'a', 0, 'c'";
    for (number, values) in values.split('|').enumerate() {
        old.sql(&format!(
            "INSERT INTO records (identity_id, dataset_name, key, value, sync_count, modified)
             VALUES ('{IDENTITY}', 'notes', 'bad{number}', {values})"
        ));
    }
    old.sql(&format!(
        "INSERT INTO records (identity_id, dataset_name, key, value) VALUES ('{IDENTITY}', 'notes', x'fe', 'a')"
    ));
    old.row(IDENTITY, "no name!", "k", Some("v"), (0, true));
    old.row(IDENTITY, "notes", "_driftless.head", Some("v"), (1, true));
    old.row(IDENTITY, "notes", "", Some("v"), (1, true));
    old.row(IDENTITY, "notes", "good", Some("v"), (0, true));
    let client = Fake::new().device();
    for _ in 0..2 {
        let report = old.import(&client);
        assert_eq!(report.not_understood.len(), 8, "{report:#?}");
        let place = format!("{IDENTITY}/notes/bad1");
        let found = report.not_understood.iter().find(|it| it.place == place);
        assert_eq!(found.unwrap().why, "the sync count is -3");
    }
    assert_eq!(
        shown(&client.dataset("notes").unwrap()),
        texts([("good", "v")])
    );

    let old = Old::new(LocalStoreKind::Ios);
    for (key, data, kind) in [
        ("a", json!({ "v": 7 }), 1),
        ("b", json!([]), 1),
        ("c", json!({ "v": "1" }), 3),
    ] {
        ios_row(&old, key, &data, (0, 1, kind), "LOCAL");
    }
    assert_eq!(old.import(&Fake::new().device()).not_understood.len(), 3);

    let old = Old::new(LocalStoreKind::JavaScript);
    old.storage(
        &json!({ format!("{IDENTITY}.a"): [1], format!("{IDENTITY}.b"): { "k": { "Value": {} } } }),
    );
    assert_eq!(old.import(&Fake::new().device()).not_understood.len(), 2);
}

#[test]
fn file_that_is_no_store_of_the_kind_is_refused() {
    let android = Old::new(LocalStoreKind::Android);
    fill_android(&android);
    for kind in [LocalStoreKind::Ios, LocalStoreKind::JavaScript] {
        let old = Old::new(kind);
        fs::copy(android.path(), old.path()).unwrap();
        assert!(
            matches!(old.fail(), LocalStoreError::OtherKind { .. }),
            "{kind:?}"
        );
    }
    for bytes in [
        "",
        "hello",
        &"no database at all, but long enough. ".repeat(40),
    ] {
        for kind in [
            LocalStoreKind::Android,
            LocalStoreKind::Ios,
            LocalStoreKind::JavaScript,
        ] {
            let old = Old::new(kind);
            old.write(bytes);
            let error = old.fail();
            assert!(
                matches!(error, LocalStoreError::OtherKind { .. }),
                "{kind:?}: {error:?}"
            );
        }
    }
    for missing in ["datasets", "records"] {
        let old = Old::new(LocalStoreKind::Android);
        old.sql(&format!("DROP TABLE {missing}"));
        assert!(matches!(old.fail(), LocalStoreError::OtherKind { .. }));
        // A view could go on for ever.
        old.sql(&format!("CREATE VIEW {missing} AS SELECT 1 AS identity_id"));
        assert!(matches!(old.fail(), LocalStoreError::OtherKind { .. }));
    }
    let old = Old::new(LocalStoreKind::JavaScript);
    old.write(r#"{"theme":"dark"}"#);
    assert!(matches!(old.fail(), LocalStoreError::OtherKind { .. }));
    fs::remove_file(old.path()).unwrap();
    assert!(matches!(old.fail(), LocalStoreError::Io { .. }));
}

/// Waiting for somebody who writes into a pipe, or for the end of a device, would never end.
#[cfg(unix)]
#[test]
fn what_is_no_regular_file_is_refused() {
    let pipe = |path: &Path| {
        let made = std::process::Command::new("mkfifo").arg(path).status();
        assert!(made.unwrap().success());
    };
    for kind in [
        LocalStoreKind::Android,
        LocalStoreKind::Ios,
        LocalStoreKind::JavaScript,
    ] {
        let client = Fake::new().device();
        let directory = tempfile::tempdir().unwrap();
        pipe(&directory.path().join("pipe"));
        for path in [
            Path::new("/dev/zero"),
            directory.path(),
            &directory.path().join("pipe"),
        ] {
            let refused = client.import_local_store(path, kind);
            let is_refused = matches!(refused, Err(LocalStoreError::OtherKind { .. }));
            assert!(is_refused, "{path:?}: {refused:?}");
        }
    }
    for journal in ["old-wal", "old-journal"] {
        let old = Old::new(LocalStoreKind::Android);
        fill_android(&old);
        pipe(&old.directory.path().join(journal));
        assert!(matches!(old.fail(), LocalStoreError::OtherKind { .. }));
    }
}

/// A file of some kilobytes whose values are computed when they are read.
#[test]
fn values_that_are_computed_do_not_grow_beyond_the_limit() {
    for (length, rows) in [(200_000_000, 1), (8_000_000, 40)] {
        let old = Old::new(LocalStoreKind::Android);
        old.sql(&format!(
            "DROP TABLE records;
             CREATE TABLE records(identity_id TEXT, dataset_name TEXT, key TEXT, sync_count INTEGER, modified INTEGER,
                value TEXT GENERATED ALWAYS AS (hex(zeroblob({}))))",
            length / 2
        ));
        for row in 0..rows {
            old.sql(&format!(
                "INSERT INTO records VALUES ('{OTHER}', 'notes', '{row}', 0, 1)"
            ));
        }
        let error = old.fail();
        match rows {
            1 => assert!(matches!(error, LocalStoreError::Damaged(_)), "{error:?}"),
            _ => assert!(
                matches!(error, LocalStoreError::TooLarge { .. }),
                "{error:?}"
            ),
        }
    }
}

#[test]
fn damaged_file_is_refused() {
    let old = Old::new(LocalStoreKind::Android);
    for number in 0..50 {
        let value = "text ".repeat(40);
        old.open()
            .execute(
                "INSERT INTO records (identity_id, dataset_name, key, value) VALUES (?1, 'notes', ?2, ?3)",
                (IDENTITY, number.to_string(), value),
            )
            .unwrap();
    }
    let whole = fs::read(old.path()).unwrap();
    let mut spoiled = whole.clone();
    let middle = spoiled.len() / 2;
    spoiled[middle..middle + 4_096].fill(0xff);
    for bytes in [&whole[..whole.len() - 4_096], &spoiled] {
        old.write(bytes);
        let error = old.fail();
        assert!(matches!(error, LocalStoreError::Damaged(_)), "{error:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    /// Whatever became of the bytes of an old store, it is read or refused, and it stays as it is.
    #[test]
    fn any_bytes_are_read_or_refused(
        kind in 0..3_usize,
        spots in vec((any::<Index>(), any::<u8>()), 0..12),
        length in option::of(any::<Index>()),
    ) {
        let kind = [LocalStoreKind::Android, LocalStoreKind::Ios, LocalStoreKind::JavaScript][kind];
        let old = Old::new(kind);
        match kind {
            LocalStoreKind::Android => fill_android(&old),
            LocalStoreKind::Ios => fill_ios(&old),
            _ => fill_javascript(&old),
        }
        let mut bytes = fs::read(old.path()).unwrap();
        for (at, byte) in spots {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(length.map_or(bytes.len(), |length| length.index(bytes.len())));
        old.write(&bytes);
        let client = Fake::new().device();
        drop(client.import_local_store(old.path(), kind));
        prop_assert_eq!(fs::read(old.path()).unwrap(), bytes);
    }
}

fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect()
}

#[test]
fn journals_beside_the_file_count_and_nothing_there_is_changed() {
    for mode in ["WAL", "DELETE"] {
        let old = Old::new(LocalStoreKind::Android);
        let writer = old.open();
        writer
            .query_row(&format!("PRAGMA journal_mode={mode}"), [], |row| {
                row.get::<_, String>(0)
            })
            .unwrap();
        // With a reader there, nobody takes the journal of a log away.
        let count = "SELECT count(*) FROM records";
        writer
            .query_row(count, [], |row| row.get::<_, i64>(0))
            .unwrap();
        old.row(IDENTITY, "notes", "k", Some("v"), (0, true));
        if mode == "DELETE" {
            // A transaction that its process did not live to end, of which the file has a part already.
            writer
                .execute_batch("PRAGMA cache_size=1; BEGIN; UPDATE records SET value = 'half';")
                .unwrap();
            let filler = "INSERT INTO records (identity_id, dataset_name, key, value) VALUES ('x', 'y', ?1, ?2)";
            for number in 0..200 {
                writer.execute(filler, (number, "z".repeat(1_000))).unwrap();
            }
        }
        let left = Old {
            directory: tempfile::tempdir().unwrap(),
            kind: LocalStoreKind::Android,
        };
        for (path, bytes) in files(old.directory.path()) {
            let name = path.file_name().unwrap();
            if !name.to_string_lossy().ends_with("-shm") {
                fs::write(left.directory.path().join(name), bytes).unwrap();
            }
        }
        let before = files(left.directory.path());
        assert_eq!(before.len(), 2, "a journal is beside the file");
        let client = Fake::new().device();
        left.import(&client);
        assert_eq!(files(left.directory.path()), before);
        let notes = client.dataset("notes").unwrap();
        assert_eq!(shown(&notes), texts([("k", "v")]), "{mode}");
    }
}
