#!/usr/bin/env python3
"""The whole life of a table through boto3, against the server at argv[1].

Every state is compared with a dict that lives here, item by item. Prints what
failed and `N passed, M failed`; exits nonzero on any failure."""
import datetime
import sys
import time

import boto3
import botocore
from boto3.dynamodb.types import TypeDeserializer
from botocore.config import Config
from botocore.exceptions import ClientError

ITEMS = 1000
counts = {"passed": 0, "failed": 0}


def check(is_right, what):
    counts["passed" if is_right else "failed"] += 1
    if not is_right:
        print("FAIL", what)


def same(got, wanted, what):
    check(got == wanted, "%s: got %.300r, wanted %.300r" % (what, got, wanted))


def fails(call, code, text, what):
    """The call must raise the exception of that name, with that text in it."""
    try:
        call()
    except ClientError as error:
        same(error.response["Error"]["Code"], code, what)
        check(text in error.response["Error"]["Message"], "%s: %s" % (what, error))
        if code != "ValidationException" and hasattr(db.exceptions, code):
            check(isinstance(error, getattr(db.exceptions, code)), what + ": its class")
        return
    check(False, what + ": no error")


def make_item(i, version):
    """Item i: every type of attribute, what it holds told by i and version."""
    return {
        "Artist": {"S": "artist %d" % (i % 40)},
        "Song": {"N": str(i)},
        "Title": {"S": "title \u00e9\u4e2d\U0001f3b5 %d.%d" % (i, version)},
        "Year": {"N": str(1950 + i % 70)},
        "Price": {"N": "-%d.%05d" % (i, version)},
        "Cover": {"B": bytes([i % 256, version % 256, 0, 255])},
        "Live": {"BOOL": i % 2 == 0},
        "Label": {"NULL": True},
        "Genres": {"SS": sorted(["pop", "rock %d" % (i % 7)])},
        "Charts": {"NS": sorted([str(i), "7.5"])},
        "Hashes": {"BS": sorted([b"\x00\x01", bytes([i % 256, 1, 2])])},
        "Tracks": {"L": [{"S": ""}, {"N": str(version)}, {"L": []}, {"M": {"deep": {"B": b""}}}]},
        "Credits": {"M": {"by": {"S": "x" * (i % 50)}, "shares": {"L": [{"N": "0.5"}] * 2}}},
    }


def key_of(item):
    return {"Artist": item["Artist"], "Song": item["Song"]}


def plain(item):
    """An item without the order of its sets."""
    out = {}
    for name, value in item.items():
        (kind, held), = value.items()
        out[name] = (kind, sorted(held)) if kind in ("SS", "NS", "BS") else (kind, held)
    return out


def contents(table, **more):
    """All items of a table by number, through the paginator."""
    found = {}
    pages = db.get_paginator("scan").paginate(
        TableName=table, PaginationConfig={"PageSize": 300}, **more)
    for page in pages:
        for item in page["Items"]:
            found[int(item["Song"]["N"])] = plain(item)
    return found


def holds(table, model, what):
    found = contents(table)
    same(sorted(found), sorted(model), what + ": which items")
    for i, item in model.items():
        if found.get(i) != plain(item):
            check(False, "%s: item %d is %.400r" % (what, i, found.get(i)))
            return
    check(True, what)


def write(table, model, items):
    """Puts the items, and deletes those that are given by number, in batches."""
    requests = []
    for item in items:
        if isinstance(item, int):
            requests.append({"DeleteRequest": {"Key": key_of(model.pop(item))}})
        else:
            model[int(item["Song"]["N"])] = item
            requests.append({"PutRequest": {"Item": item}})
    for i in range(0, len(requests), 25):
        left = {table: requests[i:i + 25]}
        while left:
            left = db.batch_write_item(RequestItems=left)["UnprocessedItems"]


def exists(table):
    db.get_waiter("table_exists").wait(TableName=table, WaiterConfig={"Delay": 1})
    while True:
        about = db.describe_table(TableName=table)["Table"]
        if all(i["IndexStatus"] == "ACTIVE" for i in about.get("GlobalSecondaryIndexes", [])):
            return about
        time.sleep(0.01)


def available(arn):
    while True:
        about = db.describe_backup(BackupArn=arn)["BackupDescription"]
        if about["BackupDetails"]["BackupStatus"] == "AVAILABLE":
            return about
        time.sleep(0.01)


