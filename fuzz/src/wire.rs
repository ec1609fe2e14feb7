//! Bodies and addresses of the service's operations.

use driftless_wire::identity::{IdentityOperation, IdentityRequest, IdentityResponse};
use driftless_wire::{ApiError, Operation, Record, Request, Response, Timestamp};

/// A date with more milliseconds is the nearest one that a double has, so it may move when it is written again.
const EXACT_MILLIS: u64 = 1 << 53;

/// Reads a body as every operation's answer and as an error; what is read is written again and reads back.
pub fn wire_answer(bytes: &[u8]) {
    for operation in Operation::ALL {
        if let Ok(answer) = Response::from_body(operation, bytes) {
            let again = Response::from_body(operation, &answer.to_body());
            let again = again.expect("what was written reads back");
            assert_eq!(with_exact_dates(again), with_exact_dates(answer));
        }
    }
    for operation in IdentityOperation::ALL {
        if let Ok(answer) = IdentityResponse::from_body(operation, bytes) {
            let again = IdentityResponse::from_body(operation, &answer.to_body());
            let again = again.expect("what was written reads back");
            assert_eq!(with_exact_expiration(again), with_exact_expiration(answer));
        }
    }
    let error = ApiError::from_http(400, None, bytes);
    let again = ApiError::from_http(400, Some(error.code.name()), &error.to_body());
    assert_eq!(again.message, error.message);
}

fn with_exact_expiration(mut answer: IdentityResponse) -> IdentityResponse {
    if let IdentityResponse::GetCredentialsForIdentity(answer) = &mut answer {
        let expiration = &mut answer.credentials.expiration;
        *expiration = Some(*expiration).filter(is_exact).unwrap_or_default();
    }
    answer
}

fn is_exact(date: &Timestamp) -> bool {
    date.as_millis().unsigned_abs() <= EXACT_MILLIS
}

fn with_exact_dates(mut answer: Response) -> Response {
    let keep = |date: &mut Option<Timestamp>| *date = date.filter(is_exact);
    let keep_record = |record: &mut Record| {
        keep(&mut record.last_modified_date);
        keep(&mut record.device_last_modified_date);
    };
    let keep_dataset = |dataset: &mut driftless_wire::Dataset| {
        keep(&mut dataset.creation_date);
        keep(&mut dataset.last_modified_date);
    };
    match &mut answer {
        Response::ListRecords(answer) => answer.records.iter_mut().for_each(keep_record),
        Response::UpdateRecords(answer) => answer.records.iter_mut().for_each(keep_record),
        Response::DescribeDataset(answer) => keep_dataset(&mut answer.dataset),
        Response::DeleteDataset(answer) => keep_dataset(&mut answer.dataset),
        Response::ListDatasets(answer) => answer.datasets.iter_mut().for_each(keep_dataset),
        Response::DescribeIdentityUsage(answer) => {
            keep(&mut answer.identity_usage.last_modified_date)
        }
        Response::DescribeIdentityPoolUsage(answer) => {
            keep(&mut answer.identity_pool_usage.last_modified_date)
        }
        Response::ListIdentityPoolUsage(answer) => {
            let usages = answer.identity_pool_usages.iter_mut();
            usages.for_each(|usage| keep(&mut usage.last_modified_date));
        }
        Response::GetBulkPublishDetails(answer) => {
            keep(&mut answer.bulk_publish_start_time);
            keep(&mut answer.bulk_publish_complete_time);
        }
        _ => {}
    }
    answer
}

/// Reads a request: its method, path and query in the first line, its body behind that; what is read reads back.
///
/// ```text
/// GET /identitypools/us-east-1%3A0a/identities/us-east-1%3A0b/datasets/notes/records?lastSyncCount=7
/// ```
///
/// Behind `POST` a line without a path names an operation of Cognito Identity: `POST AWSCognitoIdentityService.GetId`.
pub fn wire_request(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n');
    let (line, body) = end.map_or((bytes, &[][..]), |end| (&bytes[..end], &bytes[end + 1..]));
    let Ok(line) = std::str::from_utf8(line) else {
        return;
    };
    let (method, target) = line.split_once(' ').unwrap_or((line, ""));
    if let Ok(request) = IdentityRequest::from_http(target, body) {
        let again = IdentityRequest::from_http(&request.operation().target(), &request.to_body());
        assert_eq!(again, Ok(request));
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    match Request::from_http(method, path, query, body) {
        Ok(request) => {
            let http = request.to_http();
            let again =
                Request::from_http(http.method.as_str(), &http.path, &http.query, &http.body);
            let again = again.expect("what was written reads back");
            assert_eq!(with_exact_patches(again), with_exact_patches(request));
        }
        Err(error) => drop(ApiError::from(error).to_body()),
    }
}

fn with_exact_patches(mut request: Request) -> Request {
    if let Request::UpdateRecords(update) = &mut request {
        for patch in &mut update.record_patches {
            patch.device_last_modified_date = patch.device_last_modified_date.filter(is_exact);
        }
    }
    request
}
