// Drives the AWS SDK for JavaScript against the gateway at $ENDPOINT.
//
// Arguments: a bucket with 1,050 keys below many/, and a folder of files to
// store. Ends with status 0 and "passed" when everything is as S3 promises.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { createReadStream, readFileSync, readdirSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { Readable } from "node:stream";
import { crc32 } from "node:zlib";
import * as S3 from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";

const [Bucket, folder] = process.argv.slice(2);
const MiB = 1 << 20;
const oddKeys = [
  "with space", "ünïcode/日本語/🗝", "plus+and%percent%25", "a&b=c?d#e", "double//slash",
  "trailing/", "%2F", "semi;colon,comma:at@bang!$'()*~", "quote\"<xml>&amp;", "back\\slash",
];

const s3 = new S3.S3Client({ endpoint: process.env.ENDPOINT, region: "us-east-1", forcePathStyle: true, maxAttempts: 1 });
const send = (operation, input) => s3.send(new S3[operation + "Command"]({ Bucket, ...input }));

async function refused(name, promise) {
  await assert.rejects(promise, (error) => {
    assert.equal(error.name, name, String(error));
    return true;
  });
}

async function read(Key, input) {
  const answer = await send("GetObject", { Key, ...input });
  return Buffer.from(await answer.Body.transformToByteArray());
}

async function digest(stream) {
  const hash = createHash("sha256");
  for await (const piece of stream) hash.update(piece);
  return hash.digest("hex");
}

async function pages(operation, input, list) {
  const found = [];
  for (let token; ;) {
    const page = await send(operation, { ...input, ContinuationToken: token });
    found.push(...(page[list] ?? []));
    if (!page.IsTruncated) return found;
    token = page.NextContinuationToken;
  }
}

async function sizes() {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name), size = statSync(path).size, Key = "sizes/" + name;
    const want = await digest(createReadStream(path));
    // Streams of known length, whose checksum follows them as a trailer.
    await send("PutObject", { Key, Body: createReadStream(path), ContentLength: size });
    assert.equal(await digest((await send("GetObject", { Key })).Body), want, name);
    // The same through the SDK's own splitting, of a stream of unknown length.
    await new Upload({ client: s3, params: { Bucket, Key, Body: createReadStream(path) }, partSize: 5 * MiB, queueSize: 3 }).done();
    const answer = await send("GetObject", { Key });
    assert.equal(answer.ContentLength, size, name);
    assert.equal(await digest(answer.Body), want, name + " in parts");
  }
}

async function ranges() {
  const size = 17 * MiB, Key = `sizes/${size}.bin`, want = readFileSync(join(folder, `${size}.bin`));
  for (const [Range, from, to] of [
    ["bytes=0-0", 0, 1], ["bytes=65535-65536", 65535, 65537], [`bytes=${5 * MiB - 1}-${5 * MiB}`, 5 * MiB - 1, 5 * MiB + 1],
    [`bytes=${size - 7}-`, size - 7, size], ["bytes=-70000", size - 70000, size], [`bytes=${size - 1}-${size + 5}`, size - 1, size],
  ]) {
    assert.ok((await read(Key, { Range })).equals(want.subarray(from, to)), Range);
  }
  assert.ok((await read(Key, { PartNumber: 2 })).equals(want.subarray(5 * MiB, 10 * MiB)), "part 2");
  await refused("InvalidRange", read(Key, { Range: `bytes=${size}-` }));
}

async function attributes() {
  const given = {
    ContentType: "text/x-test; charset=utf-8", ContentEncoding: "zstd", ContentLanguage: "de, en",
    ContentDisposition: 'attachment; filename="a b"', CacheControl: "max-age=5", Metadata: { colour: "blue", n: "1 2" },
  };
  await send("PutObject", { Key: "attributes", Body: "x", ...given, Expires: new Date("2031-05-06T07:08:09Z") });
  const head = await send("HeadObject", { Key: "attributes" });
  for (const name of Object.keys(given)) assert.deepEqual(head[name], given[name], name);
  assert.equal(head.ExpiresString, "Tue, 06 May 2031 07:08:09 GMT");
}

