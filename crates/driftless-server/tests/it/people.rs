//! Random people and devices against a model that is nothing but maps.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use driftless_server::{MemoryStorage, Service};
use driftless_wire::identity::Logins;
use driftless_wire::{
    ApiError, ErrorCode, IdentityId, ListRecordsRequest, ListRecordsResponse, Request, Response,
    UpdateRecordsRequest,
};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::{World, caller, list_records, login, open_pool, pool, put};

const PEOPLE: [&str; 3] = ["ann", "bob", "eve"];
const DATASETS: [&str; 2] = ["notes", "scores"];

#[derive(Debug, Clone)]
enum Step {
    /// A device begins as a guest.
    Begin(usize),
    /// A person logs in at a device, or out.
    LogIn(usize, Option<usize>),
    /// A person's identity is asked for.
    GetId(usize),
    /// A device writes a key of its own into a dataset.
    Push(usize, usize),
}

fn step() -> impl Strategy<Value = Step> {
    let (device, person) = (0..3_usize, 0..PEOPLE.len());
    prop_oneof![
        2 => device.clone().prop_map(Step::Begin),
        3 => (device.clone(), prop::option::of(person.clone())).prop_map(|(d, p)| Step::LogIn(d, p)),
        1 => person.prop_map(Step::GetId),
        5 => (device, 0..DATASETS.len()).prop_map(|(d, n)| Step::Push(d, n)),
    ]
}

/// What is known of identities, and the keys in each of their datasets.
#[derive(Default)]
struct Model {
    of_person: BTreeMap<usize, IdentityId>,
    disabled: BTreeSet<IdentityId>,
    data: BTreeMap<IdentityId, BTreeMap<String, BTreeSet<String>>>,
}

impl Model {
    fn is_guest(&self, identity: &IdentityId) -> bool {
        self.of_person.values().all(|other| other != identity)
    }

    /// Whose credentials a device gets, or no right.
    fn log_in(&mut self, asked: &IdentityId, person: Option<usize>) -> Option<IdentityId> {
        if self.disabled.contains(asked) {
            return None;
        }
        let known = person.map(|person| (person, self.of_person.get(&person).cloned()));
        match known {
            None => self.is_guest(asked).then(|| asked.clone()),
            Some((_, Some(owner))) if owner == *asked => Some(owner),
            Some((_, Some(owner))) if self.is_guest(asked) => {
                self.merge(asked, &owner);
                Some(owner)
            }
            Some((person, None)) if self.is_guest(asked) => {
                self.of_person.insert(person, asked.clone());
                Some(asked.clone())
            }
            Some(_) => None,
        }
    }

    fn merge(&mut self, guest: &IdentityId, survivor: &IdentityId) {
        self.disabled.insert(guest.clone());
        let moved = self.data.remove(guest).unwrap_or_default();
        let data = self.data.entry(survivor.clone()).or_default();
        data.extend(
            moved
                .into_iter()
                .map(|(name, keys)| (format!("{name}.{guest}"), keys)),
        );
    }
}

struct Stage {
    world: World,
    model: Model,
    devices: BTreeMap<usize, IdentityId>,
    pushes: usize,
}

impl Stage {
    fn new() -> Self {
        let service = Service::new(Arc::new(MemoryStorage::new()), [1; 32], [2; 32]);
        Self {
            world: World::of(service.with_pool(pool(), open_pool())),
            model: Model::default(),
            devices: BTreeMap::new(),
            pushes: 0,
        }
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Begin(device) => {
                let guest = self.world.get_id(Logins::none()).unwrap();
                self.devices.insert(device, guest);
            }
            Step::GetId(person) => {
                let identity = self.world.get_id(login(PEOPLE[person])).unwrap();
                let known = self
                    .model
                    .of_person
                    .entry(person)
                    .or_insert(identity.clone());
                assert_eq!(*known, identity);
            }
            Step::LogIn(device, person) => self.log_in(device, person),
            Step::Push(device, dataset) => self.push(device, DATASETS[dataset]),
        }
    }

    fn log_in(&mut self, device: usize, person: Option<usize>) {
        let Some(asked) = self.devices.get(&device).cloned() else {
            return;
        };
        let logins = person.map_or_else(Logins::none, |person| login(PEOPLE[person]));
        let given = self.world.get_credentials(&asked, logins);
        let expected = self.model.log_in(&asked, person);
        match given {
            Ok(given) => {
                assert_eq!(Some(&given.identity_id), expected.as_ref());
                self.devices.insert(device, given.identity_id);
            }
            Err(error) => assert_eq!((error.code, expected), (ErrorCode::NotAuthorized, None)),
        }
    }

    fn push(&mut self, device: usize, dataset: &str) {
        let Some(identity) = self.devices.get(&device).cloned() else {
            return;
        };
        self.pushes += 1;
        let key = format!("k{}", self.pushes);
        let pushed = self.list(&identity, dataset).and_then(|list| {
            let update = UpdateRecordsRequest {
                identity_pool_id: pool(),
                identity_id: identity.clone(),
                dataset_name: dataset.parse().unwrap(),
                sync_session_token: list.sync_session_token.unwrap(),
                device_id: None,
                record_patches: vec![put(&key, "v", 0)],
            };
            self.world
                .handle_as(Request::UpdateRecords(update), &caller(&identity))
        });
        assert_eq!(
            pushed.is_err(),
            self.model.disabled.contains(&identity),
            "{pushed:?}"
        );
        if pushed.is_ok() {
            let data = self.model.data.entry(identity).or_default();
            data.entry(dataset.to_owned()).or_default().insert(key);
        }
    }

    fn list(&self, identity: &IdentityId, dataset: &str) -> Result<ListRecordsResponse, ApiError> {
        let request = ListRecordsRequest {
            identity_id: identity.clone(),
            ..list_records(dataset)
        };
        match self
            .world
            .handle_as(Request::ListRecords(request), &caller(identity))?
        {
            Response::ListRecords(list) => Ok(list),
            other => panic!("{other:?}"),
        }
    }

    /// Every identity shows the datasets of the model, and each reports its children.
    fn check(&self) {
        for (identity, datasets) in &self.model.data {
            for (name, keys) in datasets {
                let listed = self.list(identity, name).unwrap();
                let found = listed.records.iter().map(|record| record.key.to_string());
                assert_eq!(&found.collect::<BTreeSet<_>>(), keys, "{name}");
            }
            for parent in DATASETS {
                let merged = self.list(identity, parent).unwrap().merged_dataset_names;
                let children = datasets.keys().filter(|name| {
                    name.strip_prefix(parent)
                        .is_some_and(|rest| rest.starts_with('.'))
                });
                assert!(merged.iter().eq(children), "{merged:?}");
            }
        }
    }
}

proptest! {
    /// A login is one identity for ever, no login opens another's, and what was acknowledged to
    /// whoever is in their datasets, or in the children of whom they turned out to be.
    #[test]
    fn nobody_loses_or_gets_what_is_not_theirs(steps in vec(step(), 0..40)) {
        let mut stage = Stage::new();
        steps.iter().for_each(|step| stage.take(step));
        stage.check();
    }
}
