"""Presigned URLs and forms as boto3 makes them unless it is told otherwise: with Signature Version 2.

Argument: a bucket. Ends with status 0 and "passed".
"""

import os
import sys
import urllib.error
import urllib.request

import boto3
import botocore
from botocore.config import Config

BUCKET = sys.argv[1]


def client(**config):
    config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, **config)
    return boto3.client("s3", endpoint_url=os.environ["ENDPOINT"], config=config)


s3, v2 = client(signature_version="s3v4"), client(signature_version="s3")


def expect(got, want, what):
    if got != want:
        raise AssertionError(f"{what}: {got!r} instead of {want!r}"[:2000])


def send(url, method="GET", body=None, status=200, **headers):
    request = urllib.request.Request(url, data=body, method=method, headers={k.replace("_", "-"): v for k, v in headers.items()})
    try:
        answer = urllib.request.urlopen(request)
    except urllib.error.HTTPError as error:
        answer = error
    text = answer.read()
    if answer.status != status:
        raise AssertionError(f"{method} {url}: {answer.status} {text[:1000]!r}")
    return answer, text


def urls():
    sign = client().generate_presigned_url
    arguments = {"Bucket": BUCKET, "Key": "with space/ü+&"}
    url = sign("put_object", Params={**arguments, "ContentType": "text/x", "Metadata": {"colour": "light blue"}, "ACL": "private"})
    expect("AWSAccessKeyId" in url, True, "the URL is signed with version 2")
    send(url, "PUT", b"body", Content_Type="text/x")
    expect(s3.head_object(**arguments)["Metadata"], {"colour": "light blue"}, "metadata")
    expect(send(sign("get_object", Params=arguments))[1], b"body", "GET")
    answer, _ = send(sign("get_object", Params={**arguments, "ResponseContentDisposition": 'attachment; filename="a & b"', "ResponseContentType": "text/y"}))
    expect(answer.headers["Content-Disposition"], 'attachment; filename="a & b"', "Content-Disposition")
    expect(answer.headers["Content-Type"], "text/y", "Content-Type")
    send(sign("head_object", Params=arguments), "HEAD")
    send(sign("get_object", Params=arguments), "HEAD", status=403)
    send(sign("get_object", Params=arguments) + "&acl", status=403)
    send(sign("get_object", Params=arguments, ExpiresIn=-1), status=403)
    send(sign("delete_object", Params=arguments), "DELETE", status=204)


def form():
    post = client().generate_presigned_post(BUCKET, "form/${filename}", Fields={"acl": "private"}, Conditions=[{"acl": "private"}])
    expect("AWSAccessKeyId" in post["fields"], True, "the form is signed with version 2")
    parts = [(f'form-data; name="{name}"', value.encode()) for name, value in post["fields"].items()]
    parts.append(('form-data; name="file"; filename="cat.png"', b"meow"))
    body = b"".join(b"--B\r\nContent-Disposition: %s\r\n\r\n%s\r\n" % (head.encode(), value) for head, value in parts) + b"--B--\r\n"
    send(post["url"], "POST", body, status=204, Content_Type="multipart/form-data; boundary=B")
    expect(s3.get_object(Bucket=BUCKET, Key="form/cat.png")["Body"].read(), b"meow", "the file")


def requests():
    v2.put_object(Bucket=BUCKET, Key="requests/a", Body=b"body", Metadata={"a": "b"})
    expect(v2.get_object(Bucket=BUCKET, Key="requests/a")["Body"].read(), b"body", "GET")
    listed = v2.list_objects(Bucket=BUCKET, Prefix="requests/")["Contents"]
    expect([o["Key"] for o in listed], ["requests/a"], "a listing")
    v2.copy_object(Bucket=BUCKET, Key="requests/b", CopySource={"Bucket": BUCKET, "Key": "requests/a"})
    expect(v2.head_object(Bucket=BUCKET, Key="requests/b")["ContentLength"], 4, "the copy")
    v2.delete_object(Bucket=BUCKET, Key="requests/a")


print("boto3", boto3.__version__, "botocore", botocore.__version__)
urls()
form()
requests()
print("passed")
