"""Drives boto3 against the gateway at $ENDPOINT.

Arguments: a bucket with 1,050 keys below many/, and a folder of files to store.
Ends with status 0 and "passed" when everything is as S3 promises.
"""

import base64
import hashlib
import io
import os
import sys
import tempfile
import urllib.request
import zlib

import boto3
import botocore
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

BUCKET, FOLDER = sys.argv[1], sys.argv[2]
MIB = 1 << 20
ODD_KEYS = [
    "with space", "ünïcode/日本語/🗝", "plus+and%percent%25", "a&b=c?d#e", "double//slash",
    "trailing/", "%2F", "semi;colon,comma:at@bang!$'()*~", "quote\"<xml>&amp;", "back\\slash",
]


def client(**config):
    config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, **config)
    return boto3.client("s3", endpoint_url=os.environ["ENDPOINT"], config=config)


s3 = client()


def expect(got, want, what):
    if got != want:
        raise AssertionError(f"{what}: {got!r} instead of {want!r}"[:2000])


def refused(code, call, **arguments):
    try:
        call(Bucket=BUCKET, **arguments)
    except ClientError as error:
        expect(error.response["Error"]["Code"], code, "code")
        return
    raise AssertionError(f"not refused with {code}: {arguments}")


def read(key, **arguments):
    return s3.get_object(Bucket=BUCKET, Key=key, **arguments)["Body"].read()


def sizes():
    in_parts = TransferConfig(multipart_threshold=8 * MIB, multipart_chunksize=8 * MIB)
    with tempfile.TemporaryDirectory() as back:
        for name in sorted(os.listdir(FOLDER)):
            path, copy = os.path.join(FOLDER, name), os.path.join(back, name)
            s3.upload_file(path, BUCKET, "sizes/" + name, Config=in_parts)
            s3.download_file(BUCKET, "sizes/" + name, copy, Config=in_parts)
            with open(path, "rb") as a, open(copy, "rb") as b:
                expect(hashlib.file_digest(b, "sha256").digest() if hasattr(hashlib, "file_digest")
                       else hashlib.sha256(b.read()).digest(), hashlib.sha256(a.read()).digest(), name)
            expect(s3.head_object(Bucket=BUCKET, Key="sizes/" + name)["ContentLength"], os.path.getsize(path), name)
            os.remove(copy)


def ranges():
    body = os.urandom(200_000)
    s3.put_object(Bucket=BUCKET, Key="ranges", Body=body)
    for header, want in [
        ("bytes=0-0", body[:1]), ("bytes=65535-65536", body[65535:65537]), ("bytes=131072-", body[131072:]),
        ("bytes=-5", body[-5:]), ("bytes=199999-300000", body[-1:]),
    ]:
        expect(read("ranges", Range=header), want, header)
    refused("InvalidRange", s3.get_object, Key="ranges", Range="bytes=200000-")


def attributes():
    given = dict(
        ContentType="text/x-test; charset=utf-8", ContentEncoding="zstd", ContentLanguage="de",
        ContentDisposition='attachment; filename="a b"', CacheControl="max-age=5", Metadata={"colour": "blue", "n": "1 2"},
    )
    s3.put_object(Bucket=BUCKET, Key="attributes", Body=b"x", **given)
    head = s3.head_object(Bucket=BUCKET, Key="attributes")
    for name, want in given.items():
        expect(head[name], want, name)


def keys():
    for key in ODD_KEYS:
        s3.put_object(Bucket=BUCKET, Key="odd/" + key, Body=key.encode())
    for key in ODD_KEYS:
        expect(read("odd/" + key), key.encode(), key)
    listed = [o["Key"] for o in s3.list_objects_v2(Bucket=BUCKET, Prefix="odd/")["Contents"]]
    expect(listed, sorted(("odd/" + k for k in ODD_KEYS), key=lambda k: k.encode()), "listing")
    listed = [o["Key"] for o in s3.list_objects(Bucket=BUCKET, Prefix="odd/")["Contents"]]
    expect(sorted(listed), sorted("odd/" + k for k in ODD_KEYS), "listing, version 1")


def listing():
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="many/")
    keys = [o["Key"] for page in pages for o in page.get("Contents", [])]
    expect(len(keys), 1050, "keys over several pages")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Delimiter="/", PaginationConfig={"PageSize": 2})
    prefixes = [p["Prefix"] for page in pages for p in page.get("CommonPrefixes", [])]
    expect(prefixes, ["many/", "odd/", "sizes/"], "common prefixes")


