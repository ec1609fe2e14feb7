//! Addresses and bodies of the operations around a sync, as the model has them.

use std::collections::BTreeMap;

use driftless_wire::{
    ApiError, BulkPublishRequest, BulkPublishStatus, CognitoStreams, DescribeIdentityUsageRequest,
    ErrorCode, GetBulkPublishDetailsRequest, ListIdentityPoolUsageRequest, Operation, Platform,
    PushSync, RegisterDeviceRequest, Request, Response, SetCognitoEventsRequest,
    SetIdentityPoolConfigurationRequest, SubscribeToDatasetRequest, Timestamp,
    UnsubscribeFromDatasetRequest,
};

const POOL: &str = "us-east-1:11111111-2222-3333-4444-555555555555";
const IDENTITY: &str = "us-east-1:aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee";
const POOL_PATH: &str = "/identitypools/us-east-1%3A11111111-2222-3333-4444-555555555555";

fn check(request: Request, method: &str, path: &str, body: &str) {
    let http = request.to_http();
    assert_eq!(http.method.as_str(), method);
    assert_eq!(http.path, path);
    assert_eq!(String::from_utf8(http.body.clone()).unwrap(), body);
    assert_eq!(http.content_type.is_some(), !body.is_empty());
    let read = Request::from_http(method, path, &http.query, &http.body);
    assert_eq!(read, Ok(request));
}

fn subscription(path: &str, method: &str) {
    let (pool, identity) = (POOL.parse().unwrap(), IDENTITY.parse().unwrap());
    let (dataset_name, device_id) = ("notes".parse().unwrap(), "d/1".parse().unwrap());
    let request = match method {
        "POST" => Request::SubscribeToDataset(SubscribeToDatasetRequest {
            identity_pool_id: pool,
            identity_id: identity,
            dataset_name,
            device_id,
        }),
        _ => Request::UnsubscribeFromDataset(UnsubscribeFromDatasetRequest {
            identity_pool_id: pool,
            identity_id: identity,
            dataset_name,
            device_id,
        }),
    };
    check(request, method, path, "");
}

#[test]
fn trap_45_register_device_has_identity_in_the_singular() {
    let request = Request::RegisterDevice(RegisterDeviceRequest {
        identity_pool_id: POOL.parse().unwrap(),
        identity_id: IDENTITY.parse().unwrap(),
        platform: Platform::ApnsSandbox,
        token: "t".to_owned(),
    });
    let device = "identity/us-east-1%3Aaaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/device";
    let path = format!("{POOL_PATH}/{device}");
    check(
        request,
        "POST",
        &path,
        r#"{"Platform":"APNS_SANDBOX","Token":"t"}"#,
    );
    let plural = path.replace("/identity/", "/identities/");
    let refused = Request::from_http("POST", &plural, "", b"{}").unwrap_err();
    assert_eq!(ApiError::from(refused).code, ErrorCode::UnknownOperation);
}

#[test]
fn trap_45_details_of_a_bulk_publish_are_posted_for() {
    let pool = || POOL.parse().unwrap();
    let request = Request::BulkPublish(BulkPublishRequest {
        identity_pool_id: pool(),
    });
    check(request, "POST", &format!("{POOL_PATH}/bulkpublish"), "");
    let request = Request::GetBulkPublishDetails(GetBulkPublishDetailsRequest {
        identity_pool_id: pool(),
    });
    let path = format!("{POOL_PATH}/getBulkPublishDetails");
    check(request, "POST", &path, "");
    assert!(Request::from_http("GET", &path, "", b"").is_err());
}

#[test]
fn trap_46_and_47_what_is_special_in_an_address_is_encoded_once() {
    let identity = "identities/us-east-1%3Aaaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee";
    let path = format!("{POOL_PATH}/{identity}/datasets/notes/subscriptions/d%2F1");
    subscription(&path, "POST");
    subscription(&path, "DELETE");
    let request = Request::ListIdentityPoolUsage(ListIdentityPoolUsageRequest {
        next_token: Some("a+b/c==".to_owned()),
        max_results: Some(2),
    });
    let query = request.to_http().query;
    assert_eq!(query, "nextToken=a%2Bb%2Fc%3D%3D&maxResults=2");
    check(request, "GET", "/identitypools", "");
}

