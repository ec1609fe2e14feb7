"""What boto3 sees of a server; its end point is the argument, its credentials the environment's."""

import sys

import boto3
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
