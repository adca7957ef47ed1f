"""What GDAL's virtual file system does with a bucket. Called with the
bucket, which holds 1050 objects below many/; prints "passed" at the end."""

import os
import sys
import urllib.request

from osgeo import gdal

gdal.UseExceptions()
bucket = sys.argv[1]
root = "/vsis3/" + bucket + "/"


def read(path, at=0, size=None):
    f = gdal.VSIFOpenL(path, "rb")
    assert f, path
    gdal.VSIFSeekL(f, at, 0)
    body = gdal.VSIFReadL(1, size if size is not None else gdal.VSIStatL(path).size - at, f)
    gdal.VSIFCloseL(f)
    return bytes(body)


def write(path, pieces):
    f = gdal.VSIFOpenL(path, "wb")
    assert f, path
    for p in pieces:
        assert gdal.VSIFWriteL(p, 1, len(p), f) == len(p), path
    assert gdal.VSIFCloseL(f) == 0, path


# Streams: a small one, one that ends with a part, and one that does not.
mib = 1 << 20
for size in (1, 65537, 10 * mib, 12 * mib + 7):
    body = os.urandom(size)
    path = root + "files/%d" % size
    write(path, [body[i : i + 300_001] for i in range(0, size, 300_001)])
    assert gdal.VSIStatL(path).size == size, path
    assert read(path) == body, path
    for at in (0, size // 2, size - 1):
        assert read(path, at, 100) == body[at : at + 100], (path, at)

# Names.
for name in ("with space", "ünïcode/日本語", "plus+and%percent%25", "a&b=c"):
    write(root + "names/" + name, [name.encode()])
    gdal.VSICurlClearCache()
    assert read(root + "names/" + name).decode() == name
found = gdal.ReadDirRecursive(root + "names/")
assert sorted(f for f in found if not f.endswith("/")) == sorted(
    ["with space", "ünïcode/日本語", "plus+and%percent%25", "a&b=c"]
), found

# Folders in step, copies by the server, and renames.
folder = os.path.join(os.environ["HOME"], "folder")
os.makedirs(folder + "/sub")
for name in ("a", "sub/b"):
    with open(os.path.join(folder, name), "wb") as f:
        f.write(name.encode() * 1000)
assert gdal.Sync(folder + "/", root + "synced", options=["SYNC_STRATEGY=ETAG"])
assert read(root + "synced/sub/b") == b"sub/b" * 1000
assert gdal.Sync(root + "synced/", folder + "-back")
assert open(folder + "-back/sub/b", "rb").read() == b"sub/b" * 1000
assert gdal.Rename(root + "synced/a", root + "synced/c") == 0
gdal.VSICurlClearCache()
assert gdal.VSIStatL(root + "synced/a") is None
assert read(root + "synced/c") == b"a" * 1000

# A presigned URL.
url = gdal.GetSignedURL(root + "synced/c", ["EXPIRATION_DELAY=100"])
assert urllib.request.urlopen(url).read() == b"a" * 1000

# More than a page.
assert len(gdal.ReadDir(root + "many/", 5000)) == 1050
assert gdal.RmdirRecursive(root + "many") == 0
gdal.VSICurlClearCache()
assert not gdal.ReadDir(root + "many/")
assert gdal.Unlink(root + "synced/c") == 0
gdal.VSICurlClearCache()
assert gdal.VSIStatL(root + "synced/c") is None
print("passed")
