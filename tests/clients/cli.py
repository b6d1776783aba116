#!/usr/bin/env python3
"""The whole life of a table through the AWS CLI: cli.py URL AWS, where AWS is
the command, version 1 or 2. States are compared item by item with a dict that
lives here. Prints what failed and `N passed, M failed`; exits nonzero on any
failure."""
import base64
import json
import os
import subprocess
import sys
import tempfile
import time

ITEMS = 1000
counts = {"passed": 0, "failed": 0}
url, aws = sys.argv[1:3]
folder = tempfile.TemporaryDirectory()
environment = dict(os.environ, AWS_ACCESS_KEY_ID="any", AWS_SECRET_ACCESS_KEY="any",
                   AWS_DEFAULT_REGION="us-east-1", AWS_MAX_ATTEMPTS="1", AWS_PAGER="",
                   AWS_CONFIG_FILE=os.devnull, AWS_SHARED_CREDENTIALS_FILE=os.devnull)
shown = subprocess.run([aws, "--version"], capture_output=True, text=True, env=environment)
version = (shown.stdout or shown.stderr).split()[0]
is_first = version.startswith("aws-cli/1.")  # takes bytes as they are, not as base64


def check(is_right, what):
    counts["passed" if is_right else "failed"] += 1
    if not is_right:
        print("FAIL", what)


def same(got, wanted, what):
    check(got == wanted, "%s: got %.300r, wanted %.300r" % (what, got, wanted))


def run(operation, *options):
    done = subprocess.run([aws, "dynamodb", *operation.split(), "--endpoint-url", url,
                           "--output", "json", *options],
                          capture_output=True, text=True, env=environment)
    return done.returncode, done.stdout, done.stderr


def call(operation, *options):
    status, out, said = run(operation, *options)
    if status != 0:
        raise RuntimeError("%s: %s" % (operation, said.strip()))
    return json.loads(out) if out.strip() else None


def fails(code, text, operation, *options):
    status, _, said = run(operation, *options)
    check(status != 0 and "(%s)" % code in said and text in said,
          "%s: wanted %s %s, got %s" % (operation, code, text, said.strip()))


def make_item(i, version):
    """Item i as the CLI shows it: every type, told by i and version."""
    def blob(text):
        return base64.b64encode(text.encode()).decode()
    return {
        "Artist": {"S": "artist %d" % (i % 40)},
        "Song": {"N": str(i)},
        "Title": {"S": "title \u00e9\u4e2d\U0001f3b5 %d.%d" % (i, version)},
        "Year": {"N": str(1950 + i % 70)},
        "Price": {"N": "-%d.%05d1" % (i, version)},
        "Cover": {"B": blob("cover %d %d" % (i, version))},
        "Live": {"BOOL": i % 2 == 0},
        "Label": {"NULL": True},
        "Genres": {"SS": ["pop", "rock %d" % (i % 7)]},
        "Charts": {"NS": [str(i), "7.5"]},
        "Hashes": {"BS": [blob("a"), blob("b%d" % i)]},
        "Tracks": {"L": [{"S": ""}, {"N": str(version)}, {"L": []}, {"M": {"deep": {"B": blob("c")}}}]},
        "Credits": {"M": {"by": {"S": "x" * (i % 50)}, "shares": {"L": [{"N": "0.5"}] * 2}}},
    }


def sent(value):
    """What the CLI wants for an item, which is what it shows but for bytes."""
    if isinstance(value, list):
        return [sent(v) for v in value]
    if not isinstance(value, dict):
        return value
    return {name: base64.b64decode(held).decode() if is_first and name == "B"
            else [base64.b64decode(h).decode() for h in held] if is_first and name == "BS"
            else sent(held) for name, held in value.items()}


def plain(item):
    """An item without the order of its sets."""
    return {name: {k: sorted(held) if k in ("SS", "NS", "BS") else held
                   for k, held in value.items()} for name, value in item.items()}


def key_of(item):
    return {"Artist": item["Artist"], "Song": item["Song"]}


