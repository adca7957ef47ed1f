// A server of the tus protocol whose uploads are in a bucket.
//
// Arguments: the bucket, and a port.

import { Server } from "@tus/server";
import { S3Store } from "@tus/s3-store";

const [bucket, port] = process.argv.slice(2);
const datastore = new S3Store({
  partSize: 5 << 20,
  expirationPeriodInMilliseconds: 3_600_000, // it tags what may expire
  s3ClientConfig: { bucket, endpoint: process.env.ENDPOINT, region: "us-east-1", forcePathStyle: true, maxAttempts: 1 },
});
new Server({ path: "/files", datastore }).listen({ host: "127.0.0.1", port: Number(port) });
