//! Random requests against a model that is nothing but maps, on both storages at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use driftless_server::{FjallStorage, Limits};
use driftless_wire::{ErrorCode, Op, RecordPatch, SyncCount};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::{World, brief, patch};

#[derive(Debug, Clone)]
enum Step {
    /// Key, value or none for a removal, and how far its count is off.
    Push(Vec<(u8, Option<u8>, i64)>),
    Delete,
    List {
        since: i64,
        size: u32,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let off = prop_oneof![8 => Just(0_i64), 1 => -2..=2_i64];
    let change = (0..5_u8, prop::option::of(0..3_u8), off);
    prop_oneof![
        6 => vec(change, 0..4).prop_map(Step::Push),
        1 => Just(Step::Delete),
        4 => (0..12_i64, 1..4_u32).prop_map(|(since, size)| Step::List { since, size }),
    ]
}

#[derive(Debug, Default)]
struct Model {
    count: i64,
    deleted_at: i64,
    exists: bool,
    records: BTreeMap<String, (Option<String>, i64)>,
}

impl Model {
    fn patches(&self, changes: &[(u8, Option<u8>, i64)]) -> Vec<RecordPatch> {
        let mut patches = BTreeMap::new();
        for (key, value, off) in changes {
            let key = key.to_string();
            let current = self.records.get(&key).map_or(0, |(_, count)| *count);
            let op = if value.is_some() {
                Op::Replace
            } else {
                Op::Remove
            };
            let value = value.map(|value| value.to_string());
            let count = SyncCount::try_from((current + off).max(0)).unwrap();
            patches.insert(key.clone(), patch(op, &key, value.as_deref(), count));
        }
        patches.into_values().collect()
    }

    /// Returns whether the push is taken.
    fn push(&mut self, patches: &[RecordPatch]) -> bool {
        let fits = |patch: &RecordPatch| {
            let given = patch.sync_count.get();
            match self.records.get(patch.key.as_str()) {
                Some((_, count)) => given == *count,
                None => given == 0 || (given > self.deleted_at && given <= self.count),
            }
        };
        if !patches.iter().all(fits) {
            return false;
        }
        let next = self.count + 1;
        for patch in patches {
            let new = (patch.value.clone(), next);
            let old = self.records.get(patch.key.as_str());
            if old.is_none_or(|(value, _)| *value != new.0) {
                self.records.insert(patch.key.as_str().to_owned(), new);
                (self.count, self.exists) = (next, true);
            }
        }
        true
    }

    fn after(&self, since: i64) -> Vec<(&str, Option<&str>, i64)> {
        let since = if since < self.deleted_at { 0 } else { since };
        let records = self.records.iter().filter(|(_, (_, count))| *count > since);
        let mut records: Vec<_> = records
            .map(|(key, (value, count))| (key.as_str(), value.as_deref(), *count))
            .collect();
        records.sort_by_key(|(key, _, count)| (*count, *key));
        records
    }
}

fn run(worlds: [&World; 2], steps: &[Step]) -> Result<(), TestCaseError> {
    let mut model = Model::default();
    for step in steps {
        match step {
            Step::Push(changes) => {
                let patches = model.patches(changes);
                let answers = worlds.map(|world| world.push("d", patches.clone()));
                prop_assert_eq!(&answers[0], &answers[1]);
                match &answers[0] {
                    Ok(records) => {
                        prop_assert!(model.push(&patches));
                        for (key, value, count) in brief(records) {
                            let (stands, at) = &model.records[key];
                            prop_assert_eq!((value, count), (stands.as_deref(), *at));
                        }
                    }
                    Err(error) => {
                        prop_assert_eq!(&error.code, &ErrorCode::ResourceConflict);
                        prop_assert!(!model.push(&patches));
                    }
                }
            }
            Step::Delete => {
                let answers = worlds.map(|world| world.delete("d"));
                prop_assert_eq!(&answers[0], &answers[1]);
                prop_assert_eq!(answers[0].is_ok(), model.exists);
                if model.exists {
                    let count = model.count + 1;
                    model = Model {
                        count,
                        deleted_at: count,
                        ..Model::default()
                    };
                }
            }
            Step::List { since, size } => list(worlds, &model, *since, *size)?,
        }
    }
    let described = worlds.map(|world| world.describe("d"));
    prop_assert_eq!(&described[0], &described[1]);
    prop_assert_eq!(described[0].is_ok(), model.exists);
    if let Ok(dataset) = &described[0] {
        let value = |value: &Option<String>| value.as_ref().map_or(0, String::len);
        let bytes: usize = model
            .records
            .iter()
            .map(|(key, (v, _))| key.len() + value(v))
            .sum();
        prop_assert_eq!(dataset.data_storage, bytes as i64);
        prop_assert_eq!(dataset.num_records, model.records.len() as i64);
    }
    Ok(())
}

fn list(worlds: [&World; 2], model: &Model, since: i64, size: u32) -> Result<(), TestCaseError> {
    let mut found = Vec::new();
    let mut next = None;
    loop {
        let answers = worlds.map(|world| {
            world.list_with("d", |request| {
                request.last_sync_count = Some(since.try_into().unwrap());
                request.max_results = Some(size);
                request.next_token.clone_from(&next);
            })
        });
        prop_assert_eq!(&answers[0], &answers[1]);
        let [Ok(page), _] = answers else {
            let knows = since <= model.count || (!model.exists && model.count > 0);
            prop_assert!(!knows, "{:?} refused", since);
            return Ok(());
        };
        let deleted = since > 0 && model.count > 0 && (!model.exists || since < model.deleted_at);
        prop_assert_eq!(page.dataset_deleted_after_requested_sync_count, deleted);
        prop_assert_eq!(page.dataset_exists, model.exists);
        let count = if model.exists { model.count } else { 0 };
        prop_assert_eq!(page.dataset_sync_count.get(), count);
        prop_assert!(page.records.len() <= size as usize);
        found.extend(page.records);
        next = page.next_token;
        if next.is_none() {
            break;
        }
    }
    prop_assert_eq!(brief(&found), model.after(since));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 24,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Whatever is asked, both storages answer the same, and the answer is the model's.
    #[test]
    fn service_is_its_model_on_every_storage(steps in vec(step(), 1..40)) {
        let directory = tempfile::tempdir().unwrap();
        let disk = FjallStorage::open(directory.path()).unwrap();
        let disk = World::over(Arc::new(disk), Limits::default());
        run([&World::new(), &disk], &steps)?;
    }
}
