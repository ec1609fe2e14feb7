//! What a server answers to a request that it cannot read.

use driftless_wire::{ApiError, ErrorCode, Request};

const DATASET: &str = "/identitypools/r:0/identities/r:0/datasets/notes";

fn check(method: &str, path: &str, query: &str, body: &str, code: ErrorCode, text: &str) {
    let error = Request::from_http(method, path, query, body.as_bytes()).unwrap_err();
    let error = ApiError::from(error);
    assert_eq!((&error.code, error.message.as_str()), (&code, text));
}

fn check_body(body: &str, code: ErrorCode, text: &str) {
    check("POST", DATASET, "", body, code, text);
}

#[test]
fn broken_constraint_is_an_invalid_parameter() {
    use ErrorCode::InvalidParameter;
    check_body("{}", InvalidParameter, "SyncSessionToken is missing");
    let patch = |patch: &str| format!(r#"{{"SyncSessionToken":"t","RecordPatches":[{patch}]}}"#);
    let missing = |name: &str| format!("{name} of a record patch is missing");
    check_body(&patch("{}"), InvalidParameter, &missing("Op"));
    check_body(
        &patch(r#"{"Op":"replace"}"#),
        InvalidParameter,
        &missing("Key"),
    );
    check_body(
        &patch(r#"{"Op":"remove","Key":"a"}"#),
        InvalidParameter,
        &missing("SyncCount"),
    );
    check_body(
        &patch(r#"{"Op":"increment","Key":"a","SyncCount":0}"#),
        InvalidParameter,
        "Op of a record patch is neither replace nor remove",
    );
    check_body(
        &patch(r#"{"Op":"remove","Key":"","SyncCount":0}"#),
        InvalidParameter,
        "RecordKey is empty",
    );
    check_body(
        &patch(r#"{"Op":"remove","Key":"a","SyncCount":-1}"#),
        InvalidParameter,
        "sync count -1 is below zero",
    );
}

#[test]
fn wrong_type_is_a_serialization_error_that_does_not_quote_the_body() {
    use ErrorCode::Serialization;
    check_body(
        "",
        Serialization,
        "the body ends too early, at line 1 column 0",
    );
    check_body(
        "secret",
        Serialization,
        "the body is not JSON, at line 1 column 1",
    );
    check_body(
        r#"{"SyncSessionToken":"t","RecordPatches":[{"DeviceLastModifiedDate":"secret"}]}"#,
        Serialization,
        "a member of the body has the wrong type, at line 1 column 75",
    );
}

#[test]
fn number_of_a_query_is_checked() {
    use ErrorCode::InvalidParameter;
    let records = &format!("{DATASET}/records");
    let no_count = "lastSyncCount is no count";
    check(
        "GET",
        records,
        "lastSyncCount=x",
        "",
        InvalidParameter,
        no_count,
    );
    check(
        "GET",
        records,
        "lastSyncCount=9223372036854775808",
        "",
        InvalidParameter,
        no_count,
    );
    check(
        "GET",
        records,
        "lastSyncCount=-1",
        "",
        InvalidParameter,
        "sync count -1 is below zero",
    );
    for number in ["0", "01", "-1", "+1", "", "12345678901234567890"] {
        let query = format!("maxResults={number}");
        check(
            "GET",
            records,
            &query,
            "",
            InvalidParameter,
            "maxResults is no number from 1",
        );
    }
}

#[test]
fn more_results_than_a_page_holds_is_the_most() {
    let query = "maxResults=9999999999999999999";
    let request = Request::from_http("GET", &format!("{DATASET}/records"), query, b"").unwrap();
    let Request::ListRecords(request) = request else {
        panic!("{request:?}")
    };
    assert_eq!(request.max_results, Some(u32::MAX));
}

#[test]
fn other_address_is_an_unknown_operation() {
    for (method, path) in [
        ("PUT", DATASET),
        ("GET", "/identitypools/r:0/identity/r:0/datasets/notes"),
        ("GET", "identitypools/r:0/identities/r:0/datasets"),
        (
            "GET",
            "/identitypools/r:0/identities/r:0/datasets/notes/records/x",
        ),
        ("GET", "/"),
    ] {
        check(
            method,
            path,
            "",
            "",
            ErrorCode::UnknownOperation,
            "no such operation",
        );
    }
}

#[test]
fn id_in_the_address_is_checked() {
    let path = "/identitypools/r:0/identities/nobody/datasets";
    let text = r"IdentityId does not match [\w-]+:[0-9a-f-]+";
    check("GET", path, "", "", ErrorCode::InvalidParameter, text);
    let path = "/identitypools/r:0/identities/r:0/datasets/%FF";
    check(
        "GET",
        path,
        "",
        "",
        ErrorCode::InvalidParameter,
        "the address is not UTF-8",
    );
}
