// The whole life of a table through the AWS SDK for JavaScript v3, against the
// server at argv[2]. Every state is compared with a Map that lives here, item by
// item. Prints what failed and `N passed, M failed`; exits nonzero on any failure.
import { isDeepStrictEqual } from "node:util";
import * as sdk from "@aws-sdk/client-dynamodb";

const ITEMS = 1000;
let passed = 0, failed = 0;

const db = new sdk.DynamoDBClient({
  endpoint: process.argv[2], region: "us-east-1", maxAttempts: 1,
  credentials: { accessKeyId: "any", secretAccessKey: "any" },
});

const call = (name, input = {}) => db.send(new sdk[`${name}Command`](input));
const later = (ms) => new Promise((done) => setTimeout(done, ms));

function check(isRight, what) {
  if (isRight) return void ++passed;
  ++failed;
  console.log("FAIL", what);
}

const show = (value) => (JSON.stringify(value) ?? "undefined").slice(0, 300);
const same = (got, wanted, what) =>
  check(isDeepStrictEqual(got, wanted), `${what}: got ${show(got)}, wanted ${show(wanted)}`);

// The call must throw the exception of that name, with that text in it.
async function fails(name, input, exception, text) {
  try {
    await call(name, input);
  } catch (error) {
    same(error.name, exception, name);
    check(error.message.includes(text), `${name}: ${error.message}`);
    if (sdk[exception]) check(error instanceof sdk[exception], `${name}: the error's class`);
    return;
  }
  check(false, `${name}: no ${exception}`);
}

// Item i: every type of attribute, what it holds told by i and version.
function makeItem(i, version) {
  return {
    Artist: { S: `artist ${i % 40}` },
    Song: { N: `${i}` },
    Title: { S: `title \u00e9\u4e2d\u{1f3b5} ${i}.${version}` },
    Year: { N: `${1950 + (i % 70)}` },
    Price: { N: `-${i}.${String(version).padStart(5, "0")}1` },
    Cover: { B: Uint8Array.of(i % 256, version, 0, 255) },
    Live: { BOOL: i % 2 === 0 },
    Label: { NULL: true },
    Genres: { SS: ["pop", `rock ${i % 7}`] },
    Charts: { NS: [`${i}`, "7.5"] },
    Hashes: { BS: [Uint8Array.of(0, 1), Uint8Array.of(i % 256, 1, 2)] },
    Tracks: { L: [{ S: "" }, { N: `${version}` }, { L: [] }, { M: { deep: { B: Uint8Array.of() } } }] },
    Credits: { M: { by: { S: "x".repeat(i % 50) }, shares: { L: [{ N: "0.5" }, { N: "0.5" }] } } },
  };
}

const keyOf = ({ Artist, Song }) => ({ Artist, Song });
const numbers = (items) => items.map((item) => Number(item.Song.N));
const ordered = (list) => [...list].sort((a, b) => a - b);

// An item as text: sets without an order, bytes in hexadecimal.
function plain(value) {
  if (value instanceof Uint8Array) return Buffer.from(value).toString("hex");
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.keys(value).sort().map((name) => {
    const held = plain(value[name]);
    return [name, /^[SNB]S$/.test(name) ? [...held].sort() : held];
  }));
}

async function contents(TableName, more = {}) {
  const found = new Map();
  for await (const page of sdk.paginateScan({ client: db, pageSize: 300 }, { TableName, ...more }))
    for (const item of page.Items) found.set(Number(item.Song.N), plain(item));
  return found;
}

async function holds(table, model, what) {
  const found = await contents(table);
  same(ordered(found.keys()), ordered(model.keys()), `${what}: which items`);
  for (const [i, item] of model)
    if (!isDeepStrictEqual(found.get(i), plain(item)))
      return check(false, `${what}: item ${i} is ${show(found.get(i))}`);
  check(true, what);
}

// Puts the items, and deletes those that are given by number, in batches.
async function write(table, model, items) {
  const requests = items.map((item) => {
    if (typeof item !== "number") {
      model.set(Number(item.Song.N), item);
      return { PutRequest: { Item: item } };
    }
    const Key = keyOf(model.get(item));
    model.delete(item);
    return { DeleteRequest: { Key } };
  });
  for (let i = 0; i < requests.length; i += 25)
    await call("BatchWriteItem", { RequestItems: { [table]: requests.slice(i, i + 25) } });
}

const range = (from, to) => Array.from({ length: to - from }, (_, i) => from + i);
const makeItems = (from, to, version) => range(from, to).map((i) => makeItem(i, version));

async function exists(TableName) {
  await sdk.waitUntilTableExists({ client: db, maxWaitTime: 60, minDelay: 1 }, { TableName });
  for (;;) {
    const { Table } = await call("DescribeTable", { TableName });
    if ((Table.GlobalSecondaryIndexes ?? []).every((i) => i.IndexStatus === "ACTIVE")) return Table;
    await later(10);
  }
}

async function available(BackupArn) {
  for (;;) {
    const { BackupDescription } = await call("DescribeBackup", { BackupArn });
    if (BackupDescription.BackupDetails.BackupStatus === "AVAILABLE") return BackupDescription;
    await later(10);
  }
}

