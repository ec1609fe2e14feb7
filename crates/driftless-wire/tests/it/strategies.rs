//! Random requests and answers.

use driftless_wire::identity::{
    GetCredentialsForIdentityRequest, GetCredentialsForIdentityResponse, GetIdRequest,
    GetIdResponse, IdentityCredentials, IdentityRequest, IdentityResponse, Logins,
};
use driftless_wire::{
    BulkPublishRequest, BulkPublishResponse, BulkPublishStatus, CognitoStreams, Dataset,
    DatasetName, DeleteDatasetRequest, DeleteDatasetResponse, DescribeDatasetRequest,
    DescribeDatasetResponse, DescribeIdentityPoolUsageRequest, DescribeIdentityPoolUsageResponse,
    DescribeIdentityUsageRequest, DescribeIdentityUsageResponse, DeviceId,
    GetBulkPublishDetailsRequest, GetBulkPublishDetailsResponse, GetCognitoEventsRequest,
    GetCognitoEventsResponse, GetIdentityPoolConfigurationRequest,
    GetIdentityPoolConfigurationResponse, IdentityId, IdentityPoolId, IdentityPoolUsage,
    IdentityUsage, ListDatasetsRequest, ListDatasetsResponse, ListIdentityPoolUsageRequest,
    ListIdentityPoolUsageResponse, ListRecordsRequest, ListRecordsResponse, Op, Platform, PushSync,
    Record, RecordKey, RecordPatch, RegisterDeviceRequest, RegisterDeviceResponse, Request,
    Response, SetCognitoEventsRequest, SetCognitoEventsResponse,
    SetIdentityPoolConfigurationRequest, SetIdentityPoolConfigurationResponse,
    SubscribeToDatasetRequest, SubscribeToDatasetResponse, SyncCount, SyncSessionToken, Timestamp,
    UnsubscribeFromDatasetRequest, UnsubscribeFromDatasetResponse, UpdateRecordsRequest,
    UpdateRecordsResponse,
};
use proptest::collection::{btree_map, vec};
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
    prop_oneof![
        list_records,
        update,
        describe,
        delete,
        list_datasets,
        request_of_device(),
        request_of_pool(),
    ]
}

fn device_id() -> impl Strategy<Value = DeviceId> {
    id(".{1,36}")
}

fn platform() -> impl Strategy<Value = Platform> {
    prop::sample::select(&Platform::ALL[..])
}

fn request_of_device() -> impl Strategy<Value = Request> {
    let register = (names(), platform(), ".{0,20}").prop_map(|(names, platform, token)| {
        Request::RegisterDevice(RegisterDeviceRequest {
            identity_pool_id: names.0,
            identity_id: names.1,
            platform,
            token,
        })
    });
    let subscribe = (names(), device_id()).prop_map(|(names, device_id)| {
        Request::SubscribeToDataset(SubscribeToDatasetRequest {
            identity_pool_id: names.0,
            identity_id: names.1,
            dataset_name: names.2,
            device_id,
        })
    });
    let unsubscribe = (names(), device_id()).prop_map(|(names, device_id)| {
        Request::UnsubscribeFromDataset(UnsubscribeFromDatasetRequest {
            identity_pool_id: names.0,
            identity_id: names.1,
            dataset_name: names.2,
            device_id,
        })
    });
    prop_oneof![register, subscribe, unsubscribe]
}

fn push_sync() -> impl Strategy<Value = PushSync> {
    (vec(".{0,20}", 0..3), option::of(".{0,20}")).prop_map(|(application_arns, role_arn)| {
        PushSync {
            application_arns,
            role_arn,
        }
    })
}

fn streams() -> impl Strategy<Value = CognitoStreams> {
    let text = || option::of(".{0,20}");
    (text(), text(), text()).prop_map(|(stream_name, role_arn, streaming_status)| CognitoStreams {
        stream_name,
        role_arn,
        streaming_status,
    })
}

fn request_of_pool() -> impl Strategy<Value = Request> {
    let pools =
        (option::of(token()), option::of(1..=u32::MAX)).prop_map(|(next_token, max_results)| {
            Request::ListIdentityPoolUsage(ListIdentityPoolUsageRequest {
                next_token,
                max_results,
            })
        });
    let bare =
        (names(), 0..6).prop_map(|((identity_pool_id, identity_id, _), which)| match which {
            0 => Request::DescribeIdentityUsage(DescribeIdentityUsageRequest {
                identity_pool_id,
                identity_id,
            }),
            1 => Request::DescribeIdentityPoolUsage(DescribeIdentityPoolUsageRequest {
                identity_pool_id,
            }),
            2 => Request::GetCognitoEvents(GetCognitoEventsRequest { identity_pool_id }),
            3 => Request::GetIdentityPoolConfiguration(GetIdentityPoolConfigurationRequest {
                identity_pool_id,
            }),
            4 => Request::BulkPublish(BulkPublishRequest { identity_pool_id }),
            _ => Request::GetBulkPublishDetails(GetBulkPublishDetailsRequest { identity_pool_id }),
        });
    let events = (names(), btree_map(".{0,12}", ".{0,12}", 0..2)).prop_map(|(names, events)| {
        Request::SetCognitoEvents(SetCognitoEventsRequest {
            identity_pool_id: names.0,
            events,
        })
    });
    let configure = (names(), option::of(push_sync()), option::of(streams())).prop_map(
        |(names, push_sync, cognito_streams)| {
            Request::SetIdentityPoolConfiguration(SetIdentityPoolConfigurationRequest {
                identity_pool_id: names.0,
                push_sync,
                cognito_streams,
            })
        },
    );
    prop_oneof![pools, bare, events, configure]
}

