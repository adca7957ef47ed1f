"""smart_open streams objects as files.

Arguments: a bucket, and a folder of files to store.
"""

import hashlib
import os
import sys

import boto3
import smart_open

BUCKET, FOLDER = sys.argv[1], sys.argv[2]
PARAMS = {"client": boto3.client("s3", endpoint_url=os.environ["ENDPOINT"])}
print("smart_open", smart_open.__version__)


def digest(stream):
    h = hashlib.sha256()
    while piece := stream.read(1 << 20):
        h.update(piece)
    return h.hexdigest()


for name in os.listdir(FOLDER):
    with open(os.path.join(FOLDER, name), "rb") as f:
        want = digest(f)
        f.seek(0)
        with smart_open.open(f"s3://{BUCKET}/sizes/{name}", "wb", transport_params={**PARAMS, "min_part_size": 5 << 20}) as out:
            while piece := f.read(1 << 20):
                out.write(piece)
    with smart_open.open(f"s3://{BUCKET}/sizes/{name}", "rb", transport_params=PARAMS) as back:
        assert digest(back) == want, name
        if (size := os.path.getsize(os.path.join(FOLDER, name))) > 100:
            back.seek(size - 10)
            with open(os.path.join(FOLDER, name), "rb") as f:
                f.seek(size - 10)
                assert back.read() == f.read(), name

lines = [f"line {i} äöü\n" for i in range(20_000)]
with smart_open.open(f"s3://{BUCKET}/text.gz", "w", encoding="utf-8", transport_params=PARAMS) as out:
    out.writelines(lines)
with smart_open.open(f"s3://{BUCKET}/text.gz", encoding="utf-8", transport_params=PARAMS) as back:
    assert list(back) == lines
try:
    smart_open.open(f"s3://{BUCKET}/absent", "rb", transport_params=PARAMS).read()
except OSError as e:
    assert "NoSuchKey" in str(e), e
else:
    raise AssertionError("an absent object was read")
print("passed")
