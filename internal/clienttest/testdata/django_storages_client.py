"""Django keeps uploaded files, and the static files of its sites, with django-storages.

Arguments: a bucket, and a folder of files to store.
"""

import hashlib
import os
import sys
import tempfile
import urllib.request

import django
import storages
from django.conf import settings
from django.core.files import File
from django.core.files.base import ContentFile
from django.core.management import call_command

BUCKET, FOLDER = sys.argv[1], sys.argv[2]
STATIC = tempfile.mkdtemp()
STYLE = 'body { background: url("images/large.bin") }\n' * 1000
os.makedirs(os.path.join(STATIC, "images"))
with open(os.path.join(STATIC, "style.css"), "w") as f:
    f.write(STYLE)
os.symlink(os.path.join(FOLDER, "17825792.bin"), os.path.join(STATIC, "images", "large.bin"))
settings.configure(
    INSTALLED_APPS=["django.contrib.staticfiles", "storages"],
    DEFAULT_FILE_STORAGE="storages.backends.s3boto3.S3Boto3Storage",
    STATICFILES_STORAGE="storages.backends.s3boto3.S3ManifestStaticStorage",
    STATICFILES_DIRS=[STATIC],
    STATIC_URL="/static/",
    AWS_STORAGE_BUCKET_NAME=BUCKET,
    AWS_S3_ENDPOINT_URL=os.environ["ENDPOINT"],
    AWS_S3_SIGNATURE_VERSION="s3v4",
    AWS_S3_FILE_OVERWRITE=False,
    AWS_IS_GZIPPED=True,
    USE_TZ=True,
)
django.setup()
print("django-storages", storages.__version__, "django", django.__version__)

from django.contrib.staticfiles.storage import staticfiles_storage  # noqa: E402
from django.core.files.storage import default_storage  # noqa: E402
from storages.backends.s3boto3 import S3Boto3Storage  # noqa: E402


def digest(stream):
    h = hashlib.sha256()
    while piece := stream.read(1 << 20):
        h.update(piece)
    return h.hexdigest()


names = sorted(os.listdir(FOLDER))
for name in names:
    path = os.path.join(FOLDER, name)
    with open(path, "rb") as f:
        want = digest(f)
        f.seek(0)
        saved = default_storage.save(f"uploads/ä +%/{name}", File(f))
    assert saved == f"uploads/ä +%/{name}", saved
    assert default_storage.exists(saved) and default_storage.size(saved) == os.path.getsize(path)
    with default_storage.open(saved, "rb") as back:
        assert digest(back) == want, name
        size = os.path.getsize(path)
        back.seek(max(size - 10, 0))
        with open(path, "rb") as f:
            f.seek(max(size - 10, 0))
            assert back.read() == f.read(), name
    with urllib.request.urlopen(default_storage.url(saved)) as back:
        assert digest(back) == want, name
folders, files = default_storage.listdir("uploads/ä +%")
assert (folders, sorted(files)) == ([], names), (folders, files)
folders, files = default_storage.listdir("many")
assert (folders, len(files)) == ([], 1050), (folders, len(files))

# Written in pieces, as parts. Where it compresses, django-storages asks for the new file first.
plain = S3Boto3Storage(gzip=False)
body = os.urandom(17 << 20)
with plain.open("in pieces", "wb") as out:
    for at in range(0, len(body), 1 << 20):
        out.write(body[at : at + (1 << 20)])
with plain.open("in pieces", "rb") as back:
    assert back.read() == body

# A second file of a name gets another.
first = default_storage.save("same.txt", ContentFile(b"first"))
second = default_storage.save("same.txt", ContentFile(b"second"))
assert first == "same.txt" and second != first, second
for name, want in ((first, b"first"), (second, b"second")):
    with default_storage.open(name) as back:
        assert back.read() == want
    default_storage.delete(name)
    assert not default_storage.exists(name)
try:
    default_storage.open("absent", "rb").read()
except FileNotFoundError:
    pass
else:
    raise AssertionError("an absent file was read")

# The static files, under names with their digests, style sheets compressed.
call_command("collectstatic", interactive=False, verbosity=0)
with staticfiles_storage.open(staticfiles_storage.stored_name("images/large.bin")) as back, open(os.path.join(FOLDER, "17825792.bin"), "rb") as f:
    assert digest(back) == digest(f)
with staticfiles_storage.open(staticfiles_storage.stored_name("style.css")) as back:
    image = os.path.basename(staticfiles_storage.stored_name("images/large.bin"))
    assert back.read().decode() == STYLE.replace("images/large.bin", "images/" + image)
head = staticfiles_storage.connection.meta.client.head_object(Bucket=BUCKET, Key=staticfiles_storage.stored_name("style.css"))
assert head["ContentEncoding"] == "gzip" and head["ContentType"] == "text/css", head
print("passed")
