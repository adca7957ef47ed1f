// s3-sync-client keeps a folder and a bucket alike; a second run moves nothing.
//
// Arguments: a bucket, and a folder of files to store.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { appendFileSync, cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { version } from "./version.js";
import { S3Client } from "@aws-sdk/client-s3";
import { S3SyncClient } from "s3-sync-client";

const [Bucket, folder] = process.argv.slice(2);
version("s3-sync-client");
const { sync } = new S3SyncClient({ client: new S3Client({ endpoint: process.env.ENDPOINT, region: "us-east-1", forcePathStyle: true, maxAttempts: 1 }) });
const work = mkdtempSync(join(tmpdir(), "sync-")), here = join(work, "here"), back = join(work, "back"), there = `s3://${Bucket}/synced`;
try {
  cpSync(folder, here, { recursive: true, preserveTimestamps: true });
  const moved = async (from, to) => {
    const done = await sync(from, to, { del: true });
    return [done.created.length, done.updated.length, done.deleted.length];
  };
  const [created] = await moved(here, there);
  assert.ok(created > 5);
  assert.deepEqual(await moved(here, there), [0, 0, 0], "an upload again");
  assert.deepEqual(await moved(there, back), [created, 0, 0]);
  assert.deepEqual(await moved(there, back), [0, 0, 0], "a download again");
  execFileSync("diff", ["-r", here, back]);
  appendFileSync(join(here, "1.bin"), "more");
  rmSync(join(here, "0.bin"));
  assert.deepEqual(await moved(here, there), [0, 1, 1]);
  assert.deepEqual(await moved(there, back), [0, 1, 1]);
  execFileSync("diff", ["-r", here, back]);
} finally {
  rmSync(work, { recursive: true });
}
console.log("passed");
