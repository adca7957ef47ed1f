// Uploads by the tus protocol: tus-js-client sends them to a server that keeps them
// in the bucket, and that is killed meanwhile.
//
// Arguments: a bucket with 1,050 keys below many/, and a folder of files to store.
// TUSD is the server's program; without it the server is @tus/server with @tus/s3-store.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFileSync, readdirSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { version } from "./version.js";
import { GetObjectCommand, GetObjectTaggingCommand, ListMultipartUploadsCommand, S3Client, paginateListObjectsV2 } from "@aws-sdk/client-s3";
import * as tus from "tus-js-client";

const [Bucket, folder] = process.argv.slice(2), tusd = process.env.TUSD;
version("tus-js-client");
if (!tusd) version("@tus/s3-store");
const MiB = 1 << 20;
const s3 = new S3Client({ endpoint: process.env.ENDPOINT, region: "us-east-1", forcePathStyle: true, maxAttempts: 1 });
const digest = (bytes) => createHash("sha256").update(bytes).digest("hex");

// The server, always at the same port. It dies with this process.
const port = await freePort(), endpoint = `http://127.0.0.1:${port}/files/`;
const command = tusd
  ? [tusd, "-host", "127.0.0.1", "-port", `${port}`, "-s3-bucket", Bucket, "-s3-endpoint", process.env.ENDPOINT, "-s3-object-prefix", "tus/",
      "-s3-part-size", `${5 * MiB}`, "-verbose=false"]
  : [process.execPath, fileURLToPath(new URL("tus_store.js", import.meta.url)), Bucket, `${port}`];
let server;

async function start() {
  server = spawn("setpriv", ["--pdeathsig", "KILL", ...command], { stdio: ["ignore", "ignore", "inherit"], env: { ...process.env, AWS_REGION: "us-east-1" } });
  for (const until = Date.now() + 60_000; ; await pause(50)) {
    const answer = await fetch(endpoint, { method: "OPTIONS" }).catch(() => null);
    if (answer?.ok) return;
    assert.ok(server.exitCode === null && Date.now() < until, "the server does not start");
  }
}

async function kill() {
  const ended = once(server, "exit");
  server.kill("SIGKILL");
  await ended;
}

async function freePort() {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address();
  await new Promise((closed) => probe.close(closed));
  return port;
}

// urls are all uploads that the server has made, partial ones of a parallel upload too.
const urls = new Set();

// begin returns an upload of the bytes, which the caller starts, and the promise of its end.
function begin(bytes, options = {}) {
  let upload;
  const done = new Promise((resolve, reject) => {
    upload = new tus.Upload(bytes, {
      endpoint, retryDelays: [100, 500, 1000, 2000, 4000, 8000, 16000], metadata: { filename: "ünï 1.bin", filetype: "application/x-test" },
      onSuccess: () => resolve(upload.url), onError: reject, ...options,
      onAfterResponse(request, response) {
        const made = response.getHeader("Location");
        if (request.getMethod() === "POST" && made) urls.add(new URL(made, endpoint).href);
        options.onAfterResponse?.(request, response);
      },
    });
  });
  done.catch(() => {}); // it is told to who waits
  return [upload, done];
}

async function send(bytes, options) {
  const [upload, done] = begin(bytes, options);
  upload.start();
  return done;
}

const idOf = (url) => decodeURIComponent(new URL(url).pathname.slice("/files/".length));

// stored demands the bytes under the URL, and in the bucket, where the key is the URL's
// id up to the name of the upload of parts.
async function stored(url, bytes) {
  const shown = await fetch(url);
  assert.ok(shown.ok, `${shown.status} of ${url}`); // 204 where it is empty
  assert.equal(digest(Buffer.from(await shown.arrayBuffer())), digest(bytes));
  const id = idOf(url);
  const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key: tusd ? "tus/" + id.split("+")[0] : id }));
  assert.equal(digest(await Body.transformToByteArray()), digest(bytes));
}

// all is the keys of the bucket beside those that were there at the beginning.
async function all() {
  const keys = [];
  for await (const { Contents = [] } of paginateListObjectsV2({ client: s3 }, { Bucket })) keys.push(...Contents.map((o) => o.Key));
  return keys.filter((key) => !key.startsWith("many/"));
}