#[test]
fn configuration_is_written_and_read() {
    let path = format!("{POOL_PATH}/configuration");
    let request = Request::SetIdentityPoolConfiguration(SetIdentityPoolConfigurationRequest {
        identity_pool_id: POOL.parse().unwrap(),
        push_sync: Some(PushSync {
            application_arns: vec!["arn:aws:sns:us-east-1:1:app/GCM/a".to_owned()],
            role_arn: Some("arn:aws:iam::1:role/r".to_owned()),
        }),
        cognito_streams: Some(CognitoStreams {
            streaming_status: Some("DISABLED".to_owned()),
            ..CognitoStreams::default()
        }),
    });
    let body = r#"{"PushSync":{"ApplicationArns":["arn:aws:sns:us-east-1:1:app/GCM/a"],"RoleArn":"arn:aws:iam::1:role/r"},"CognitoStreams":{"StreamingStatus":"DISABLED"}}"#;
    check(request, "POST", &path, body);
    let answer = format!(r#"{{"IdentityPoolId":"{POOL}","PushSync":null,"CognitoStreams":null}}"#);
    let operation = Operation::GetIdentityPoolConfiguration;
    let answer = Response::from_body(operation, answer.as_bytes()).unwrap();
    let Response::GetIdentityPoolConfiguration(answer) = answer else {
        panic!("{answer:?}")
    };
    assert_eq!((answer.push_sync, answer.cognito_streams), (None, None));
}

#[test]
fn events_have_one_member_at_most() {
    let path = format!("{POOL_PATH}/events");
    let request = Request::SetCognitoEvents(SetCognitoEventsRequest {
        identity_pool_id: POOL.parse().unwrap(),
        events: BTreeMap::from([("SyncTrigger".to_owned(), String::new())]),
    });
    check(request, "POST", &path, r#"{"Events":{"SyncTrigger":""}}"#);
    for (body, message) in [
        ("{}", "Events is missing"),
        (
            r#"{"Events":{"a":"","b":""}}"#,
            "Events has more than one member",
        ),
    ] {
        let refused = Request::from_http("POST", &path, "", body.as_bytes()).unwrap_err();
        let refused = ApiError::from(refused);
        assert_eq!(
            (refused.code, refused.message.as_str()),
            (ErrorCode::InvalidParameter, message)
        );
    }
}

#[test]
fn registration_that_breaks_the_model_is_an_invalid_parameter() {
    let path = "/identitypools/r:0/identity/r:0/device";
    for (body, message) in [
        (r#"{"Token":"t"}"#, "Platform is missing"),
        (r#"{"Platform":"GCM"}"#, "Token is missing"),
        (
            r#"{"Platform":"WNS","Token":"t"}"#,
            "Platform is none of the model",
        ),
    ] {
        let refused = Request::from_http("POST", path, "", body.as_bytes()).unwrap_err();
        assert_eq!(ApiError::from(refused).message, message);
    }
}

#[test]
fn usage_is_read_with_its_nulls() {
    let request = Request::DescribeIdentityUsage(DescribeIdentityUsageRequest {
        identity_pool_id: POOL.parse().unwrap(),
        identity_id: IDENTITY.parse().unwrap(),
    });
    let path = format!("{POOL_PATH}/identities/us-east-1%3Aaaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee");
    check(request, "GET", &path, "");
    // The reference's sample of ListIdentityPoolUsage.
    let body =
        br#"{"Count":1,"IdentityPoolUsages":[{"DataStorage":0,"IdentityPoolId":"us-east-1:0a",
        "LastModifiedDate":1.413836234607E9,"SyncSessionsCount":null}],"MaxResults":2,
        "NextToken":"dXMtZWFzdC0xOjBh"}"#;
    let answer = Response::from_body(Operation::ListIdentityPoolUsage, body).unwrap();
    let Response::ListIdentityPoolUsage(answer) = answer else {
        panic!("{answer:?}")
    };
    let [usage] = &answer.identity_pool_usages[..] else {
        panic!("{answer:?}")
    };
    assert_eq!(usage.sync_sessions_count, None);
    let date = Timestamp::from_millis(1_413_836_234_607);
    assert_eq!(usage.last_modified_date, Some(date));
}

#[test]
fn bulk_publish_status_has_the_models_words() {
    let body = br#"{"IdentityPoolId":"r:0","BulkPublishStatus":"NOT_STARTED"}"#;
    let answer = Response::from_body(Operation::GetBulkPublishDetails, body).unwrap();
    let Response::GetBulkPublishDetails(answer) = answer else {
        panic!("{answer:?}")
    };
    assert_eq!(answer.bulk_publish_status, BulkPublishStatus::NotStarted);
}