// A whole second that has begun, and ended, when this returns: what comes next
// belongs to a later one.
async function nextSecond() {
  const at = (Math.floor(Date.now() / 1000) + 1) * 1000;
  for (;;) {
    const { ContinuousBackupsDescription: about } =
      await call("DescribeContinuousBackups", { TableName: "Music" });
    if (+about.PointInTimeRecoveryDescription.LatestRestorableDateTime > at + 2) return new Date(at);
    await later(20);
  }
}

async function create() {
  const { TableDescription } = await call("CreateTable", {
    TableName: "Music",
    AttributeDefinitions: [
      { AttributeName: "Artist", AttributeType: "S" }, { AttributeName: "Song", AttributeType: "N" },
      { AttributeName: "Title", AttributeType: "S" }, { AttributeName: "Year", AttributeType: "N" }],
    KeySchema: [{ AttributeName: "Artist", KeyType: "HASH" }, { AttributeName: "Song", KeyType: "RANGE" }],
    LocalSecondaryIndexes: [{
      IndexName: "ByTitle", Projection: { ProjectionType: "KEYS_ONLY" },
      KeySchema: [{ AttributeName: "Artist", KeyType: "HASH" }, { AttributeName: "Title", KeyType: "RANGE" }] }],
    GlobalSecondaryIndexes: [{
      IndexName: "ByYear", Projection: { ProjectionType: "ALL" },
      KeySchema: [{ AttributeName: "Year", KeyType: "HASH" }],
      ProvisionedThroughput: { ReadCapacityUnits: 3, WriteCapacityUnits: 4 } }],
    ProvisionedThroughput: { ReadCapacityUnits: 5, WriteCapacityUnits: 6 },
    StreamSpecification: { StreamEnabled: true, StreamViewType: "NEW_IMAGE" },
    SSESpecification: { Enabled: true, SSEType: "KMS" },
    Tags: [{ Key: "team", Value: "music" }],
  });
  same(TableDescription.TableStatus, "CREATING", "CreateTable's answer");
  const table = await exists("Music");
  same(table.ProvisionedThroughput.ReadCapacityUnits, 5, "its throughput");
  same(table.SSEDescription?.Status, "ENABLED", "its encryption");
  check(Math.abs(table.CreationDateTime - Date.now()) < 600000, "its time of creation");
  await call("TagResource", { ResourceArn: table.TableArn, Tags: [{ Key: "cost", Value: "1" }] });
  await call("UntagResource", { ResourceArn: table.TableArn, TagKeys: ["team"] });
  same((await call("ListTagsOfResource", { ResourceArn: table.TableArn })).Tags,
       [{ Key: "cost", Value: "1" }], "its tags");
  const updated = await call("UpdateTable", { TableName: table.TableArn, DeletionProtectionEnabled: true });
  same(updated.TableDescription.DeletionProtectionEnabled, true, "UpdateTable, by ARN");
}

async function read(model) {
  const got = await call("GetItem", { TableName: "Music", Key: keyOf(model.get(17)) });
  same(plain(got.Item), plain(model.get(17)), "GetItem");
  const put = await call("PutItem", {
    TableName: "Music", Item: model.get(17), ReturnValues: "ALL_OLD", ReturnConsumedCapacity: "TOTAL" });
  same(plain(put.Attributes), plain(model.get(17)), "PutItem's old item");
  check(put.ConsumedCapacity.CapacityUnits >= 1, "what it consumed");
  const found = [];
  for await (const page of sdk.paginateQuery({ client: db, pageSize: 7 }, {
    TableName: "Music", ScanIndexForward: false, KeyConditionExpression: "Artist = :a AND Song < :n",
    ExpressionAttributeValues: { ":a": { S: "artist 3" }, ":n": { N: "500" } } }))
    found.push(...numbers(page.Items));
  same(found, range(0, 500).filter((i) => i % 40 === 3).reverse(), "Query");
  const { Items } = await call("Query", {
    TableName: "Music", IndexName: "ByYear", KeyConditionExpression: "#y = :y",
    ExpressionAttributeNames: { "#y": "Year" }, ExpressionAttributeValues: { ":y": { N: "1953" } } });
  same(ordered(numbers(Items)), range(0, ITEMS).filter((i) => i % 70 === 3), "Query of a global index");
  const segments = [];
  for (const Segment of range(0, 4))
    segments.push(...(await contents("Music", { Segment, TotalSegments: 4 })).keys());
  same(ordered(segments), range(0, ITEMS), "Scan in segments");
}