// mayExpire tells the pieces of less than a part, which @tus/s3-store leaves for a lifecycle.
const mayExpire = (key) => !tusd && key.endsWith(".part");

// left is what is to be accounted for: objects and uploads of parts.
async function left() {
  const { Uploads = [] } = await s3.send(new ListMultipartUploadsCommand({ Bucket }));
  return [...(await all()).filter((key) => !mayExpire(key)), ...Uploads.map((o) => o.Key)].sort();
}

// @tus/s3-store completes an upload when its last bytes arrive: one without any stays open.
const files = readdirSync(folder).map((name) => readFileSync(join(folder, name))).filter((bytes) => tusd || bytes.length > 0);
const large = files.reduce((a, b) => (a.length > b.length ? a : b));
assert.ok(large.length >= 64 * MiB);

// killed is an upload whose server is killed in the middle of a request, after others
// were answered: what was answered is not sent again.
async function killed(bytes) {
  let answered = 0, dead = null;
  const resumed = [];
  const [upload, done] = begin(bytes, {
    chunkSize: 10 * MiB + 12_345, // so that some is less than a part
    onChunkComplete: (size, accepted) => { answered = accepted; },
    onProgress(sent) {
      if (!dead && answered > 20 * MiB && sent > answered) dead = kill().then(start);
    },
    onAfterResponse(request, response) {
      if (dead && request.getMethod() === "HEAD" && response.getStatus() === 200) resumed.push([Number(response.getHeader("Upload-Offset")), answered]);
    },
  });
  upload.start();
  await stored(await done, bytes);
  await dead;
  assert.ok(resumed.length > 0, "the server was not killed in time");
  for (const [offset, before] of resumed) assert.ok(offset >= before, `${before} bytes were answered and ${offset} are there`);
}

// part sends the first of the bytes, more than so many, and stops.
async function part(bytes, more) {
  const [upload] = begin(bytes, { chunkSize: 6 * MiB });
  await new Promise((enough) => {
    upload.options.onChunkComplete = (size, accepted) => accepted > more && enough(upload.abort());
    upload.start();
  });
  return upload.url;
}

// interrupted is an upload that its client leaves and another goes on with.
async function interrupted(bytes) {
  const uploadUrl = await part(bytes, 15 * MiB), offsets = [];
  const url = await send(bytes, { uploadUrl, onChunkComplete: (size, accepted) => offsets.push(accepted - size), chunkSize: 6 * MiB });
  assert.ok(offsets[0] > 15 * MiB, `it began again at ${offsets[0]}`);
  await stored(url, bytes);
}

// terminated is an upload that is given up and of which nothing stays.
async function terminated(bytes) {
  const before = await left(), url = await part(bytes, 10 * MiB);
  assert.notDeepEqual(await left(), before);
  await tus.Upload.terminate(url, {});
  urls.delete(url);
  assert.deepEqual(await left(), before);
}

try {
  await start();
  await Promise.all(files.map(async (bytes) => stored(await send(bytes), bytes)));
  await killed(large);
  await interrupted(large.subarray(0, 30 * MiB + 1));
  await terminated(large.subarray(0, 20 * MiB));
  // One file in three uploads, which the server puts together: large ones by copies, small
  // ones by reading them.
  for (const bytes of tusd ? [large, large.subarray(0, 3 * MiB)] : []) await stored(await send(bytes, { parallelUploads: 3 }), bytes);
  // Of uploads that are whole tusd removes all. @tus/s3-store first aborts the upload of
  // parts, and takes the answer that there is none any more for one about the file.
  if (tusd) for (const url of urls) await tus.Upload.terminate(url, {});
  const kept = tusd ? [] : [...urls].map(idOf).flatMap((id) => [id, id + ".info"]);
  assert.deepEqual(await left(), kept.sort());
  for (const Key of (await all()).filter(mayExpire)) {
    const { TagSet } = await s3.send(new GetObjectTaggingCommand({ Bucket, Key }));
    assert.deepEqual(TagSet, [{ Key: "Tus-Completed", Value: "false" }]);
  }
  console.log("passed");
} catch (error) {
  console.error(error.stack); // without the requests and sockets that hang on it
  process.exitCode = 1;
} finally {
  await kill();
}
