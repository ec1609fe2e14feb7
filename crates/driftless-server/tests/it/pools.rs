//! Usage and configuration of pools: what an operator asks.

use std::collections::BTreeMap;

use driftless_wire::identity::Logins;
use driftless_wire::{
    ApiError, BulkPublishRequest, BulkPublishStatus, CognitoStreams,
    DescribeIdentityPoolUsageRequest, DescribeIdentityUsageRequest, ErrorCode,
    GetBulkPublishDetailsRequest, GetCognitoEventsRequest, GetIdentityPoolConfigurationRequest,
    IdentityUsage, ListIdentityPoolUsageRequest, ListIdentityPoolUsageResponse, PushSync, Request,
    Response, SetCognitoEventsRequest, SetIdentityPoolConfigurationRequest, Timestamp,
};

use crate::identities::world;
use crate::support::{World, caller, identity, list_records, pool, put, refused, update_records};

fn usage(world: &World) -> Result<IdentityUsage, ApiError> {
    let request = DescribeIdentityUsageRequest {
        identity_pool_id: pool(),
        identity_id: identity(),
    };
    match world.handle(Request::DescribeIdentityUsage(request))? {
        Response::DescribeIdentityUsage(response) => Ok(response.identity_usage),
        other => panic!("{other:?}"),
    }
}

fn pools(
    world: &World,
    next_token: Option<&str>,
    max_results: u32,
) -> ListIdentityPoolUsageResponse {
    let request = ListIdentityPoolUsageRequest {
        next_token: next_token.map(str::to_owned),
        max_results: Some(max_results),
    };
    match world
        .handle(Request::ListIdentityPoolUsage(request))
        .unwrap()
    {
        Response::ListIdentityPoolUsage(response) => response,
        other => panic!("{other:?}"),
    }
}

/// Pushes one record of three bytes into a dataset of another pool.
fn push_into(world: &World, pool: &str) {
    let pool: driftless_wire::IdentityPoolId = pool.parse().unwrap();
    let mut list = list_records("d");
    list.identity_pool_id = pool.clone();
    let Response::ListRecords(list) = world.handle(Request::ListRecords(list)).unwrap() else {
        panic!("a list answers a list")
    };
    let token = list.sync_session_token.unwrap();
    let Request::UpdateRecords(mut update) = update_records("d", token, vec![put("k", "12", 0)])
    else {
        panic!("it is an update")
    };
    update.identity_pool_id = pool;
    world.handle(Request::UpdateRecords(update)).unwrap();
}

#[test]
fn usage_of_an_identity_sums_its_datasets() {
    let world = world();
    let missing = format!("Identity '{}' not found.", identity());
    refused(usage(&world), ErrorCode::ResourceNotFound, &missing);
    world.push("a", vec![put("k", "12", 0)]).unwrap();
    world.push("b", vec![put("k", "1234", 0)]).unwrap();
    let last: Timestamp = world.now();
    let usage = usage(&world).unwrap();
    assert_eq!((usage.dataset_count, usage.data_storage), (2, 8));
    assert_eq!(usage.last_modified_date, Some(last));
}

#[test]
fn identity_without_datasets_has_a_usage_of_nothing() {
    let world = world();
    let guest = world.get_id(Logins::none()).unwrap();
    let request = DescribeIdentityUsageRequest {
        identity_pool_id: pool(),
        identity_id: guest.clone(),
    };
    let request = Request::DescribeIdentityUsage(request);
    let answer = world.handle_as(request, &caller(&guest)).unwrap();
    let Response::DescribeIdentityUsage(answer) = answer else {
        panic!("{answer:?}")
    };
    assert_eq!(answer.identity_usage.dataset_count, 0);
}

#[test]
fn usage_of_pools_comes_in_pages() {
    let world = World::new();
    for pool in ["r:0a", "r:0b", "r:0c"] {
        push_into(&world, pool);
    }
    let first = pools(&world, None, 2);
    assert_eq!((first.count, first.max_results), (2, 2));
    let second = pools(&world, first.next_token.as_deref(), 2);
    assert_eq!(second.next_token, None);
    let usages = first
        .identity_pool_usages
        .iter()
        .chain(&second.identity_pool_usages);
    let usages: Vec<_> = usages
        .map(|usage| (usage.identity_pool_id.as_str(), usage.data_storage))
        .collect();
    assert_eq!(usages, [("r:0a", 3), ("r:0b", 3), ("r:0c", 3)]);
}

#[test]
fn usage_of_a_pool_that_nobody_knows_is_not_found() {
    let world = world();
    let describe = |pool: &str| {
        let request = DescribeIdentityPoolUsageRequest {
            identity_pool_id: pool.parse().unwrap(),
        };
        world.handle(Request::DescribeIdentityPoolUsage(request))
    };
    let missing = "IdentityPool 'r:0' not found.";
    refused(describe("r:0"), ErrorCode::ResourceNotFound, missing);
    let Response::DescribeIdentityPoolUsage(usage) = describe(pool().as_str()).unwrap() else {
        panic!("a description answers a description")
    };
    assert_eq!(usage.identity_pool_usage.data_storage, 0);
}