def copies():
    s3.copy_object(Bucket=BUCKET, Key="copy", CopySource={"Bucket": BUCKET, "Key": "odd/plus+and%percent%25"})
    expect(read("copy"), b"plus+and%percent%25", "copy")
    large = f"sizes/{17 * MIB}.bin"
    s3.copy({"Bucket": BUCKET, "Key": large}, BUCKET, "copy/parts", Config=TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB + 1))
    with open(os.path.join(FOLDER, f"{17 * MIB}.bin"), "rb") as f:
        expect(hashlib.sha256(read("copy/parts")).digest(), hashlib.sha256(f.read()).digest(), "copy in parts")


def presigned():
    url = client(signature_version="s3v4").generate_presigned_url
    arguments = {"Bucket": BUCKET, "Key": "pre signed/ü+"}
    request = urllib.request.Request(url("put_object", Params=arguments), data=b"presigned", method="PUT")
    expect(urllib.request.urlopen(request).status, 200, "presigned PUT")
    expect(urllib.request.urlopen(url("get_object", Params=arguments)).read(), b"presigned", "presigned GET")


def uploads():
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="upload")["UploadId"]
    s3.upload_part(Bucket=BUCKET, Key="upload", UploadId=upload, PartNumber=3, Body=b"part")
    expect([(p["PartNumber"], p["Size"]) for p in s3.list_parts(Bucket=BUCKET, Key="upload", UploadId=upload)["Parts"]], [(3, 4)], "parts")
    expect([u["UploadId"] for u in s3.list_multipart_uploads(Bucket=BUCKET)["Uploads"]], [upload], "uploads")
    s3.abort_multipart_upload(Bucket=BUCKET, Key="upload", UploadId=upload)
    refused("NoSuchUpload", s3.list_parts, Key="upload", UploadId=upload)
    refused("NoSuchKey", s3.get_object, Key="upload")


def checksums():
    body = os.urandom(70_000)
    want = {
        "CRC32": base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode(),
        "SHA1": base64.b64encode(hashlib.sha1(body).digest()).decode(),
        "SHA256": base64.b64encode(hashlib.sha256(body).digest()).decode(),
    }
    for algorithm, sum in want.items():
        for stream in (body, io.BytesIO(body)):
            s3.put_object(Bucket=BUCKET, Key="sum", Body=stream, ChecksumAlgorithm=algorithm)
            answer = s3.get_object(Bucket=BUCKET, Key="sum", ChecksumMode="ENABLED")
            expect(answer["Checksum" + algorithm], sum, algorithm)
            expect(answer["Body"].read(), body, algorithm)
    refused("BadDigest", s3.put_object, Key="sum", Body=body, ChecksumSHA256=base64.b64encode(bytes(32)).decode())
    refused("BadDigest", s3.put_object, Key="sum", Body=body, ContentMD5=base64.b64encode(bytes(16)).decode())
    expect(read("sum"), body, "after refused writes")
    answer = s3.get_object_attributes(Bucket=BUCKET, Key="sum", ObjectAttributes=["ObjectSize", "Checksum", "ETag"])
    expect((answer["ObjectSize"], answer["Checksum"]["ChecksumSHA256"]), (len(body), want["SHA256"]), "attributes")


def conditions():
    s3.put_object(Bucket=BUCKET, Key="conditions", Body=b"1")
    tag = s3.head_object(Bucket=BUCKET, Key="conditions")["ETag"]
    refused("PreconditionFailed", s3.get_object, Key="conditions", IfMatch='"0"')
    refused("304", s3.get_object, Key="conditions", IfNoneMatch=tag)
    if "IfNoneMatch" in s3.meta.service_model.operation_model("PutObject").input_shape.members:
        refused("PreconditionFailed", s3.put_object, Key="conditions", IfNoneMatch="*", Body=b"2")
        refused("PreconditionFailed", s3.put_object, Key="conditions", IfMatch='"0"', Body=b"2")
        s3.put_object(Bucket=BUCKET, Key="conditions", IfMatch=tag, Body=b"2")
        expect(read("conditions"), b"2", "after If-Match")


def deletion():
    refused("BucketNotEmpty", s3.delete_bucket)
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        answer = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": o["Key"]} for o in page["Contents"]]})
        expect(answer.get("Errors", []), [], "errors of DeleteObjects")
    s3.delete_bucket(Bucket=BUCKET)
    refused("404", s3.head_bucket)


print(f"boto3 {boto3.__version__}, botocore {botocore.__version__}, Python {sys.version.split()[0]}")
if s3.list_buckets()["Owner"]["ID"] == "":
    raise AssertionError("the owner has no id")
for part in (sizes, ranges, attributes, keys, listing, copies, presigned, uploads, checksums, conditions, deletion):
    print(part.__name__, flush=True)
    part()
print("passed")
