//! RegisterDevice, subscriptions, and who is told of a push.

use std::sync::Arc;

use driftless_server::{Caller, MemorySink, MemoryStorage, PushHint, Service};
use driftless_wire::identity::Logins;
use driftless_wire::{
    ApiError, DatasetName, DeviceId, ErrorCode, IdentityId, ListRecordsRequest, Platform, PushSync,
    RegisterDeviceRequest, Request, Response, SetIdentityPoolConfigurationRequest,
    SubscribeToDatasetRequest, UnsubscribeFromDatasetRequest, UpdateRecordsRequest,
};

use crate::support::{World, caller, list_records, login, open_pool, pool, put, refused};

struct Stage {
    world: World,
    sink: Arc<MemorySink>,
    guest: IdentityId,
}

impl Stage {
    /// A pool without push, and a guest.
    fn without_push() -> Self {
        let sink = Arc::new(MemorySink::default());
        let service = Service::new(Arc::new(MemoryStorage::new()), [1; 32], [2; 32]);
        let service = service.with_push_sink(sink.clone());
        let world = World::of(service.with_pool(pool(), open_pool()));
        let guest = world.get_id(Logins::none()).unwrap();
        Self { world, sink, guest }
    }

    /// A pool with push for Google's devices, and a guest with a dataset.
    fn new() -> Self {
        let stage = Self::without_push();
        let request = SetIdentityPoolConfigurationRequest {
            identity_pool_id: pool(),
            push_sync: Some(PushSync {
                application_arns: vec!["arn:aws:sns:us-east-1:123:app/GCM/app".to_owned()],
                role_arn: None,
            }),
            cognito_streams: None,
        };
        let request = Request::SetIdentityPoolConfiguration(request);
        stage.world.handle(request).unwrap();
        stage.push("notes", None, 0);
        stage
    }

    fn ask(&self, request: Request) -> Result<Response, ApiError> {
        self.world.handle_as(request, &caller(&self.guest))
    }

    fn push(&self, dataset: &str, device_id: Option<DeviceId>, count: u32) {
        self.push_as(&caller(&self.guest), dataset, device_id, count);
    }

    fn push_as(&self, who: &Caller, dataset: &str, device_id: Option<DeviceId>, count: u32) {
        let ask = |request| self.world.handle_as(request, who).unwrap();
        let list = ListRecordsRequest {
            identity_id: self.guest.clone(),
            ..list_records(dataset)
        };
        let Response::ListRecords(list) = ask(Request::ListRecords(list)) else {
            panic!("a list answers a list")
        };
        let update = UpdateRecordsRequest {
            identity_pool_id: pool(),
            identity_id: self.guest.clone(),
            dataset_name: dataset.parse().unwrap(),
            sync_session_token: list.sync_session_token.unwrap(),
            device_id,
            record_patches: vec![put("k", &(count + 1).to_string(), count)],
        };
        ask(Request::UpdateRecords(update));
    }

    fn register(&self, platform: Platform, token: &str) -> Result<DeviceId, ApiError> {
        let request = RegisterDeviceRequest {
            identity_pool_id: pool(),
            identity_id: self.guest.clone(),
            platform,
            token: token.to_owned(),
        };
        match self.ask(Request::RegisterDevice(request))? {
            Response::RegisterDevice(response) => Ok(response.device_id),
            other => panic!("{other:?}"),
        }
    }

    fn device(&self, token: &str) -> DeviceId {
        self.register(Platform::Gcm, token).unwrap()
    }

    fn subscribe(&self, dataset: &str, device: &DeviceId) -> Result<Response, ApiError> {
        self.ask(Request::SubscribeToDataset(SubscribeToDatasetRequest {
            identity_pool_id: pool(),
            identity_id: self.guest.clone(),
            dataset_name: dataset.parse().unwrap(),
            device_id: device.clone(),
        }))
    }

    fn unsubscribe(&self, dataset: &str, device: &DeviceId) -> Result<Response, ApiError> {
        self.ask(Request::UnsubscribeFromDataset(
            UnsubscribeFromDatasetRequest {
                identity_pool_id: pool(),
                identity_id: self.guest.clone(),
                dataset_name: dataset.parse().unwrap(),
                device_id: device.clone(),
            },
        ))
    }

    fn told(&self) -> Vec<(String, DatasetName, i64)> {
        let hints = self.sink.take().into_iter();
        hints
            .map(|hint| (hint.token, hint.dataset_name, hint.sync_count.get()))
            .collect()
    }
}

fn told(token: &str, dataset: &str, count: i64) -> (String, DatasetName, i64) {
    (token.to_owned(), dataset.parse().unwrap(), count)
}

#[test]
fn device_that_registers_again_is_the_same_one() {
    let stage = Stage::new();
    let device = stage.device("t");
    assert_eq!(stage.device("t"), device);
    assert_ne!(stage.device("u"), device);
    assert_eq!(device.as_str().len(), 36);
}

#[test]
fn trap_56_writer_is_not_told_and_the_others_are() {
    let stage = Stage::new();
    let (phone, tablet) = (stage.device("phone"), stage.device("tablet"));
    for device in [&phone, &tablet] {
        stage.subscribe("notes", device).unwrap();
    }
    stage.push("notes", Some(phone), 1);
    assert_eq!(stage.told(), [told("tablet", "notes", 2)]);
    stage.push("notes", None, 2);
    let mut both = stage.told();
    both.sort_unstable();
    assert_eq!(
        both,
        [told("phone", "notes", 3), told("tablet", "notes", 3)]
    );
    stage.push("notes", None, 3);
    stage.told();
    stage.push("other", None, 0);
    assert_eq!(stage.told(), [], "nobody asked for that one");
}

