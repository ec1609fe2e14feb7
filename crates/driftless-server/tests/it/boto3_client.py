"""What boto3 sees of a server; end point and key of logins are the arguments, credentials the environment's."""

import base64
import hashlib
import hmac
import json
import sys

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

config = Config(region_name="us-east-1", retries={"total_max_attempts": 1}, proxies={})
sync = boto3.client("cognito-sync", endpoint_url=sys.argv[1], config=config)
ids = {
    "IdentityPoolId": "us-east-1:01234567-89ab-cdef-0123-456789abcdef",
    "IdentityId": "us-east-1:fedcba98-7654-3210-fedc-ba9876543210",
}
notes = {**ids, "DatasetName": "notes"}


def replace(key, value, count):
    return {"Op": "replace", "Key": key, "Value": value, "SyncCount": count}


def push(token, *patches, **dataset):
    answer = sync.update_records(
        **(dataset or notes), SyncSessionToken=token, RecordPatches=list(patches)
    )
    return {record["Key"]: record for record in answer["Records"]}


def refused(exception, message, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except exception as error:
        assert message in error.response["Error"]["Message"], error
        return error.response["ResponseMetadata"]["HTTPStatusCode"]
    raise AssertionError(f"{call} was not refused")


# A dataset that never was.
missing = sync.list_records(**notes, LastSyncCount=0, MaxResults=1024)
assert missing["DatasetExists"] is False
assert missing["DatasetDeletedAfterRequestedSyncCount"] is False
assert missing["DatasetSyncCount"] == 0 and missing["Records"] == []
assert refused(sync.exceptions.ResourceNotFoundException, "notes", sync.describe_dataset, **notes) == 404

# A push, with text that is not ASCII in key and value, and one with an empty value.
keys = ["plain", "a:b", "schlüssel", "emoji 🦀 / + = ? & %"]
values = ["1", "", "größe\n\"quoted\"\\", "🦀\u2028"]
records = push(missing["SyncSessionToken"], *(replace(k, v, 0) for k, v in zip(keys, values)))
assert {key: record["Value"] for key, record in records.items()} == dict(zip(keys, values))
assert all(record["SyncCount"] == 1 for record in records.values())
assert records["plain"]["LastModifiedBy"] == ids["IdentityId"]
assert records["plain"]["LastModifiedDate"].year >= 2024

# What was pushed is listed, and a list since its count is empty.
listed = sync.list_records(**notes)
assert {record["Key"]: record["Value"] for record in listed["Records"]} == dict(zip(keys, values))
assert listed["DatasetSyncCount"] == 1 and listed["Count"] == 4
assert sync.list_records(**notes, LastSyncCount=1)["Records"] == []
refused(
    sync.exceptions.InvalidParameterException,
    "No such SyncCount: 9 exists for this Dataset",
    sync.list_records,
    **notes,
    LastSyncCount=9,
)

# A conflict, and the same session once more with the right count.
token = listed["SyncSessionToken"]
status = refused(
    sync.exceptions.ResourceConflictException,
    "Current SyncCount for: plain is: 1 not: 0",
    push,
    token,
    replace("plain", "2", 0),
)
assert status == 409
push(token, replace("plain", "2", 1))
refused(
    sync.exceptions.InvalidParameterException,
    "SyncSessionToken not valid for these inputs",
    push,
    token,
    replace("plain", "3", 2),
)

# A removal stays as a record without a value.
token = sync.list_records(**notes)["SyncSessionToken"]
removed = push(token, {"Op": "remove", "Key": "plain", "SyncCount": 2})["plain"]
assert removed["SyncCount"] == 3 and removed.get("Value") is None
assert [record["Key"] for record in sync.list_records(**notes, LastSyncCount=2)["Records"]] == ["plain"]

# Pages: one list, one token.
pages, more = [], {}
while not pages or more["NextToken"]:
    pages.append(sync.list_records(**notes, MaxResults=2, **more))
    more = {"NextToken": pages[-1].get("NextToken")}
assert [len(page["Records"]) for page in pages] == [2, 2]
assert len({page["SyncSessionToken"] for page in pages}) == 1
assert len({record["Key"] for page in pages for record in page["Records"]}) == 4

# Datasets, one of them with a name as merges give it.
child = {**ids, "DatasetName": f"notes.{ids['IdentityId']}"}
push(sync.list_records(**child)["SyncSessionToken"], replace("k", "v", 0), **child)
assert sync.list_records(**notes)["MergedDatasetNames"] == [child["DatasetName"]]
first = sync.list_datasets(**ids, MaxResults=1)
second = sync.list_datasets(**ids, MaxResults=1, NextToken=first["NextToken"])
names = [dataset["DatasetName"] for page in (first, second) for dataset in page["Datasets"]]
assert names == ["notes", child["DatasetName"]] and second.get("NextToken") is None
described = sync.describe_dataset(**notes)["Dataset"]
assert described["NumRecords"] == 4 and described["LastModifiedBy"] == ids["IdentityId"]

# The end, and a new beginning.
deleted = sync.delete_dataset(**notes)["Dataset"]
assert deleted == described
assert refused(sync.exceptions.ResourceNotFoundException, "notes", sync.delete_dataset, **notes) == 404
gone = sync.list_records(**notes, LastSyncCount=3)
assert gone["DatasetExists"] is False and gone["DatasetDeletedAfterRequestedSyncCount"] is True
push(gone["SyncSessionToken"], replace("plain", "again", 0))
again = sync.list_records(**notes, LastSyncCount=3)
assert again["DatasetExists"] is True and again["DatasetDeletedAfterRequestedSyncCount"] is True
assert [record["Value"] for record in again["Records"]] == ["again"]

# Another's credentials.
stranger = boto3.client(
    "cognito-sync",
    endpoint_url=sys.argv[1],
    config=config,
    aws_access_key_id=boto3.Session().get_credentials().access_key,
    aws_secret_access_key="wrong",
)
try:
    stranger.list_datasets(**ids)
except ClientError as error:
    assert error.response["Error"]["Code"] == "InvalidSignatureException", error
else:
    raise AssertionError("a wrong secret was taken")


# Cognito Identity: a guest, somebody who logs in, and what each may do.
identity = boto3.client(
    "cognito-identity", endpoint_url=sys.argv[1], config=config.merge(Config(signature_version=UNSIGNED))
)
pool = ids["IdentityPoolId"]


def part(value):
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def login(subject):
    claims = {"iss": "login.example", "aud": pool, "sub": subject, "exp": 4900000000}
    signed = part(b'{"alg":"HS256","typ":"JWT"}') + "." + part(json.dumps(claims).encode())
    mac = hmac.new(sys.argv[2].encode(), signed.encode(), hashlib.sha256).digest()
    return {"login.example": signed + "." + part(mac)}


def client_of(credentials):
    return boto3.client(
        "cognito-sync",
        endpoint_url=sys.argv[1],
        config=config,
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretKey"],
        aws_session_token=credentials["SessionToken"],
    )


ann = identity.get_id(IdentityPoolId=pool, Logins=login("ann"))["IdentityId"]
assert identity.get_id(IdentityPoolId=pool, Logins=login("ann"))["IdentityId"] == ann
guest = identity.get_id(IdentityPoolId=pool)["IdentityId"]
answer = identity.get_credentials_for_identity(IdentityId=guest)
assert answer["IdentityId"] == guest and answer["Credentials"]["Expiration"].year >= 2024
device = client_of(answer["Credentials"])
own = {"IdentityPoolId": pool, "IdentityId": guest}
status = refused(
    identity.exceptions.NotAuthorizedException,
    "Invalid login token",
    identity.get_id,
    IdentityPoolId=pool,
    Logins={"login.example": "ann"},
)
assert status == 400
unknown = "us-east-1:00000000-0000-0000-0000-000000000000"
refused(
    identity.exceptions.ResourceNotFoundException,
    "not found",
    identity.get_credentials_for_identity,
    IdentityId=unknown,
)

# The guest's own data, and nobody else's.
token = device.list_records(**own, DatasetName="notes")["SyncSessionToken"]
device.update_records(
    **own, DatasetName="notes", SyncSessionToken=token, RecordPatches=[replace("k", "guest's", 0)]
)
assert refused(device.exceptions.NotAuthorizedException, "not valid", device.list_datasets, **ids) == 403

# Push: refused without a configuration, and to the operator's credentials.
registration = {**own, "Platform": "GCM", "Token": "t"}
refused(device.exceptions.InvalidConfigurationException, "SNS", device.register_device, **registration)
arn = "arn:aws:sns:us-east-1:123456789012:app/GCM/app"
role = "arn:aws:iam::123456789012:role/push"
push_sync = {"ApplicationArns": [arn], "RoleArn": role}
configured = sync.set_identity_pool_configuration(IdentityPoolId=pool, PushSync=push_sync)
assert configured["PushSync"] == push_sync
assert sync.get_identity_pool_configuration(IdentityPoolId=pool)["PushSync"] == push_sync
refused(sync.exceptions.NotAuthorizedException, "not valid", sync.register_device, **registration)
device_id = device.register_device(**registration)["DeviceId"]
device.subscribe_to_dataset(**own, DatasetName="notes", DeviceId=device_id)
device.unsubscribe_from_dataset(**own, DatasetName="notes", DeviceId=device_id)
refused(
    device.exceptions.ResourceNotFoundException,
    "nothing",
    device.subscribe_to_dataset,
    **own,
    DatasetName="nothing",
    DeviceId=device_id,
)

# Usage, events, streams.
usage = device.describe_identity_usage(**own)["IdentityUsage"]
assert usage["DatasetCount"] == 1 and usage["DataStorage"] == len("kguest's")
assert sync.describe_identity_pool_usage(IdentityPoolId=pool)["IdentityPoolUsage"]["DataStorage"] > 0
assert [p["IdentityPoolId"] for p in sync.list_identity_pool_usage()["IdentityPoolUsages"]] == [pool]
refused(
    device.exceptions.NotAuthorizedException, "not valid", device.describe_identity_pool_usage, IdentityPoolId=pool
)
assert sync.get_cognito_events(IdentityPoolId=pool)["Events"] == {}
sync.set_cognito_events(IdentityPoolId=pool, Events={"SyncTrigger": ""})
refused(sync.exceptions.InvalidParameterException, "no stream", sync.bulk_publish, IdentityPoolId=pool)
assert sync.get_bulk_publish_details(IdentityPoolId=pool)["BulkPublishStatus"] == "NOT_STARTED"

# The guest turns out to be Ann.
answer = identity.get_credentials_for_identity(IdentityId=guest, Logins=login("ann"))
assert answer["IdentityId"] == ann
device = client_of(answer["Credentials"])
own["IdentityId"] = ann
assert device.list_records(**own, DatasetName="notes")["MergedDatasetNames"] == [f"notes.{guest}"]
child = device.list_records(**own, DatasetName=f"notes.{guest}")
assert child["DatasetSyncCount"] == 1 and child["Records"][0]["Value"] == "guest's"
refused(
    identity.exceptions.NotAuthorizedException,
    f"Access to Identity '{guest}' is forbidden.",
    identity.get_credentials_for_identity,
    IdentityId=guest,
)
