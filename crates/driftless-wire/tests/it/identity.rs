//! Cognito Identity as botocore and the old clients speak it.

use driftless_wire::identity::{
    GetCredentialsForIdentityRequest, GetIdRequest, IdentityOperation, IdentityRequest,
    IdentityResponse, Logins,
};
use driftless_wire::{ApiError, ErrorCode, Timestamp};

const POOL: &str = "us-east-1:11111111-2222-3333-4444-555555555555";
const IDENTITY: &str = "us-east-1:aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee";

#[test]
fn request_is_a_target_and_a_body() {
    let request = IdentityRequest::GetId(GetIdRequest {
        identity_pool_id: POOL.parse().unwrap(),
        logins: Logins::none(),
    });
    assert_eq!(
        request.operation().target(),
        "AWSCognitoIdentityService.GetId"
    );
    assert_eq!(
        String::from_utf8(request.to_body()).unwrap(),
        format!(r#"{{"IdentityPoolId":"{POOL}"}}"#)
    );
    let request = IdentityRequest::GetCredentialsForIdentity(GetCredentialsForIdentityRequest {
        identity_id: IDENTITY.parse().unwrap(),
        logins: Logins::none().with("login.example", "hidden"),
    });
    assert_eq!(
        String::from_utf8(request.to_body()).unwrap(),
        format!(r#"{{"IdentityId":"{IDENTITY}","Logins":{{"login.example":"hidden"}}}}"#)
    );
    assert!(!format!("{request:?}").contains("hidden"));
}

#[test]
fn trap_49_secret_key_and_a_number_as_expiration() {
    let body = format!(
        r#"{{"IdentityId":"{IDENTITY}","Credentials":{{"AccessKeyId":"ASIA","SecretKey":"hidden1",
            "SessionToken":"hidden2","Expiration":1.442877512E9}}}}"#
    );
    let operation = IdentityOperation::GetCredentialsForIdentity;
    let answer = IdentityResponse::from_body(operation, body.as_bytes()).unwrap();
    let IdentityResponse::GetCredentialsForIdentity(answer) = answer else {
        panic!("{answer:?}")
    };
    assert_eq!(answer.credentials.secret_key, "hidden1");
    assert_eq!(
        answer.credentials.expiration,
        Timestamp::from_millis(1_442_877_512_000)
    );
    assert!(!format!("{answer:?}").contains("hidden"));
    let other = body.replace("SecretKey", "SecretAccessKey");
    assert!(IdentityResponse::from_body(operation, other.as_bytes()).is_err());
}

#[track_caller]
fn refused(target: &str, body: &str, code: ErrorCode, message: &str) {
    let error = IdentityRequest::from_http(target, body.as_bytes()).unwrap_err();
    let error = ApiError::from(error).of_identity();
    assert_eq!(
        (error.status, &error.code, error.message.as_str()),
        (400, &code, message)
    );
}

#[test]
fn request_that_breaks_the_model_is_refused_without_quoting_it() {
    use ErrorCode::{InvalidParameter, Serialization, UnknownOperation};
    let get_id = &IdentityOperation::GetId.target();
    refused("", "{}", UnknownOperation, "no such operation");
    refused(
        "AWSCognitoIdentityService.DeleteIdentities",
        "{}",
        UnknownOperation,
        "no such operation",
    );
    refused(get_id, "{}", InvalidParameter, "IdentityPoolId is missing");
    refused(
        get_id,
        r#"{"IdentityPoolId":1}"#,
        Serialization,
        "a member of the body has the wrong type, at line 1 column 19",
    );
    let broken = "Logins break a constraint of the model";
    let with = |logins: &str| format!(r#"{{"IdentityPoolId":"r:0","Logins":{{{logins}}}}}"#);
    refused(get_id, &with(r#""":"t""#), InvalidParameter, broken);
    refused(get_id, &with(r#""p":"""#), InvalidParameter, broken);
    let eleven: Vec<_> = (0..11).map(|n| format!(r#""p{n}":"t""#)).collect();
    refused(get_id, &with(&eleven.join(",")), InvalidParameter, broken);
}