#[test]
fn push_that_changes_nothing_tells_nobody() {
    let stage = Stage::new();
    let device = stage.device("t");
    stage.subscribe("notes", &device).unwrap();
    stage.push("notes", None, 1);
    assert_eq!(stage.told().len(), 1);
    let unchanged = ListRecordsRequest {
        identity_id: stage.guest.clone(),
        ..list_records("notes")
    };
    let Response::ListRecords(list) = stage.ask(Request::ListRecords(unchanged)).unwrap() else {
        panic!("a list answers a list")
    };
    let update = UpdateRecordsRequest {
        identity_pool_id: pool(),
        identity_id: stage.guest.clone(),
        dataset_name: "notes".parse().unwrap(),
        sync_session_token: list.sync_session_token.unwrap(),
        device_id: None,
        record_patches: vec![put("k", "2", 2)],
    };
    stage.ask(Request::UpdateRecords(update)).unwrap();
    assert_eq!(stage.told(), []);
}

#[test]
fn unsubscribed_device_is_told_no_more() {
    let stage = Stage::new();
    let device = stage.device("t");
    stage.subscribe("notes", &device).unwrap();
    stage.unsubscribe("notes", &device).unwrap();
    stage.unsubscribe("notes", &device).unwrap();
    stage.push("notes", None, 1);
    assert_eq!(stage.told(), []);
}

#[test]
fn unknown_dataset_or_device_is_not_found() {
    let stage = Stage::new();
    let device = stage.device("t");
    let missing = "Dataset other does not exist";
    refused(
        stage.subscribe("other", &device),
        ErrorCode::ResourceNotFound,
        missing,
    );
    refused(
        stage.unsubscribe("other", &device),
        ErrorCode::ResourceNotFound,
        missing,
    );
    let stranger = "d/1".parse().unwrap();
    let missing = "Device does not exist";
    refused(
        stage.subscribe("notes", &stranger),
        ErrorCode::ResourceNotFound,
        missing,
    );
    refused(
        stage.unsubscribe("notes", &stranger),
        ErrorCode::ResourceNotFound,
        missing,
    );
}

#[test]
fn pool_without_push_or_without_the_platform_is_misconfigured() {
    let message = "Identity pool isn't set up for SNS";
    let stage = Stage::without_push();
    let registered = stage.register(Platform::Gcm, "t");
    refused(registered, ErrorCode::InvalidConfiguration, message);
    let device = "d".parse().unwrap();
    let subscribed = stage.subscribe("notes", &device);
    refused(subscribed, ErrorCode::InvalidConfiguration, message);
    let registered = Stage::new().register(Platform::Apns, "t");
    refused(registered, ErrorCode::InvalidConfiguration, message);
}

#[test]
fn developer_credentials_do_not_register_devices() {
    let stage = Stage::new();
    let request = Request::RegisterDevice(RegisterDeviceRequest {
        identity_pool_id: pool(),
        identity_id: stage.guest.clone(),
        platform: Platform::Gcm,
        token: "t".to_owned(),
    });
    let message = "These credentials are not valid for accessing this resource";
    let answer = stage.world.handle_as(request, &Caller::Operator);
    refused(answer, ErrorCode::NotAuthorized, message);
}

#[test]
fn of_too_many_devices_the_oldest_goes_with_its_subscriptions() {
    let stage = Stage::new();
    let first = stage.device("0");
    stage.subscribe("notes", &first).unwrap();
    for n in 1..=64 {
        stage.device(&n.to_string());
    }
    let missing = "Device does not exist";
    refused(
        stage.subscribe("notes", &first),
        ErrorCode::ResourceNotFound,
        missing,
    );
    let second = stage.device("1");
    stage.subscribe("notes", &second).unwrap();
    stage.push("notes", None, 1);
    assert_eq!(stage.told(), [told("1", "notes", 2)]);
}

#[test]
fn merged_guests_devices_are_told_no_more() {
    let stage = Stage::new();
    let device = stage.device("t");
    stage.subscribe("notes", &device).unwrap();
    stage.world.get_id(login("ann")).unwrap();
    stage
        .world
        .get_credentials(&stage.guest, login("ann"))
        .unwrap();
    assert!(stage.subscribe("notes", &device).is_err());
    // Only the operator can still write there.
    stage.push_as(&Caller::Operator, "notes", None, 0);
    assert_eq!(stage.told(), []);
}

#[test]
fn payload_is_what_the_old_clients_read() {
    let mut hint = PushHint {
        device_id: "d".parse().unwrap(),
        platform: Platform::Gcm,
        token: "hidden".to_owned(),
        identity_pool_id: "r:0".parse().unwrap(),
        identity_id: "r:1".parse().unwrap(),
        dataset_name: "notes".parse().unwrap(),
        sync_count: 7.into(),
    };
    let members = r#"{"datasetName":"notes","identityId":"r:1","identityPoolId":"r:0","source":"cognito-sync","syncCount":"7"}"#;
    assert_eq!(hint.payload(), members);
    hint.platform = Platform::Apns;
    let wrapped = format!(r#"{{"aps":{{"content-available":1}},"data":{members}}}"#);
    assert_eq!(hint.payload(), wrapped);
}