def given(value):
    """A parameter in a file, as long ones are given."""
    path = os.path.join(folder.name, "parameter.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(value, file)
    return "file://" + path


def write(table, model, items):
    """Puts the items, and deletes those that are given by number, in batches."""
    requests = []
    for item in items:
        if isinstance(item, int):
            requests.append({"DeleteRequest": {"Key": key_of(model.pop(item))}})
        else:
            model[int(item["Song"]["N"])] = item
            requests.append({"PutRequest": {"Item": sent(item)}})
    for i in range(0, len(requests), 25):
        answer = call("batch-write-item", "--request-items", given({table: requests[i:i + 25]}))
        same(answer["UnprocessedItems"], {}, "a batch")


def contents(table, *options):
    items = call("scan", "--table-name", table, "--page-size", "400", *options)["Items"]
    return {int(item["Song"]["N"]): plain(item) for item in items}


def holds(table, model, what):
    found = contents(table)
    same(sorted(found), sorted(model), what + ": which items")
    for i, item in model.items():
        if found.get(i) != plain(item):
            check(False, "%s: item %d is %.400r" % (what, i, found.get(i)))
            return
    check(True, what)


def exists(table):
    call("wait table-exists", "--table-name", table)
    while True:
        about = call("describe-table", "--table-name", table)["Table"]
        if all(i["IndexStatus"] == "ACTIVE" for i in about.get("GlobalSecondaryIndexes", [])):
            return about


def available(arn):
    while True:
        about = call("describe-backup", "--backup-arn", arn)["BackupDescription"]
        if about["BackupDetails"]["BackupStatus"] == "AVAILABLE":
            return about


def next_second():
    """A whole second that has begun, and ended, when this returns: what comes
    next belongs to a later one."""
    at = int(time.time()) + 1
    while time.time() <= at + 0.01:
        call("describe-continuous-backups", "--table-name", "Music")
    return str(at)


def main():
    model = {}
    call("create-table", "--table-name", "Music", "--billing-mode", "PAY_PER_REQUEST",
         "--attribute-definitions", "AttributeName=Artist,AttributeType=S",
         "AttributeName=Song,AttributeType=N", "AttributeName=Year,AttributeType=N",
         "--key-schema", "AttributeName=Artist,KeyType=HASH", "AttributeName=Song,KeyType=RANGE",
         "--global-secondary-indexes",
         "IndexName=ByYear,KeySchema=[{AttributeName=Year,KeyType=HASH}],"
         "Projection={ProjectionType=ALL}",
         "--stream-specification", "StreamEnabled=true,StreamViewType=KEYS_ONLY",
         "--tags", "Key=team,Value=music")
    about = exists("Music")
    same(about["TableStatus"], "ACTIVE", "the table")
    same(call("list-tables")["TableNames"], ["Music"], "list-tables")
    write("Music", model, [make_item(i, 1) for i in range(ITEMS)])
    holds("Music", model, "what was put")
    got = call("get-item", "--table-name", "Music", "--key", given(key_of(model[17])))
    same(plain(got["Item"]), plain(model[17]), "get-item")
    got = call("query", "--table-name", "Music", "--page-size", "7", "--no-scan-index-forward",
               "--key-condition-expression", "Artist = :a AND Song < :n",
               "--expression-attribute-values", '{":a":{"S":"artist 3"},":n":{"N":"500"}}')
    same([int(i["Song"]["N"]) for i in got["Items"]],
         [i for i in range(499, -1, -1) if i % 40 == 3], "query")
    got = call("query", "--table-name", "Music", "--index-name", "ByYear",
               "--key-condition-expression", "#y = :y",
               "--expression-attribute-names", '{"#y":"Year"}',
               "--expression-attribute-values", '{":y":{"N":"1953"}}')
    same(sorted(int(i["Song"]["N"]) for i in got["Items"]),
         [i for i in range(ITEMS) if i % 70 == 3], "query of an index")

    before = dict(model)
    arns = [call("create-backup", "--table-name", "Music", "--backup-name", "nightly")
            ["BackupDetails"]["BackupArn"] for _ in range(3)]
    write("Music", model, [make_item(i, 2) for i in range(50)] + list(range(950, 1000)))
    features = available(arns[0])["SourceTableFeatureDetails"]
    same(features["StreamDescription"]["StreamViewType"], "KEYS_ONLY", "the backup's stream")
    listed = call("list-backups", "--table-name", "Music", "--page-size", "2")["BackupSummaries"]
    same([b["BackupArn"] for b in listed], sorted(arns), "list-backups")
    answer = call("restore-table-from-backup", "--target-table-name", "Copy", "--backup-arn", arns[0],
                  "--billing-mode-override", "PROVISIONED", "--provisioned-throughput-override",
                  "ReadCapacityUnits=2,WriteCapacityUnits=3", "--global-secondary-index-override",
                  "[]")
    same(answer["TableDescription"]["RestoreSummary"]["SourceBackupArn"], arns[0], "its summary")
    about = exists("Copy")
    same(about["ProvisionedThroughput"]["WriteCapacityUnits"], 3, "the overrides")
    holds("Copy", before, "the restored table")
    holds("Music", model, "the table itself")
    answer = call("delete-backup", "--backup-arn", arns[2])
    same(answer["BackupDescription"]["BackupDetails"]["BackupStatus"], "DELETED", "delete-backup")
    fails("BackupNotFoundException", arns[2], "describe-backup", "--backup-arn", arns[2])
    fails("TableAlreadyExistsException", "Table already exists: Copy", "restore-table-from-backup",
          "--target-table-name", "Copy", "--backup-arn", arns[0])
    fails("TableNotFoundException", "Table not found: Nowhere", "create-backup",
          "--table-name", "Nowhere", "--backup-name", "nightly")
    fails("ValidationException", "Invalid Backup ARN", "describe-backup",
          "--backup-arn", about["TableArn"])

    call("update-continuous-backups", "--table-name", "Music",
         "--point-in-time-recovery-specification", "PointInTimeRecoveryEnabled=true")
    write("Music", model, [make_item(i, 3) for i in range(100, 150)])
    before = dict(model)
    at = next_second()
    write("Music", model, list(range(200)))
    call("restore-table-to-point-in-time", "--source-table-name", "Music",
         "--target-table-name", "Past", "--restore-date-time", at)
    exists("Past")
    holds("Past", before, "the state a second before the deletes")
    fails("InvalidRestoreTimeException", "EarliestRestorableDateTime",
          "restore-table-to-point-in-time", "--source-table-name", "Music",
          "--target-table-name", "Never", "--restore-date-time", "1000000000")

    call("delete-table", "--table-name", "Music")
    call("wait table-not-exists", "--table-name", "Music")
    system = call("list-backups", "--backup-type", "SYSTEM")["BackupSummaries"]
    same([b["BackupName"] for b in system], ["Music$DeletedTableBackup"], "the SYSTEM backup")
    call("restore-table-from-backup", "--target-table-name", "Music",
         "--backup-arn", system[0]["BackupArn"])
    exists("Music")
    holds("Music", model, "the table as it was when deleted")


try:
    main()
except Exception as error:  # what no check expects ends the run, and is a failure
    check(False, "%s: %s" % (type(error).__name__, error))
print(version)
print("%(passed)d passed, %(failed)d failed" % counts)
sys.exit(counts["failed"] > 0)
