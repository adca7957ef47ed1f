// Version 2 of the AWS SDK for JavaScript.
//
// Arguments: a bucket with 1,050 keys below many/, and a folder of files to store.

const assert = require("node:assert/strict");
const { createHash } = require("node:crypto");
const { createReadStream, readdirSync, statSync } = require("node:fs");
const { join } = require("node:path");
process.env.AWS_SDK_JS_SUPPRESS_MAINTENANCE_MODE_MESSAGE = "1";
const AWS = require("aws-sdk");

const [Bucket, folder] = process.argv.slice(2);
console.log("aws-sdk-js", AWS.VERSION);
const s3 = new AWS.S3({ endpoint: process.env.ENDPOINT, region: "us-east-1", s3ForcePathStyle: true, signatureVersion: "v4", maxRetries: 0 });

async function digest(stream) {
  const hash = createHash("sha256");
  for await (const piece of stream) hash.update(piece);
  return hash.digest("hex");
}

async function main() {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name), size = statSync(path).size, Key = "sizes/" + name;
    await s3.upload({ Bucket, Key, Body: createReadStream(path), Metadata: { name } }, { partSize: 5 << 20, queueSize: 3 }).promise();
    const head = await s3.headObject({ Bucket, Key }).promise();
    assert.equal(head.ContentLength, size);
    assert.deepEqual(head.Metadata, { name });
    assert.equal(await digest(s3.getObject({ Bucket, Key }).createReadStream()), await digest(createReadStream(path)), name);
  }
  const keys = [];
  for (let ContinuationToken; ;) {
    const page = await s3.listObjectsV2({ Bucket, Prefix: "many/", MaxKeys: 400, ContinuationToken }).promise();
    keys.push(...page.Contents.map((o) => o.Key));
    if (!page.IsTruncated) break;
    ContinuationToken = page.NextContinuationToken;
  }
  assert.equal(keys.length, 1050);
  const url = s3.getSignedUrl("putObject", { Bucket, Key: "signed key+1", ContentType: "text/plain", Expires: 60 });
  assert.equal((await fetch(url, { method: "PUT", body: "by URL", headers: { "Content-Type": "text/plain" } })).status, 200);
  assert.equal(await (await fetch(s3.getSignedUrl("getObject", { Bucket, Key: "signed key+1" }))).text(), "by URL");
  await s3.copyObject({ Bucket, Key: "copy", CopySource: `/${Bucket}/${encodeURIComponent("signed key+1")}` }).promise();
  await s3.putObjectTagging({ Bucket, Key: "copy", Tagging: { TagSet: [{ Key: "a", Value: "b" }] } }).promise();
  assert.deepEqual((await s3.getObjectTagging({ Bucket, Key: "copy" }).promise()).TagSet, [{ Key: "a", Value: "b" }]);
  const gone = await s3.deleteObjects({ Bucket, Delete: { Objects: [{ Key: "copy" }, { Key: "signed key+1" }] } }).promise();
  assert.equal(gone.Deleted.length, 2);
  await assert.rejects(s3.getObject({ Bucket, Key: "copy" }).promise(), { code: "NoSuchKey" });
  console.log("passed");
}

main().catch((error) => { console.error(error); process.exit(1); });
