"""Uploads that are refused before their body, each followed by a request on the same connection.

Arguments: the bucket and how many rounds. The environment has ENDPOINT, the credential
of the bucket's owner, and in LIMITED_ACCESS_KEY and LIMITED_SECRET_KEY that of a tenant
whose rate is limited, and in ADDRESS the client's own address.
Ends with status 0 and "passed".
"""

import json
import os
import sys
import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from urllib3.util import connection

BUCKET, ROUNDS = sys.argv[1], int(sys.argv[2])
# This client's own address, which is not the balancers'.
ADDRESS = os.environ["ADDRESS"]
# What a gateway reads of a refused body by itself, and more.
BODIES = os.urandom(200_000), os.urandom(1 << 20)

connect = connection.create_connection
connection.create_connection = lambda *args, **kwargs: connect(*args, **{**kwargs, "source_address": (ADDRESS, 0)})


def client(access=None, secret=None):
    # A connection for all requests: a broken one breaks the next request, and no
    # retry hides it.
    config = Config(retries={"total_max_attempts": 1}, max_pool_connections=1, read_timeout=20,
                    s3={"addressing_style": "path"})
    return boto3.client("s3", endpoint_url=os.environ["ENDPOINT"], config=config,
                        aws_access_key_id=access, aws_secret_access_key=secret)


def refused(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as e:
        got = e.response["Error"]["Code"]
    else:
        got = "done"
    if got != code:
        raise AssertionError(f"{got} instead of {code}")


owner = client()
wrong = client(os.environ["AWS_ACCESS_KEY_ID"], "wrong" * 8)
limited = client(os.environ["LIMITED_ACCESS_KEY"], os.environ["LIMITED_SECRET_KEY"])
owner.put_object(Bucket=BUCKET, Key="there", Body=b"there")


def same(bucket_client):
    got = bucket_client.get_object(Bucket=BUCKET, Key="there")["Body"].read()
    if got != b"there":
        raise AssertionError(f"another answer: {got!r}")


# Debian's boto3 is older than the parameter.
creator = client()
creator.meta.events.register("before-call.s3.PutObject", lambda params, **_: params["headers"].update({"If-None-Match": "*"}))

for i in range(ROUNDS):
    BODY = BODIES[i % 2]
    refused("PreconditionFailed", creator.put_object, Bucket=BUCKET, Key="there", Body=BODY)
    same(creator)
    refused("SignatureDoesNotMatch", wrong.put_object, Bucket=BUCKET, Key="k", Body=BODY)
    refused("SignatureDoesNotMatch", wrong.get_object, Bucket=BUCKET, Key="there")
    refused("NoSuchBucket", owner.upload_part, Bucket=BUCKET + "-absent", Key="k", UploadId="u", PartNumber=1, Body=BODY)
    owner.put_object(Bucket=BUCKET, Key=f"round/{i}", Body=BODY)
    if owner.get_object(Bucket=BUCKET, Key=f"round/{i}")["Body"].read() != BODY:
        raise AssertionError("other bytes than were stored")

# A tenant beyond its rate is refused before its body too.
codes = set()
for _ in range(ROUNDS):
    for call, arguments in ((limited.put_object, {"Key": "k", "Body": BODY}), (limited.get_object, {"Key": "there"})):
        try:
            call(Bucket=BUCKET, **arguments)
        except ClientError as e:
            codes.add(e.response["Error"]["Code"])
if codes != {"SlowDown", "AccessDenied"}:
    raise AssertionError(f"beyond the rate: {codes}")



def awaited(code, c):
    # A gateway that did not take the policy itself obeys it a few seconds later. One
    # answer could be that of the gateway which took it: all have been asked by then.
    right = 0
    for _ in range(300):
        try:
            c.get_object(Bucket=BUCKET, Key="there")["Body"].read()
            got = None
        except ClientError as e:
            got = e.response["Error"]["Code"]
        right = right + 1 if got == code else 0
        if right == 12:
            return
        time.sleep(0.1)
    raise AssertionError(f"{got} instead of {code}")


# The client's address is what a policy judges, not the balancer's, nor one that the
# client made up.
forged = client()
forged.meta.events.register("before-send.s3", lambda request, **_: request.headers.update({"X-Forwarded-For": "198.51.100.7"}))
for address, code in ((ADDRESS + "/32", "AccessDenied"), ("198.51.100.7/32", None)):
    owner.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps({"Version": "2012-10-17", "Statement": [{
        "Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{BUCKET}/*",
        "Condition": {"IpAddress": {"aws:SourceIp": address}}}]}))
    for c in (owner, forged):
        awaited(code, c)
owner.delete_bucket_policy(Bucket=BUCKET)
print("passed")
