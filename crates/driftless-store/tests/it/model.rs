//! Any sequence of calls leaves the store on disk equal to the one in memory.

use driftless_merge::{Commit, DatasetKey, Durability, Snapshot};
use driftless_store::{MemoryStore, Store};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::samples::{copy_dir, datasets, dump, key, local, open, record};

#[derive(Clone, Debug)]
enum Step {
    Commit(Commit, Durability),
    Forget(DatasetKey, Durability),
    SetAside(DatasetKey),
    Setting(u8, Option<Vec<u8>>),
    Close,
    /// The process dies, but not the machine.
    Die,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let durability = || prop_oneof![Just(Durability::Disk), Just(Durability::Buffered)];
    let step = prop_oneof![
        12 => (commit(), durability()).prop_map(|(commit, how)| Step::Commit(commit, how)),
        1 => (dataset(), durability()).prop_map(|(dataset, how)| Step::Forget(dataset, how)),
        1 => dataset().prop_map(Step::SetAside),
        2 => (0..3_u8, option::of(bytes())).prop_map(|(name, value)| Step::Setting(name, value)),
        1 => Just(Step::Close),
        1 => Just(Step::Die),
    ];
    vec(step, 1..40)
}

fn dataset() -> impl Strategy<Value = DatasetKey> {
    let [a, b] = datasets();
    prop_oneof![Just(a), Just(b), Just(local("n"))]
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![4 => vec(any::<u8>(), 0..60), 1 => vec(any::<u8>(), 5_000..9_000)]
}

fn commit() -> impl Strategy<Value = Commit> {
    let snapshot =
        (bytes(), option::of(bytes())).prop_map(|(state, document)| Snapshot { state, document });
    let record = (0..6_u8, option::of(0..100_u32)).prop_map(|(name, count)| {
        (
            key(&format!("key {name}")),
            count.and_then(|count| record(&count.to_string(), count)),
        )
    });
    let parts = (
        dataset(),
        option::weighted(0.2, snapshot),
        vec(bytes(), 0..3),
        prop::bool::weighted(0.1),
        vec(record, 0..5),
        option::weighted(0.3, bytes()),
    );
    parts.prop_map(
        |(dataset, snapshot, deltas, forget_records, records, sync)| Commit {
            dataset,
            snapshot,
            deltas,
            forget_records,
            records,
            sync,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(32) })]

    /// Whatever is committed, forgotten and set aside, and wherever the store is closed or its process dies, it returns
    /// what the store in memory returns.
    #[test]
    fn the_disk_equals_the_memory(steps in steps()) {
        let home = tempfile::tempdir().unwrap();
        let mut dir = home.path().join("0");
        let mut store = open(&dir).0;
        let model = MemoryStore::new();
        for (at, step) in steps.into_iter().enumerate() {
            for store in [&store as &dyn Store, &model] {
                match &step {
                    Step::Commit(commit, how) => store.commit(commit.clone(), *how).unwrap(),
                    Step::Forget(dataset, how) => store.forget(dataset, *how).unwrap(),
                    Step::SetAside(dataset) => store.set_aside(dataset).unwrap(),
                    Step::Setting(name, value) => {
                        let name = name.to_string();
                        store.set_setting(&name, value.as_deref(), Durability::Buffered).unwrap();
                    }
                    Step::Close | Step::Die => {}
                }
            }
            if matches!(step, Step::Close | Step::Die) {
                let next = home.path().join((at + 1).to_string());
                if matches!(step, Step::Close) {
                    store.close().unwrap();
                }
                copy_dir(&dir, &next);
                let (opened, report) = open(&next);
                prop_assert!(!report.lost_tail(), "{report:?}");
                (store, dir) = (opened, next);
            }
            prop_assert_eq!(dump(&store), dump(&model));
            for name in ["0", "1", "2"] {
                prop_assert_eq!(store.setting(name).unwrap(), model.setting(name).unwrap());
            }
        }
    }
}