async function keys() {
  for (const key of oddKeys) await send("PutObject", { Key: "odd/" + key, Body: key });
  for (const key of oddKeys) assert.equal((await read("odd/" + key)).toString(), key);
  const want = oddKeys.map((key) => "odd/" + key).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  for (const EncodingType of [undefined, "url"]) {
    const listed = (await send("ListObjectsV2", { Prefix: "odd/", EncodingType })).Contents.map((o) => o.Key);
    assert.deepEqual(EncodingType ? listed.map((k) => decodeURIComponent(k.replaceAll("+", " "))) : listed, want);
  }
}

async function listing() {
  const many = await pages("ListObjectsV2", { Prefix: "many/" }, "Contents");
  assert.equal(new Set(many.map((o) => o.Key)).size, 1050);
  const prefixes = await pages("ListObjectsV2", { Delimiter: "/", MaxKeys: 2 }, "CommonPrefixes");
  assert.deepEqual(prefixes.map((p) => p.Prefix), ["many/", "odd/", "sizes/"]);
  const after = await send("ListObjectsV2", { Prefix: "many/", StartAfter: "many/1047", FetchOwner: true });
  assert.deepEqual(after.Contents.map((o) => o.Key), ["many/1048", "many/1049"]);
  assert.ok(after.Contents[0].Owner.ID);
}

async function copies() {
  await send("CopyObject", { Key: "copy/small", CopySource: `${Bucket}/odd/${encodeURIComponent("plus+and%percent%25")}` });
  assert.equal((await read("copy/small")).toString(), "plus+and%percent%25");
  await send("CopyObject", { Key: "copy/attributes", CopySource: `${Bucket}/attributes`, MetadataDirective: "REPLACE", Metadata: { fresh: "1" } });
  assert.deepEqual((await send("HeadObject", { Key: "copy/attributes" })).Metadata, { fresh: "1" });
  const size = 17 * MiB, CopySource = `${Bucket}/sizes/${size}.bin`, Key = "copy/parts", Parts = [];
  const { UploadId } = await send("CreateMultipartUpload", { Key });
  for (const [i, end] of [6 * MiB + 1, 12 * MiB, size].entries()) {
    const CopySourceRange = `bytes=${[0, 6 * MiB + 1, 12 * MiB][i]}-${end - 1}`;
    const { CopyPartResult } = await send("UploadPartCopy", { Key, UploadId, PartNumber: i + 1, CopySource, CopySourceRange });
    Parts.push({ PartNumber: i + 1, ETag: CopyPartResult.ETag });
  }
  await send("CompleteMultipartUpload", { Key, UploadId, MultipartUpload: { Parts } });
  assert.equal(await digest(Readable.from([await read(Key)])), await digest(createReadStream(join(folder, `${size}.bin`))), Key);
}

async function presigned() {
  const input = { Bucket, Key: "pre signed/ü+" };
  const put = await fetch(await getSignedUrl(s3, new S3.PutObjectCommand(input)), { method: "PUT", body: "presigned" });
  assert.equal(put.status, 200, await put.text());
  const url = await getSignedUrl(s3, new S3.GetObjectCommand({ ...input, ResponseContentType: "application/x-asked" }));
  const get = await fetch(url);
  assert.equal(await get.text(), "presigned");
  assert.equal(get.headers.get("content-type"), "application/x-asked");
  assert.equal((await fetch(url.replace("X-Amz-Expires=900", "X-Amz-Expires=901"))).status, 403);
}

async function uploads() {
  const Key = "upload", { UploadId } = await send("CreateMultipartUpload", { Key });
  await send("UploadPart", { Key, UploadId, PartNumber: 3, Body: "part" });
  const { Parts } = await send("ListParts", { Key, UploadId });
  assert.deepEqual(Parts.map((p) => [p.PartNumber, p.Size]), [[3, 4]]);
  assert.deepEqual((await send("ListMultipartUploads", {})).Uploads.map((u) => u.UploadId), [UploadId]);
  await send("AbortMultipartUpload", { Key, UploadId });
  await refused("NoSuchUpload", send("ListParts", { Key, UploadId }));
  await refused("NoSuchKey", send("GetObject", { Key }));
}

