// LanceDB keeps tables in the bucket, which it commits by conditional writes.
//
// Arguments: a bucket, and a folder of files that it does not need.

import assert from "node:assert/strict";
import { version } from "./version.js";
import * as lancedb from "@lancedb/lancedb";

const [Bucket] = process.argv.slice(2);
version("@lancedb/lancedb");

const connect = () => lancedb.connect(`s3://${Bucket}/lance`, {
  storageOptions: {
    awsEndpoint: process.env.ENDPOINT, awsRegion: "us-east-1", allowHttp: "true", virtualHostedStyleRequest: "false",
    awsAccessKeyId: process.env.AWS_ACCESS_KEY_ID, awsSecretAccessKey: process.env.AWS_SECRET_ACCESS_KEY,
  },
});
const row = (id) => ({ id, vector: [Math.sin(id), Math.cos(id), id % 7], text: `row ${id}` });
const rows = (from, n) => Array.from({ length: n }, (_, i) => row(from + i));

const db = await connect();
const table = await db.createTable("t", rows(0, 500));
// Writers that meet commit one after the other, and none is lost.
await Promise.all([500, 600, 700, 800].map(async (from) => {
  const own = await (await connect()).openTable("t");
  await own.add(rows(from, 100));
}));
await table.checkoutLatest();
assert.equal(await table.countRows(), 900);
await table.delete("id % 3 = 0");
await table.update({ where: "id = 1", values: { text: "changed" } });
assert.equal(await table.countRows(), 600);
await table.optimize();

const again = await (await connect()).openTable("t");
const found = await again.query().where("id < 50").toArray();
assert.deepEqual(found.map((r) => r.id).sort((a, b) => a - b), rows(0, 50).map((r) => r.id).filter((id) => id % 3));
for (const r of found) assert.equal(r.text, r.id === 1 ? "changed" : `row ${r.id}`);
const [nearest] = await again.vectorSearch([Math.sin(100), Math.cos(100), 100 % 7]).limit(1).toArray();
assert.equal(nearest.id, 100);
assert.deepEqual(await db.tableNames(), ["t"]);
await db.dropTable("t");
assert.deepEqual(await db.tableNames(), []);
console.log("passed");