def next_second():
    """A whole second that has begun, and ended, when this returns: SDKs send
    times in seconds, and what comes next belongs to a later one."""
    at = int(time.time()) + 1
    while True:
        window = db.describe_continuous_backups(TableName="Music")
        recovery = window["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
        if recovery["LatestRestorableDateTime"].timestamp() > at + 0.002:
            return datetime.datetime.fromtimestamp(at, datetime.timezone.utc)
        time.sleep(0.02)


def create():
    about = db.create_table(
        TableName="Music",
        AttributeDefinitions=[{"AttributeName": "Artist", "AttributeType": "S"},
                              {"AttributeName": "Song", "AttributeType": "N"},
                              {"AttributeName": "Title", "AttributeType": "S"},
                              {"AttributeName": "Year", "AttributeType": "N"}],
        KeySchema=[{"AttributeName": "Artist", "KeyType": "HASH"},
                   {"AttributeName": "Song", "KeyType": "RANGE"}],
        LocalSecondaryIndexes=[{
            "IndexName": "ByTitle", "Projection": {"ProjectionType": "ALL"},
            "KeySchema": [{"AttributeName": "Artist", "KeyType": "HASH"},
                          {"AttributeName": "Title", "KeyType": "RANGE"}]}],
        GlobalSecondaryIndexes=[{
            "IndexName": "ByYear",
            "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["Live"]},
            "KeySchema": [{"AttributeName": "Year", "KeyType": "HASH"},
                          {"AttributeName": "Song", "KeyType": "RANGE"}],
            "ProvisionedThroughput": {"ReadCapacityUnits": 3, "WriteCapacityUnits": 4}}],
        ProvisionedThroughput={"ReadCapacityUnits": 5, "WriteCapacityUnits": 6},
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        Tags=[{"Key": "team", "Value": "music"}],
    )["TableDescription"]
    same(about["TableStatus"], "CREATING", "CreateTable's answer")
    about = exists("Music")
    same(about["TableStatus"], "ACTIVE", "the table")
    same(about["ProvisionedThroughput"]["WriteCapacityUnits"], 6, "its throughput")
    same(about["StreamSpecification"]["StreamViewType"], "NEW_AND_OLD_IMAGES", "its stream")
    check(abs(about["CreationDateTime"].timestamp() - time.time()) < 600, "its time of creation")
    same(db.list_tables()["TableNames"], ["Music"], "ListTables")
    same(db.list_tags_of_resource(ResourceArn=about["TableArn"])["Tags"],
         [{"Key": "team", "Value": "music"}], "its tags")
    db.update_time_to_live(TableName="Music",
                           TimeToLiveSpecification={"Enabled": True, "AttributeName": "Expires"})
    same(db.describe_time_to_live(TableName="Music")["TimeToLiveDescription"],
         {"TimeToLiveStatus": "ENABLED", "AttributeName": "Expires"}, "its time to live")
    return about


def read(model):
    got = db.get_item(TableName="Music", Key=key_of(model[17]), ConsistentRead=True,
                      ReturnConsumedCapacity="TOTAL")
    same(plain(got["Item"]), plain(model[17]), "GetItem")
    same(got["ConsumedCapacity"]["CapacityUnits"], 1.0, "what it consumed")
    check("Item" not in db.get_item(TableName="Music", Key={"Artist": {"S": "?"}, "Song": {"N": "1"}}),
          "GetItem of none")
    left = {"Music": {"Keys": [key_of(model[i]) for i in range(100)]}}
    answer = db.batch_get_item(RequestItems=left)
    same(sorted(int(i["Song"]["N"]) for i in answer["Responses"]["Music"]), list(range(100)),
         "BatchGetItem")
    for forward in (True, False):
        pages = db.get_paginator("query").paginate(
            TableName="Music", ScanIndexForward=forward, PaginationConfig={"PageSize": 7},
            KeyConditionExpression="#a = :a AND Song BETWEEN :from AND :to",
            ExpressionAttributeNames={"#a": "Artist"},
            ExpressionAttributeValues={":a": {"S": "artist 3"}, ":from": {"N": "100"},
                                       ":to": {"N": "800"}})
        wanted = [i for i in sorted(model, reverse=not forward)
                  if i % 40 == 3 and 100 <= i <= 800]
        same([int(i["Song"]["N"]) for page in pages for i in page["Items"]], wanted, "Query")
    answer = db.query(TableName="Music", IndexName="ByYear", KeyConditionExpression="#y = :y",
                      ExpressionAttributeNames={"#y": "Year"},
                      ExpressionAttributeValues={":y": {"N": "1953"}})
    same([int(i["Song"]["N"]) for i in answer["Items"]], [i for i in sorted(model) if i % 70 == 3],
         "Query of a global index")
    same(sorted(answer["Items"][0]), ["Artist", "Live", "Song", "Year"], "what it projects")
    answer = db.query(TableName="Music", IndexName="ByTitle", Select="COUNT",
                      KeyConditionExpression="Artist = :a AND begins_with(Title, :t)",
                      ExpressionAttributeValues={":a": {"S": "artist 1"}, ":t": {"S": "title"}})
    same((answer["Count"], "Items" in answer), (25, False), "COUNT of a local index")
    resource = boto3.resource("dynamodb", **setup)
    condition = boto3.dynamodb.conditions.Key("Artist").eq("artist 5")
    items = resource.Table("Music").query(KeyConditionExpression=condition)["Items"]
    same(items, [{k: TypeDeserializer().deserialize(v) for k, v in model[i].items()}
                 for i in sorted(model) if i % 40 == 5], "Query through a resource")


def backups(model):
    before = dict(model)
    arns = []
    for i in range(5):
        details = db.create_backup(TableName="Music", BackupName="nightly")["BackupDetails"]
        check(details["BackupStatus"] in ("CREATING", "AVAILABLE"), "CreateBackup's answer")
        same((details["BackupType"], details["BackupName"]), ("USER", "nightly"), "the backup")
        arns.append(details["BackupArn"])
    write("Music", model, [make_item(i, 2) for i in range(100)] + list(range(900, 950)))
    about = available(arns[0])
    same(about["SourceTableDetails"]["ProvisionedThroughput"],
         {"ReadCapacityUnits": 5, "WriteCapacityUnits": 6}, "the backup's throughput")
    features = about["SourceTableFeatureDetails"]
    same(features["GlobalSecondaryIndexes"][0]["ProvisionedThroughput"],
         {"ReadCapacityUnits": 3, "WriteCapacityUnits": 4}, "its index's throughput")
    same(features["StreamDescription"],
         {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}, "its stream")
    same(features["TimeToLiveDescription"],
         {"TimeToLiveStatus": "ENABLED", "AttributeName": "Expires"}, "its time to live")
    listed = [b["BackupArn"]
              for page in db.get_paginator("list_backups").paginate(
                  TableName="Music", PaginationConfig={"PageSize": 2})
              for b in page["BackupSummaries"]]
    same(listed, sorted(arns), "ListBackups")  # in one millisecond ids decide
    at = about["BackupDetails"]["BackupCreationDateTime"]
    same(len(db.list_backups(TimeRangeUpperBound=at - datetime.timedelta(seconds=5))
             ["BackupSummaries"]), 0, "ListBackups by time")
    about = db.restore_table_from_backup(
        TargetTableName="Copy", BackupArn=arns[0], BillingModeOverride="PAY_PER_REQUEST",
        GlobalSecondaryIndexOverride=[], LocalSecondaryIndexOverride=[])["TableDescription"]
    same(about["RestoreSummary"]["SourceBackupArn"], arns[0], "its RestoreSummary")
    about = exists("Copy")
    same((about["BillingModeSummary"]["BillingMode"], "GlobalSecondaryIndexes" in about,
          "StreamSpecification" in about), ("PAY_PER_REQUEST", False, False), "the overrides")
    holds("Copy", before, "the restored table")
    holds("Music", model, "the table itself")
    db.restore_table_from_backup(TargetTableName="Whole", BackupArn=arns[1])
    about = exists("Whole")
    same([i["IndexName"] for i in about["GlobalSecondaryIndexes"]], ["ByYear"], "restored indexes")
    same(len(contents("Whole", IndexName="ByYear")), ITEMS, "items of a restored index")
    gone = db.delete_backup(BackupArn=arns[4])["BackupDescription"]["BackupDetails"]
    same(gone["BackupStatus"], "DELETED", "DeleteBackup")
    fails(lambda: db.describe_backup(BackupArn=arns[4]), "BackupNotFoundException",
          "Backup not found: " + arns[4], "a deleted backup")
    fails(lambda: db.restore_table_from_backup(TargetTableName="Copy", BackupArn=arns[0]),
          "TableAlreadyExistsException", "Table already exists: Copy", "a name that exists")
    return arns[0]


def past(model):
    fails(lambda: db.restore_table_to_point_in_time(
        SourceTableName="Music", TargetTableName="Past", UseLatestRestorableTime=True),
        "PointInTimeRecoveryUnavailableException", "Music", "recovery that is off")
    answer = db.update_continuous_backups(
        TableName="Music", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True})
    recovery = answer["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    same(recovery["PointInTimeRecoveryStatus"], "ENABLED", "UpdateContinuousBackups")
    write("Music", model, [make_item(i, 3) for i in range(200, 300)])
    before = dict(model)
    at = next_second()
    write("Music", model, list(range(500)))
    db.restore_table_to_point_in_time(SourceTableName="Music", TargetTableName="Past",
                                      RestoreDateTime=at)
    exists("Past")
    holds("Past", before, "the state a second before the deletes")
    same(len(contents("Past", IndexName="ByYear")), len(before), "its index")
    holds("Music", model, "the source")
    fails(lambda: db.restore_table_to_point_in_time(
        SourceTableName="Music", TargetTableName="Never",
        RestoreDateTime=at - datetime.timedelta(days=40)),
        "InvalidRestoreTimeException", "EarliestRestorableDateTime", "a time before the window")


def end(model, backup):
    db.delete_table(TableName="Music")
    db.get_waiter("table_not_exists").wait(TableName="Music", WaiterConfig={"Delay": 1})
    fails(lambda: db.describe_table(TableName="Music"), "ResourceNotFoundException",
          "Requested resource not found: Table: Music not found", "a deleted table")
    system = db.list_backups(TableName="Music", BackupType="SYSTEM")["BackupSummaries"]
    same([b["BackupName"] for b in system], ["Music$DeletedTableBackup"], "the SYSTEM backup")
    days = (system[0]["BackupExpiryDateTime"] - system[0]["BackupCreationDateTime"]).days
    same(days, 35, "when it expires")
    fails(lambda: db.delete_backup(BackupArn=system[0]["BackupArn"]), "ValidationException",
          "is not allowed to delete the system backup", "deleting it")
    db.restore_table_from_backup(TargetTableName="Music", BackupArn=system[0]["BackupArn"])
    exists("Music")
    holds("Music", model, "the table as it was when deleted")
    available(backup)


def errors(about):
    fails(lambda: db.create_backup(TableName="Nowhere", BackupName="abc"),
          "TableNotFoundException", "Table not found: Nowhere", "a backup of no table")
    fails(lambda: db.describe_backup(BackupArn=about["TableArn"]), "ValidationException",
          "Invalid Backup ARN", "a table's ARN for a backup's")
    fails(lambda: db.put_item(TableName="Music", Item={"Artist": {"S": "a"}}),
          "ValidationException", "Missing the key Song in the item", "an item without its key")
    fails(lambda: db.get_item(TableName="Nowhere", Key={"a": {"S": "b"}}),
          "ResourceNotFoundException", "Requested resource not found", "an item of no table")
    fails(lambda: db.put_item(TableName="Music", Item=make_item(1, 1),
                              ConditionExpression="attribute_not_exists(Artist)"),
          "ValidationException", "ConditionExpression", "a parameter that is not supported")
    fails(lambda: db.create_table(
        TableName="Music", BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "a", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "a", "KeyType": "HASH"}]),
        "ResourceInUseException", "Table already exists: Music", "a name that exists")


def main():
    model = {}
    about = create()
    write("Music", model, [make_item(i, 1) for i in range(ITEMS)])
    holds("Music", model, "what was put")
    read(model)
    errors(about)
    backup = backups(model)
    past(model)
    end(model, backup)


setup = {"endpoint_url": sys.argv[1], "region_name": "us-east-1", "aws_access_key_id": "any",
         "aws_secret_access_key": "any", "config": Config(retries={"max_attempts": 1})}
db = boto3.client("dynamodb", **setup)
try:
    main()
except Exception as error:  # what no check expects ends the run, and is a failure
    check(False, "%s: %s" % (type(error).__name__, error))
    if "--trace" in sys.argv:
        raise
print("boto3 %s, botocore %s" % (boto3.__version__, botocore.__version__))
print("%(passed)d passed, %(failed)d failed" % counts)
sys.exit(counts["failed"] > 0)
