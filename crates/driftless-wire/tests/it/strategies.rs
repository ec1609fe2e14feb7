//! Random requests and answers.

use driftless_wire::{
    Dataset, DatasetName, DeleteDatasetRequest, DeleteDatasetResponse, DescribeDatasetRequest,
    DescribeDatasetResponse, DeviceId, IdentityId, IdentityPoolId, ListDatasetsRequest,
    ListDatasetsResponse, ListRecordsRequest, ListRecordsResponse, Op, Record, RecordKey,
    RecordPatch, Request, Response, SyncCount, SyncSessionToken, Timestamp, UpdateRecordsRequest,
    UpdateRecordsResponse,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn id<T: std::str::FromStr<Err = driftless_wire::IdError> + std::fmt::Debug>(
    pattern: &'static str,
) -> impl Strategy<Value = T> {
    proptest::string::string_regex(pattern)
        .unwrap()
        .prop_map(|text| text.parse().unwrap())
}

fn names() -> impl Strategy<Value = (IdentityPoolId, IdentityId, DatasetName)> {
    let identity = "[a-zA-Z0-9_-]{1,20}:[0-9a-f-]{1,34}";
    (id(identity), id(identity), id("[a-zA-Z0-9_.:-]{1,128}"))
}

fn token() -> impl Strategy<Value = String> {
    prop_oneof!["[a-zA-Z0-9+/=]{0,64}", ".{0,32}"]
}

fn sync_count() -> impl Strategy<Value = SyncCount> {
    (0..=i64::MAX).prop_map(|count| count.try_into().unwrap())
}

fn timestamp() -> impl Strategy<Value = Timestamp> {
    (-(1_i64 << 50)..1 << 50).prop_map(Timestamp::from_millis)
}

fn key() -> impl Strategy<Value = RecordKey> {
    id(".{1,16}")
}

fn record() -> impl Strategy<Value = Record> {
    (
        (key(), option::of(".{0,40}"), sync_count()),
        (
            option::of(timestamp()),
            option::of(".{0,8}"),
            option::of(timestamp()),
        ),
    )
        .prop_map(
            |((key, value, sync_count), (modified, by, device))| Record {
                key,
                value,
                sync_count,
                last_modified_date: modified,
                last_modified_by: by,
                device_last_modified_date: device,
            },
        )
}

fn patch() -> impl Strategy<Value = RecordPatch> {
    let op = prop_oneof![Just(Op::Replace), Just(Op::Remove)];
    (
        op,
        key(),
        option::of(".{0,40}"),
        sync_count(),
        option::of(timestamp()),
    )
        .prop_map(
            |(op, key, value, sync_count, device_last_modified_date)| RecordPatch {
                op,
                key,
                value,
                sync_count,
                device_last_modified_date,
            },
        )
}

fn dataset() -> impl Strategy<Value = Dataset> {
    (
        names(),
        option::of(timestamp()),
        option::of(timestamp()),
        option::of(".{0,8}"),
        any::<i64>(),
        any::<i64>(),
    )
        .prop_map(
            |((_, identity_id, dataset_name), created, modified, by, bytes, records)| Dataset {
                identity_id,
                dataset_name,
                creation_date: created,
                last_modified_date: modified,
                last_modified_by: by,
                data_storage: bytes,
                num_records: records,
            },
        )
}

/// Any request that the API can express.
pub(crate) fn request() -> impl Strategy<Value = Request> {
    let list_records = (
        names(),
        option::of(sync_count()),
        option::of(token()),
        option::of(1..=u32::MAX),
        option::of(token()),
    )
        .prop_map(
            |(names, last_sync_count, next_token, max_results, session)| {
                Request::ListRecords(ListRecordsRequest {
                    identity_pool_id: names.0,
                    identity_id: names.1,
                    dataset_name: names.2,
                    last_sync_count,
                    next_token,
                    max_results,
                    sync_session_token: session.map(SyncSessionToken::from),
                })
            },
        );
    let device = option::of(id::<DeviceId>(".{1,36}"));
    let update = (names(), token(), device, vec(patch(), 0..5)).prop_map(
        |(names, session, device_id, record_patches)| {
            Request::UpdateRecords(UpdateRecordsRequest {
                identity_pool_id: names.0,
                identity_id: names.1,
                dataset_name: names.2,
                sync_session_token: session.into(),
                device_id,
                record_patches,
            })
        },
    );
    let describe = names().prop_map(|(identity_pool_id, identity_id, dataset_name)| {
        Request::DescribeDataset(DescribeDatasetRequest {
            identity_pool_id,
            identity_id,
            dataset_name,
        })
    });
    let delete = names().prop_map(|(identity_pool_id, identity_id, dataset_name)| {
        Request::DeleteDataset(DeleteDatasetRequest {
            identity_pool_id,
            identity_id,
            dataset_name,
        })
    });
    let list_datasets = (names(), option::of(token()), option::of(1..=u32::MAX)).prop_map(
        |(names, next_token, max_results)| {
            Request::ListDatasets(ListDatasetsRequest {
                identity_pool_id: names.0,
                identity_id: names.1,
                next_token,
                max_results,
            })
        },
    );
    prop_oneof![list_records, update, describe, delete, list_datasets]
}

/// Any answer that the API can express.
pub(crate) fn response() -> impl Strategy<Value = Response> {
    let list_records = (
        (
            vec(record(), 0..5),
            option::of(token()),
            any::<i64>(),
            sync_count(),
        ),
        (
            option::of(".{0,8}"),
            vec(".{0,8}", 0..3),
            any::<bool>(),
            any::<bool>(),
        ),
        option::of(token()),
    )
        .prop_map(
            |((records, next_token, count, sync_count), (by, merged, exists, gone), token)| {
                Response::ListRecords(ListRecordsResponse {
                    records,
                    next_token,
                    count,
                    dataset_sync_count: sync_count,
                    last_modified_by: by,
                    merged_dataset_names: merged,
                    dataset_exists: exists,
                    dataset_deleted_after_requested_sync_count: gone,
                    sync_session_token: token.map(SyncSessionToken::from),
                })
            },
        );
    let list_datasets = (vec(dataset(), 0..4), any::<i64>(), option::of(token())).prop_map(
        |(datasets, count, next_token)| {
            Response::ListDatasets(ListDatasetsResponse {
                datasets,
                count,
                next_token,
            })
        },
    );
    prop_oneof![
        list_records,
        list_datasets,
        vec(record(), 0..5)
            .prop_map(|records| Response::UpdateRecords(UpdateRecordsResponse { records })),
        dataset()
            .prop_map(|dataset| Response::DescribeDataset(DescribeDatasetResponse { dataset })),
        dataset().prop_map(|dataset| Response::DeleteDataset(DeleteDatasetResponse { dataset })),
    ]
}