fn configure(
    world: &World,
    push_sync: Option<PushSync>,
    cognito_streams: Option<CognitoStreams>,
) -> Result<Option<PushSync>, ApiError> {
    let request = SetIdentityPoolConfigurationRequest {
        identity_pool_id: pool(),
        push_sync,
        cognito_streams,
    };
    match world.handle(Request::SetIdentityPoolConfiguration(request))? {
        Response::SetIdentityPoolConfiguration(response) => Ok(response.push_sync),
        other => panic!("{other:?}"),
    }
}

fn push_sync(arn: &str) -> PushSync {
    PushSync {
        application_arns: vec![arn.to_owned()],
        role_arn: Some("arn:aws:iam::1:role/r".to_owned()),
    }
}

#[test]
fn configuration_is_kept_and_what_is_absent_stays() {
    let world = World::new();
    let push = push_sync("arn:aws:sns:eu-west-1:123:app/APNS_SANDBOX/my.app");
    assert_eq!(
        configure(&world, Some(push.clone()), None).unwrap(),
        Some(push.clone())
    );
    let disabled = CognitoStreams {
        streaming_status: Some("DISABLED".to_owned()),
        ..CognitoStreams::default()
    };
    assert_eq!(
        configure(&world, None, Some(disabled)).unwrap(),
        Some(push.clone())
    );
    let request = GetIdentityPoolConfigurationRequest {
        identity_pool_id: pool(),
    };
    let kept = world
        .handle(Request::GetIdentityPoolConfiguration(request))
        .unwrap();
    let Response::GetIdentityPoolConfiguration(kept) = kept else {
        panic!("{kept:?}")
    };
    assert_eq!((kept.push_sync, kept.cognito_streams), (Some(push), None));
}

#[test]
fn configuration_that_cannot_work_is_refused() {
    let world = World::new();
    let message = "ApplicationArns are not of SNS platform applications";
    for arn in [
        "",
        "arn:aws:sns:r:1:topic",
        "arn:aws:sns:r:1:app/WNS/a",
        "arn:aws:sns:r:1:app/GCM/",
        "arn:aws:sns:r:1:app/GCM/a b",
    ] {
        let refusal = configure(&world, Some(push_sync(arn)), None);
        refused(refusal, ErrorCode::InvalidParameter, message);
    }
    let streams = CognitoStreams {
        stream_name: Some("s".to_owned()),
        streaming_status: Some("ENABLED".to_owned()),
        ..CognitoStreams::default()
    };
    let message = "Streams are not available on this server";
    let refusal = configure(&world, None, Some(streams));
    refused(refusal, ErrorCode::InvalidParameter, message);
}

#[test]
fn events_and_streams_are_said_not_to_be_there() {
    let world = World::new();
    let set = |arn: &str| {
        world.handle(Request::SetCognitoEvents(SetCognitoEventsRequest {
            identity_pool_id: pool(),
            events: BTreeMap::from([("SyncTrigger".to_owned(), arn.to_owned())]),
        }))
    };
    set("").unwrap();
    let message = "Lambda functions are not available on this server";
    refused(
        set("arn:aws:lambda:r:1:function:f"),
        ErrorCode::InvalidParameter,
        message,
    );
    let request = GetCognitoEventsRequest {
        identity_pool_id: pool(),
    };
    let Response::GetCognitoEvents(events) =
        world.handle(Request::GetCognitoEvents(request)).unwrap()
    else {
        panic!("events answer events")
    };
    assert!(events.events.is_empty());
    let publish = world.handle(Request::BulkPublish(BulkPublishRequest {
        identity_pool_id: pool(),
    }));
    assert_eq!(publish.unwrap_err().code, ErrorCode::InvalidParameter);
    let details = Request::GetBulkPublishDetails(GetBulkPublishDetailsRequest {
        identity_pool_id: pool(),
    });
    let Response::GetBulkPublishDetails(details) = world.handle(details).unwrap() else {
        panic!("details answer details")
    };
    assert_eq!(details.bulk_publish_status, BulkPublishStatus::NotStarted);
}

#[test]
fn what_is_about_a_whole_pool_is_for_developers() {
    let world = world();
    let guest = world.get_id(Logins::none()).unwrap();
    let message = "These credentials are not valid for accessing this resource";
    for request in [
        Request::DescribeIdentityPoolUsage(DescribeIdentityPoolUsageRequest {
            identity_pool_id: pool(),
        }),
        Request::ListIdentityPoolUsage(ListIdentityPoolUsageRequest {
            next_token: None,
            max_results: None,
        }),
        Request::GetIdentityPoolConfiguration(GetIdentityPoolConfigurationRequest {
            identity_pool_id: pool(),
        }),
        Request::BulkPublish(BulkPublishRequest {
            identity_pool_id: pool(),
        }),
    ] {
        let answer = world.handle_as(request, &caller(&guest));
        refused(answer, ErrorCode::NotAuthorized, message);
    }
}