/// Any request to Cognito Identity.
pub(crate) fn identity_request() -> impl Strategy<Value = IdentityRequest> {
    let logins = || {
        btree_map(".{1,12}", ".{1,40}", 0..3).prop_map(|logins| {
            logins
                .into_iter()
                .fold(Logins::none(), |logins, (provider, token)| {
                    logins.with(provider, token)
                })
        })
    };
    prop_oneof![
        (names(), logins()).prop_map(|(names, logins)| {
            IdentityRequest::GetId(GetIdRequest {
                identity_pool_id: names.0,
                logins,
            })
        }),
        (names(), logins()).prop_map(|(names, logins)| {
            IdentityRequest::GetCredentialsForIdentity(GetCredentialsForIdentityRequest {
                identity_id: names.1,
                logins,
            })
        }),
    ]
}

/// Any answer of Cognito Identity.
pub(crate) fn identity_response() -> impl Strategy<Value = IdentityResponse> {
    prop_oneof![
        names().prop_map(|(_, identity_id, _)| {
            IdentityResponse::GetId(GetIdResponse { identity_id })
        }),
        (names(), ".{0,20}", ".{0,40}", ".{0,40}", timestamp()).prop_map(
            |(names, access_key_id, secret_key, session_token, expiration)| {
                IdentityResponse::GetCredentialsForIdentity(GetCredentialsForIdentityResponse {
                    identity_id: names.1,
                    credentials: IdentityCredentials {
                        access_key_id,
                        secret_key,
                        session_token,
                        expiration,
                    },
                })
            }
        ),
    ]
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
        response_of_device(),
        response_of_pool(),
    ]
}

fn response_of_device() -> impl Strategy<Value = Response> {
    let usage = (names(), option::of(timestamp()), any::<i32>(), any::<i64>()).prop_map(
        |(names, last_modified_date, dataset_count, data_storage)| {
            Response::DescribeIdentityUsage(DescribeIdentityUsageResponse {
                identity_usage: IdentityUsage {
                    identity_pool_id: names.0,
                    identity_id: names.1,
                    last_modified_date,
                    dataset_count,
                    data_storage,
                },
            })
        },
    );
    prop_oneof![
        device_id().prop_map(|device_id| {
            Response::RegisterDevice(RegisterDeviceResponse { device_id })
        }),
        Just(Response::SubscribeToDataset(SubscribeToDatasetResponse {})),
        Just(Response::UnsubscribeFromDataset(
            UnsubscribeFromDatasetResponse {}
        )),
        Just(Response::SetCognitoEvents(SetCognitoEventsResponse {})),
        usage,
    ]
}

fn pool_usage() -> impl Strategy<Value = IdentityPoolUsage> {
    (
        names(),
        option::of(any::<i64>()),
        any::<i64>(),
        option::of(timestamp()),
    )
        .prop_map(
            |(names, sync_sessions_count, data_storage, last_modified_date)| IdentityPoolUsage {
                identity_pool_id: names.0,
                sync_sessions_count,
                data_storage,
                last_modified_date,
            },
        )
}

fn response_of_pool() -> impl Strategy<Value = Response> {
    let pools = (
        vec(pool_usage(), 0..3),
        any::<i64>(),
        any::<i64>(),
        option::of(token()),
    )
        .prop_map(|(identity_pool_usages, max_results, count, next_token)| {
            Response::ListIdentityPoolUsage(ListIdentityPoolUsageResponse {
                identity_pool_usages,
                max_results,
                count,
                next_token,
            })
        });
    let configured = (
        names(),
        option::of(push_sync()),
        option::of(streams()),
        any::<bool>(),
    );
    let configured = configured.prop_map(|(names, push_sync, cognito_streams, set)| {
        let identity_pool_id = names.0;
        if set {
            return Response::SetIdentityPoolConfiguration(SetIdentityPoolConfigurationResponse {
                identity_pool_id,
                push_sync,
                cognito_streams,
            });
        }
        Response::GetIdentityPoolConfiguration(GetIdentityPoolConfigurationResponse {
            identity_pool_id,
            push_sync,
            cognito_streams,
        })
    });
    let status = prop::sample::select(vec![
        BulkPublishStatus::NotStarted,
        BulkPublishStatus::InProgress,
        BulkPublishStatus::Failed,
        BulkPublishStatus::Succeeded,
    ]);
    let date = || option::of(timestamp());
    let details = (names(), date(), date(), status, option::of(".{0,8}")).prop_map(
        |(names, start, complete, bulk_publish_status, failure_message)| {
            Response::GetBulkPublishDetails(GetBulkPublishDetailsResponse {
                identity_pool_id: names.0,
                bulk_publish_start_time: start,
                bulk_publish_complete_time: complete,
                bulk_publish_status,
                failure_message,
            })
        },
    );
    prop_oneof![
        pool_usage().prop_map(|identity_pool_usage| {
            Response::DescribeIdentityPoolUsage(DescribeIdentityPoolUsageResponse {
                identity_pool_usage,
            })
        }),
        pools,
        btree_map(".{0,12}", ".{0,12}", 0..2)
            .prop_map(|events| { Response::GetCognitoEvents(GetCognitoEventsResponse { events }) }),
        configured,
        names().prop_map(|names| {
            Response::BulkPublish(BulkPublishResponse {
                identity_pool_id: names.0,
            })
        }),
        details,
    ]
}