async function backups(model) {
  const before = new Map(model), arns = [];
  for (let i = 0; i < 5; ++i) {
    const { BackupDetails } = await call("CreateBackup", { TableName: "Music", BackupName: "nightly" });
    same(BackupDetails.BackupType, "USER", "CreateBackup's answer");
    arns.push(BackupDetails.BackupArn);
  }
  await write("Music", model, [...makeItems(0, 100, 2), ...range(900, 950)]);
  const about = await available(arns[0]);
  same(about.SourceTableFeatureDetails.StreamDescription,
       { StreamEnabled: true, StreamViewType: "NEW_IMAGE" }, "the backup's stream");
  const listed = [];
  let token;
  do { // the SDK has no paginator for it
    const page = await call("ListBackups", { TableName: "Music", Limit: 2, ExclusiveStartBackupArn: token });
    listed.push(...page.BackupSummaries.map((b) => b.BackupArn));
    token = page.LastEvaluatedBackupArn;
  } while (token);
  same(listed, [...arns].sort(), "ListBackups"); // in one millisecond ids decide
  const { TableDescription } = await call("RestoreTableFromBackup", {
    TargetTableName: "Copy", BackupArn: arns[0], LocalSecondaryIndexOverride: [],
    ProvisionedThroughputOverride: { ReadCapacityUnits: 8, WriteCapacityUnits: 9 } });
  same(TableDescription.RestoreSummary.SourceBackupArn, arns[0], "its RestoreSummary");
  const copy = await exists("Copy");
  same([copy.ProvisionedThroughput.WriteCapacityUnits, copy.LocalSecondaryIndexes,
        copy.GlobalSecondaryIndexes.map((i) => i.IndexName)], [9, undefined, ["ByYear"]], "the overrides");
  await holds("Copy", before, "the restored table");
  await holds("Music", model, "the table itself");
  const gone = await call("DeleteBackup", { BackupArn: arns[4] });
  same(gone.BackupDescription.BackupDetails.BackupStatus, "DELETED", "DeleteBackup");
  await fails("DescribeBackup", { BackupArn: arns[4] }, "BackupNotFoundException", arns[4]);
  await fails("RestoreTableFromBackup", { TargetTableName: "Copy", BackupArn: arns[0] },
              "TableAlreadyExistsException", "Table already exists: Copy");
}

async function past(model) {
  await fails("RestoreTableToPointInTime",
              { SourceTableName: "Music", TargetTableName: "Past", UseLatestRestorableTime: true },
              "PointInTimeRecoveryUnavailableException", "Music");
  await call("UpdateContinuousBackups", {
    TableName: "Music",
    PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true, RecoveryPeriodInDays: 7 } });
  await write("Music", model, makeItems(200, 300, 3));
  const before = new Map(model);
  const RestoreDateTime = await nextSecond();
  await write("Music", model, range(100, 500));
  await call("RestoreTableToPointInTime",
             { SourceTableName: "Music", TargetTableName: "Past", RestoreDateTime });
  await exists("Past");
  await holds("Past", before, "the state a second before the deletes");
  same((await contents("Past", { IndexName: "ByYear" })).size, before.size, "its index");
  await fails("RestoreTableToPointInTime",
              { SourceTableName: "Music", TargetTableName: "Never", RestoreDateTime: new Date(1e12) },
              "InvalidRestoreTimeException", "EarliestRestorableDateTime");
}

async function end(model) {
  await fails("DeleteTable", { TableName: "Music" }, "ValidationException", "protected against deletion");
  await call("UpdateTable", { TableName: "Music", DeletionProtectionEnabled: false });
  await exists("Music");
  await call("DeleteTable", { TableName: "Music" });
  await sdk.waitUntilTableNotExists({ client: db, maxWaitTime: 60, minDelay: 1 }, { TableName: "Music" });
  const { BackupSummaries: [system] } =
    await call("ListBackups", { TableName: "Music", BackupType: "SYSTEM" });
  same(system?.BackupName, "Music$DeletedTableBackup", "the SYSTEM backup");
  same(system.BackupExpiryDateTime - system.BackupCreationDateTime, 35 * 86400000, "when it expires");
  await call("RestoreTableFromBackup", { TargetTableName: "Music", BackupArn: system.BackupArn });
  await exists("Music");
  await holds("Music", model, "the table as it was when deleted");
}

async function errors() {
  await fails("CreateBackup", { TableName: "Nowhere", BackupName: "abc" },
              "TableNotFoundException", "Table not found: Nowhere");
  await fails("CreateBackup", { TableName: "Music", BackupName: "a" }, "ValidationException",
              "Member must have length greater than or equal to 3");
  await fails("GetItem", { TableName: "Nowhere", Key: { a: { S: "b" } } },
              "ResourceNotFoundException", "Requested resource not found");
  await fails("Scan", { TableName: "Music", FilterExpression: "attribute_exists(a)" },
              "ValidationException", "FilterExpression");
  await fails("CreateTable", {
    TableName: "Music", BillingMode: "PAY_PER_REQUEST",
    AttributeDefinitions: [{ AttributeName: "a", AttributeType: "S" }],
    KeySchema: [{ AttributeName: "a", KeyType: "HASH" }],
  }, "ResourceInUseException", "Table already exists: Music");
}

try {
  const model = new Map();
  await create();
  await write("Music", model, makeItems(0, ITEMS, 1));
  await holds("Music", model, "what was put");
  await read(model);
  await errors();
  await backups(model);
  await past(model);
  await end(model);
} catch (error) { // what no check expects ends the run, and is a failure
  check(false, error.stack);
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);
