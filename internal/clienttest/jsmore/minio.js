// MinIO's SDK for JavaScript.
//
// Arguments: a bucket with 1,050 keys below many/, and a folder of files to store.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createReadStream, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { version } from "./version.js";
import * as Minio from "minio";

const [Bucket, folder] = process.argv.slice(2);
version("minio");
const url = new URL(process.env.ENDPOINT);
const client = new Minio.Client({
  endPoint: url.hostname, port: Number(url.port), useSSL: url.protocol === "https:", region: "us-east-1", pathStyle: true,
  accessKey: process.env.AWS_ACCESS_KEY_ID, secretKey: process.env.AWS_SECRET_ACCESS_KEY,
});

async function digest(stream) {
  const hash = createHash("sha256");
  for await (const piece of stream) hash.update(piece);
  return hash.digest("hex");
}

async function all(stream) {
  const found = [];
  for await (const item of stream) found.push(item);
  return found;
}

for (const name of readdirSync(folder)) {
  const path = join(folder, name), size = statSync(path).size, key = "sizes/" + name;
  await client.putObject(Bucket, key, createReadStream(path), size, { "Content-Type": "application/x-test", "X-Amz-Meta-Name": name });
  const stat = await client.statObject(Bucket, key);
  assert.equal(stat.size, size);
  assert.equal(stat.metaData["content-type"], "application/x-test");
  assert.equal(stat.metaData.name, name);
  assert.equal(await digest(await client.getObject(Bucket, key)), await digest(createReadStream(path)), name);
  if (size > 100) {
    assert.equal(await digest(await client.getPartialObject(Bucket, key, 17, 50)), await digest(createReadStream(path, { start: 17, end: 66 })));
  }
}
assert.equal((await all(client.listObjectsV2(Bucket, "many/", true))).length, 1050);
assert.equal((await all(client.listObjects(Bucket, "", false))).filter((o) => o.prefix).length, 2);
for (const key of ["with space", "ünïcode/日本語", "plus+and%percent%25", "a&b=c?d#e", "double//slash"]) {
  await client.putObject(Bucket, key, key);
  assert.equal((await all(await client.getObject(Bucket, key))).join(""), key);
  const shown = await fetch(await client.presignedGetObject(Bucket, key, 60));
  assert.equal(await shown.text(), key);
  await client.removeObject(Bucket, key);
  await assert.rejects(client.statObject(Bucket, key), { code: "NotFound" });
}
const put = await fetch(await client.presignedPutObject(Bucket, "presigned", 60), { method: "PUT", body: "by URL" });
assert.equal(put.status, 200);
await client.setObjectTagging(Bucket, "presigned", { a: "b" });
assert.deepEqual(await client.getObjectTagging(Bucket, "presigned"), [{ Key: "a", Value: "b" }]);
await client.copyObject(Bucket, "copy", `/${Bucket}/presigned`);
assert.equal((await all(await client.getObject(Bucket, "copy"))).join(""), "by URL");

const policy = client.newPostPolicy();
policy.setBucket(Bucket);
policy.setKey("form");
policy.setExpires(new Date(Date.now() + 60_000));
const post = await client.presignedPostPolicy(policy);
const form = new FormData();
for (const [name, value] of Object.entries(post.formData)) form.append(name, value);
form.append("file", new Blob(["by form"]));
assert.equal((await fetch(post.postURL, { method: "POST", body: form })).status, 204);
assert.equal((await all(await client.getObject(Bucket, "form"))).join(""), "by form");

await client.removeObjects(Bucket, (await all(client.listObjectsV2(Bucket, "sizes/", true))).map((o) => o.name));
assert.deepEqual(await all(client.listObjectsV2(Bucket, "sizes/", true)), []);
console.log("passed");
