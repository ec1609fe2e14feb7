//! Exchanges as the reference shows them, and as today's clients were seen to send them.

use driftless_wire::{
    ListRecordsRequest, ListRecordsResponse, Op, Operation, RecordPatch, Request, Response,
    SyncCount, SyncSessionToken, Timestamp, UpdateRecordsRequest, UpdateRecordsResponse,
};

const POOL: &str = "us-east-1:11111111-2222-3333-4444-555555555555";
const IDENTITY: &str = "us-east-1:aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee";
const DATASET_PATH: &str = "/identitypools/us-east-1%3A11111111-2222-3333-4444-555555555555\
    /identities/us-east-1%3Aaaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/datasets/notes";

fn list_answer(body: &str) -> ListRecordsResponse {
    match Response::from_body(Operation::ListRecords, body.as_bytes()).unwrap() {
        Response::ListRecords(answer) => answer,
        other => panic!("{other:?}"),
    }
}

fn update_answer(body: &str) -> UpdateRecordsResponse {
    match Response::from_body(Operation::UpdateRecords, body.as_bytes()).unwrap() {
        Response::UpdateRecords(answer) => answer,
        other => panic!("{other:?}"),
    }
}

#[test]
fn list_of_a_dataset_that_never_existed() {
    let answer = list_answer(
        r#"{"Count":0,"DatasetDeletedAfterRequestedSyncCount":false,"DatasetExists":false,
            "DatasetSyncCount":0,"LastModifiedBy":null,"MergedDatasetNames":null,
            "NextToken":null,"Records":[],"SyncSessionToken":"opaque"}"#,
    );
    let expected = ListRecordsResponse {
        records: Vec::new(),
        next_token: None,
        count: 0,
        dataset_sync_count: SyncCount::ZERO,
        last_modified_by: None,
        merged_dataset_names: Vec::new(),
        dataset_exists: false,
        dataset_deleted_after_requested_sync_count: false,
        sync_session_token: Some("opaque".into()),
    };
    assert_eq!(answer, expected);
}

#[test]
fn trap_51_written_list_answer_has_every_flag_and_every_null() {
    let answer = Response::ListRecords(list_answer(
        r#"{"DatasetExists":false,"DatasetSyncCount":0}"#,
    ));
    assert_eq!(
        String::from_utf8(answer.to_body()).unwrap(),
        r#"{"Records":[],"NextToken":null,"Count":0,"DatasetSyncCount":0,"LastModifiedBy":null,"MergedDatasetNames":[],"DatasetExists":false,"DatasetDeletedAfterRequestedSyncCount":false,"SyncSessionToken":null}"#
    );
}

#[test]
fn list_answer_without_its_existence_is_an_error() {
    for body in [
        r#"{"DatasetSyncCount":0}"#,
        r#"{"DatasetExists":false}"#,
        "{}",
        "null",
    ] {
        assert!(
            Response::from_body(Operation::ListRecords, body.as_bytes()).is_err(),
            "{body}"
        );
    }
}

#[test]
fn trap_47_list_request_is_written_as_botocore_writes_it() {
    let request = Request::ListRecords(ListRecordsRequest {
        identity_pool_id: POOL.parse().unwrap(),
        identity_id: IDENTITY.parse().unwrap(),
        dataset_name: "notes".parse().unwrap(),
        last_sync_count: Some(SyncCount::ZERO),
        next_token: Some("a+b/c==".to_owned()),
        max_results: Some(1_024),
        sync_session_token: Some(SyncSessionToken::from("x y+z")),
    });
    let http = request.to_http();
    assert_eq!(http.method.as_str(), "GET");
    assert_eq!(http.path, format!("{DATASET_PATH}/records"));
    assert_eq!(
        http.query,
        "lastSyncCount=0&nextToken=a%2Bb%2Fc%3D%3D&maxResults=1024&syncSessionToken=x%20y%2Bz"
    );
    assert_eq!((http.body.len(), http.content_type), (0, None));
}

#[test]
fn push_request_leaves_out_what_is_absent() {
    let patch = |op, key: &str, value: Option<&str>, count: u32, date| RecordPatch {
        op,
        key: key.parse().unwrap(),
        value: value.map(str::to_owned),
        sync_count: count.into(),
        device_last_modified_date: date,
    };
    let date = Some(Timestamp::from_millis(1_704_164_645_678));
    let request = Request::UpdateRecords(UpdateRecordsRequest {
        identity_pool_id: POOL.parse().unwrap(),
        identity_id: IDENTITY.parse().unwrap(),
        dataset_name: "notes".parse().unwrap(),
        sync_session_token: "opaque".into(),
        device_id: None,
        record_patches: vec![
            patch(Op::Replace, "a", Some("1"), 0, date),
            patch(Op::Remove, "b", None, 3, None),
        ],
    });
    let http = request.to_http();
    assert_eq!(
        (http.method.as_str(), http.path.as_str()),
        ("POST", DATASET_PATH)
    );
    assert_eq!(http.content_type, Some("application/json"));
    assert_eq!(
        String::from_utf8(http.body).unwrap(),
        r#"{"SyncSessionToken":"opaque","RecordPatches":[{"Op":"replace","Key":"a","Value":"1","SyncCount":0,"DeviceLastModifiedDate":1704164645.678},{"Op":"remove","Key":"b","SyncCount":3}]}"#
    );
}

#[test]
fn escapes_of_botocore_and_raw_text_are_the_same_value() {
    let read = |value: &str| {
        let body = format!(
            r#"{{"SyncSessionToken":"t","RecordPatches":[{{"Op":"replace","Key":"k","Value":"{value}","SyncCount":0}}]}}"#
        );
        Request::from_http("POST", DATASET_PATH, "", body.as_bytes()).unwrap()
    };
    assert_eq!(read("\\u00e9\\ud83d\\ude00"), read("é😀"));
}

#[test]
fn push_answer_has_dates_in_scientific_notation_and_a_tombstone() {
    let answer = update_answer(
        r#"{"Records":[
            {"Key":"a","Value":"1","SyncCount":5,"LastModifiedDate":1.704164646012E9,
             "LastModifiedBy":"us-east-1:0","DeviceLastModifiedDate":1.704164645678E9},
            {"Key":"b","Value":null,"SyncCount":5,"LastModifiedDate":1.704164646012E9,
             "LastModifiedBy":"us-east-1:0","DeviceLastModifiedDate":1.704164646012E9,
             "MemberOfTomorrow":{}}]}"#,
    );
    let [a, b] = &answer.records[..] else {
        panic!("{answer:?}")
    };
    assert_eq!(a.value.as_deref(), Some("1"));
    assert_eq!(
        a.device_last_modified_date,
        Some(Timestamp::from_millis(1_704_164_645_678))
    );
    assert_eq!(b.value, None);
    assert_eq!(b.sync_count.get(), 5);
}

#[test]
fn empty_text_is_not_a_tombstone() {
    let answer = update_answer(r#"{"Records":[{"Key":"a","Value":"","SyncCount":1}]}"#);
    assert_eq!(answer.records[0].value.as_deref(), Some(""));
}

#[test]
fn error_does_not_quote_the_answer() {
    let body = br#"{"Records":[{"Key":"a","SyncCount":"secret"}]}"#;
    let error = Response::from_body(Operation::UpdateRecords, body).unwrap_err();
    assert_eq!(
        format!("{error}"),
        "answer to UpdateRecords cannot be read: a member of the body has the wrong type, \
         at line 1 column 43"
    );
}