const hashed = (name, body) => createHash(name).update(body).digest("base64");

async function checksums() {
  const body = randomBytes(70_000), large = randomBytes(11 * MiB), crc = Buffer.alloc(4);
  crc.writeUInt32BE(crc32(body));
  const known = { CRC32: crc.toString("base64"), SHA1: hashed("sha1", body), SHA256: hashed("sha256", body) };
  for (const ChecksumAlgorithm of ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"]) {
    const Key = "sum/" + ChecksumAlgorithm, field = "Checksum" + ChecksumAlgorithm, ChecksumMode = "ENABLED";
    for (const Body of [body, Readable.from([body.subarray(0, 65536), body.subarray(65536)])]) {
      const put = await send("PutObject", { Key, Body, ContentLength: body.length, ChecksumAlgorithm });
      const got = await send("GetObject", { Key, ChecksumMode }); // the SDK checks what it reads
      assert.ok(Buffer.from(await got.Body.transformToByteArray()).equals(body), Key);
      assert.ok(got[field], Key);
      assert.equal(got[field], put[field], Key);
      if (known[ChecksumAlgorithm]) assert.equal(got[field], known[ChecksumAlgorithm], Key);
    }
    await new Upload({ client: s3, params: { Bucket, Key, Body: large, ChecksumAlgorithm }, partSize: 5 * MiB }).done();
    assert.ok((await read(Key, { ChecksumMode })).equals(large), Key + " in parts");
    assert.ok((await send("HeadObject", { Key, ChecksumMode }))[field], Key + " in parts");
  }
  await send("PutObject", { Key: "sum", Body: body, ChecksumSHA256: known.SHA256 });
  const zeros = Buffer.alloc(32).toString("base64");
  await refused("BadDigest", send("PutObject", { Key: "sum", Body: "other", ChecksumSHA256: zeros }));
  const answer = await send("GetObjectAttributes", { Key: "sum", ObjectAttributes: ["ObjectSize", "Checksum", "ETag"] });
  assert.deepEqual([answer.ObjectSize, answer.Checksum.ChecksumSHA256], [body.length, known.SHA256]);
}

async function conditions() {
  const Key = "conditions";
  const { ETag } = await send("PutObject", { Key, Body: "1", IfNoneMatch: "*" });
  await refused("PreconditionFailed", send("PutObject", { Key, Body: "2", IfNoneMatch: "*" }));
  await refused("PreconditionFailed", send("PutObject", { Key, Body: "2", IfMatch: '"0"' }));
  await send("PutObject", { Key, Body: "2", IfMatch: ETag });
  await refused("PreconditionFailed", send("GetObject", { Key, IfMatch: ETag }));
  await refused("PreconditionFailed", send("DeleteObject", { Key, IfMatch: ETag }));
  assert.equal((await read(Key)).toString(), "2");
}

async function deletion() {
  await refused("BucketNotEmpty", send("DeleteBucket"));
  await send("DeleteObject", { Key: "conditions" });
  for (let objects; (objects = (await send("ListObjectsV2", {})).Contents);) {
    const { Errors } = await send("DeleteObjects", { Delete: { Objects: objects.map(({ Key }) => ({ Key })) } });
    assert.deepEqual(Errors ?? [], []);
  }
  await send("DeleteBucket");
  await refused("NotFound", send("HeadBucket"));
}

const { version } = createRequire(import.meta.url)("@aws-sdk/client-s3/package.json");
console.log(`@aws-sdk/client-s3 ${version}, Node ${process.version}`);
for (const part of [sizes, ranges, attributes, keys, listing, copies, presigned, uploads, checksums, conditions, deletion]) {
  console.log(part.name);
  await part();
}
console.log("passed");
