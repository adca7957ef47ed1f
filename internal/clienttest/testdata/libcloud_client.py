"""Apache Libcloud's driver of S3.

Arguments: a bucket with 1,050 keys below many/, and a folder of files to store.
"""

import os
import sys
import tempfile
import urllib.parse

import libcloud
from libcloud.storage.providers import get_driver
from libcloud.storage.types import ContainerDoesNotExistError, ObjectDoesNotExistError, Provider

BUCKET, FOLDER = sys.argv[1], sys.argv[2]
print("libcloud", libcloud.__version__)
url = urllib.parse.urlsplit(os.environ["ENDPOINT"])
driver = get_driver(Provider.S3)(
    os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"], region="us-east-1",
    secure=url.scheme == "https", host=url.hostname, port=url.port)
container = driver.get_container(BUCKET)
assert len(driver.list_container_objects(container, prefix="many/")) == 1050
for name in os.listdir(FOLDER):
    path = os.path.join(FOLDER, name)
    with open(path, "rb") as f:
        body = f.read()
    if body:  # the driver does not take an empty file
        stored = container.upload_object(path, f"sizes/{name}", extra={"meta_data": {"name": name}})
        assert stored.size == len(body), stored
    else:
        stored = container.upload_object_via_stream(iter([b""]), f"sizes/{name}")
    with tempfile.TemporaryDirectory() as d:
        assert stored.download(os.path.join(d, "back"))
        with open(os.path.join(d, "back"), "rb") as back:
            assert back.read() == body, name
    if len(body) > 1:  # an empty piece ends the driver's stream
        streamed = container.upload_object_via_stream(iter([body[:len(body) // 2], body[len(body) // 2:]]), f"streamed/{name}")
        assert b"".join(streamed.as_stream()) == body, name
    assert stored.delete()
    try:
        container.get_object(f"sizes/{name}")
        raise AssertionError("what was deleted is there")
    except ObjectDoesNotExistError:
        pass
made = driver.create_container(BUCKET + "-made")
assert BUCKET + "-made" in [c.name for c in driver.iterate_containers()]
assert made.delete()
try:
    driver.get_container(BUCKET + "-made")
    raise AssertionError("a container that was deleted is there")
except ContainerDoesNotExistError:
    pass
print("passed")
