#!/usr/bin/python3
"""Decrypts what Sanctum Gateway stored, without Sanctum Gateway.

It needs the data folder of an embedded deployment (or copies of its keyring,
meta.db and blobs), Python 3.10 or later, and python3-cryptography. A keyring
file with a passphrase needs python3-argon2 too. Keep sanctum_format.py beside
this file. A deployment with named key providers needs them too: key files by
--provider NAME=FILE, key services by --provider-command NAME=COMMAND, which runs
COMMAND for each seed. It gets one line of JSON on its standard input, with all bytes in
hex: deployment, purpose, id, generation, context (docs/format.md, section 4) and wrapped.
It prints the seed in hex. It changes nothing in the data folder, and works best while the
gateway is stopped, or on copies, so that nothing changes under it.
"""

import argparse
import base64
import getpass
import hashlib
import hmac
import json
import os
import re
import shlex
import sqlite3
import subprocess
import sys
import stat
import tempfile
import unicodedata

from sanctum_format import (HEADER, Blob, BucketKeys, Corrupt, Keyring, Providers, WrongKey, group_digest, need,
                            open_manifest, open_part, part_groups, provider_context, sealed_size, split_completed_key)


# --- 10. a data folder ----------------------------------------------------------

class DataFolder:
    CUSTOMER = 2  # objects.encryption of SSE-C

    def __init__(self, path, keyring=None, passphrase=b"", customer=None, providers=None):
        self.path, self.customer = path, customer
        here = os.path.join(path, "keyring")
        # A deployment whose providers are all named may have no key file of its own.
        bare = read_keyring(keyring or here, passphrase) if keyring or os.path.lexists(here) or not providers else None
        self.keyring = Providers(providers or {}, bare)
        store = os.path.join(path, "meta.db")
        plain(store).close()
        self.db = open_store(store)
        self.db.text_factory = os.fsdecode  # a row may hold what is no UTF-8
        row = self.db.execute("SELECT id, seed FROM deployment").fetchone()
        if row is None:
            raise Corrupt("the store has no deployment")
        self.deployment, self.keys = blob_column(row[0], 16), {}
        columns = {column[1] for column in self.db.execute("PRAGMA table_info(objects)")}
        # Stores of the first release have no versions: all that is in them is current, and the null version.
        self.versioned = "null_version" in columns
        self.encryption = "encryption" if "encryption" in columns else "0"
        # Fails for a keyring of another deployment.
        self.keyring.unwrap(self.deployment, "system", self.deployment, 1, blob_column(row[1]))

    def buckets(self):
        """Ids by names, of which those that were edited may be of any type."""
        return {name: ident for ident, name in self.db.execute("SELECT id, name FROM buckets ORDER BY name")}

    def objects(self, bucket):
        """Yields (name, size) in order. Where the row was edited, either may be of any type."""
        yield from self.db.execute("SELECT key, size FROM objects WHERE bucket_id = ? ORDER BY key", (bucket,))

    def versions(self, bucket):
        """Yields (name, version, size, current) of all versions, the newest of a name first. A
        version is what clients call it; a size of None is that of a delete marker. What was edited
        is handed out as it is."""
        if not self.versioned:
            for name, size in self.objects(bucket):
                yield name, "null", size, True
            return
        rows = self.db.execute(
            "SELECT key, rank, null_version, version_id, size, 0, 1 FROM objects WHERE bucket_id = ?1"
            " UNION ALL SELECT key, rank, null_version, version_id, size, marker, 0 FROM versions WHERE bucket_id = ?1"
            " ORDER BY 1, 2", (bucket,))
        for name, _, null, ident, size, marker, current in rows:
            version = ident.hex() if isinstance(ident, bytes) else str(ident)
            yield name, "null" if null else version, None if marker else size, bool(current)

    def row(self, bucket, name, version):
        """The columns that open a version of an object; without version, the current one."""
        columns = "version_id, size, generation, wrapped_key, manifest, " + self.encryption
        which, values = " WHERE bucket_id = ? AND key = ?", [bucket, name]
        if version is None:
            row = self.db.execute("SELECT " + columns + " FROM objects" + which, values).fetchone()
            if row is None:
                raise KeyError("no such object")
            return row
        if self.versioned and version == "null":
            which += " AND null_version = 1"
        elif self.versioned:
            which += " AND null_version = 0 AND version_id = ?"
            values.append(version_id(version))
        elif version != "null":
            raise KeyError("no such version")
        row = self.db.execute("SELECT " + columns + " FROM objects" + which, values).fetchone()
        if row is None and self.versioned:
            row = self.db.execute("SELECT " + columns + " FROM versions" + which + " AND marker = 0", values).fetchone()
        if row is None:
            raise KeyError("no such version, or it is a delete marker")
        return row

    def bucket_keys(self, bucket, generation):
        if (bucket, generation) not in self.keys:
            row = self.db.execute("SELECT wrapped FROM bucket_seeds WHERE bucket_id = ? AND generation = ?",
                                  (bucket, generation)).fetchone()
            if row is None or row[0] is None:
                raise WrongKey("the seed of generation %d is gone" % generation)
            seed = self.keyring.unwrap(self.deployment, "bucket", bucket, generation, blob_column(row[0]))
            self.keys[bucket, generation] = BucketKeys(seed, self.deployment, bucket, generation)
        return self.keys[bucket, generation]

    def manifest(self, bucket, name, version=None):
        version, size, generation, wrapped, sealed, encryption = self.row(bucket, name, version)
        need(isinstance(generation, int) and 0 <= generation < 1 << 32, "a generation out of bounds")
        keys = self.bucket_keys(bucket, generation)
        if encryption == self.CUSTOMER and self.customer is None:
            raise WrongKey("cannot be opened without its customer's key (SSE-C): give it by --customer-key-file")
        wrap, parts_wrap = split_completed_key(blob_column(wrapped))
        if encryption == self.CUSTOMER and parts_wrap is None:
            key = keys.unwrap_customer_key(wrap, self.customer, blob_column(version, 16))
        else:
            key = keys.unwrap_key(wrap, blob_column(version, 16))
        m = open_manifest(key, self.deployment, bucket, name, version, blob_column(sealed))
        need(m.get("size", 0) == size, "the size in the row is not the manifest's")
        locked = "parts" in m and m["parts"]["key"] == bytes(32)
        need(locked == (parts_wrap is not None and encryption == self.CUSTOMER), "the row has other keys than the manifest demands")
        if locked:
            m["parts"]["key"] = keys.unwrap_customer_key(parts_wrap, self.customer, m["parts"]["upload"], "upload")
        return m

    def body(self, m):
        """Yields an object's bytes in pieces, each verified before it comes."""
        if "inline" in m:
            yield m["inline"]
        for extent in m.get("extents", []):
            yield from self.extent(extent)
        if "parts" in m:
            yield from self.parts(m["parts"])

    def parts(self, parts):
        for numbers, digest in zip(part_groups(parts), parts["groups"]):
            found = self.db.execute("SELECT number, attempt, size, record FROM parts WHERE upload_id = ?"
                                    " AND number BETWEEN ? AND ? ORDER BY number", (parts["upload"], numbers[0], numbers[-1]))
            chosen = set(numbers)
            rows = [row for row in found if row[0] in chosen]
            for _, attempt, size, record in rows:
                need(blob_column(attempt, 16) and blob_column(record) and isinstance(size, int) and size >= 0, "a part's row is damaged")
            if not hmac.compare_digest(group_digest(row[:3] for row in rows), digest):
                raise Corrupt("the rows of parts %d to %d are not the manifest's" % (numbers[0], numbers[-1]))
            for number, attempt, size, record in rows:
                r = open_part(parts["key"], self.deployment, parts["bucket"], parts["upload"], number, attempt, record)
                need(r.get("size", 0) == size, "the size in a part's row is not its record's")
                for extent in r.get("extents", []):
                    yield from self.extent(extent)

    def extent(self, extent):
        name = base64.b32hexencode(extent["blob"]).decode().lower()
        with plain(os.path.join(self.path, "blobs", "blobs", name[:2], name)) as f:
            def read(off, n):
                f.seek(off)
                return f.read(n)

            blob = Blob(self.deployment, extent, read)
            if read(0, HEADER) != blob.header or os.fstat(f.fileno()).st_size != sealed_size(blob.size):
                raise Corrupt("blob %s has another header or length" % name)
            yield from blob.range(extent.get("offset", 0), extent.get("length", 0))


class Command:
    """A key provider that another program asks."""

    TIMEOUT = 60  # seconds

    def __init__(self, command):
        self.command = command

    def unwrap(self, deployment, purpose, ident, generation, wrapped):
        context = provider_context(deployment, purpose, ident, generation)
        ask = {"deployment": deployment.hex(), "purpose": purpose, "id": ident.hex(), "generation": generation,
               "context": context.hex(), "wrapped": wrapped.hex()}
        try:
            done = subprocess.run(shlex.split(self.command), input=json.dumps(ask) + "\n", stdout=subprocess.PIPE, text=True,
                                  timeout=self.TIMEOUT, check=False)
        except (OSError, subprocess.TimeoutExpired) as e:
            raise WrongKey("%s: %s" % (self.command, e)) from None
        if done.returncode != 0:
            raise WrongKey("%s ended with status %d" % (self.command, done.returncode))
        if not re.fullmatch("[0-9a-f]{64}", done.stdout.strip()):
            raise WrongKey("%s did not print 32 bytes in hex" % self.command)
        return bytes.fromhex(done.stdout.strip())


def read_keyring(path, passphrase):
    with plain(path) as f:
        return Keyring(f.read(Keyring.MAX_FILE + 1), passphrase)


def read_providers(files, commands, passphrase):
    """The named providers of the command line."""
    named = {}
    for items, make in ((files, lambda path: read_named_keyring(path, passphrase)), (commands, Command)):
        for item in items:
            name, sign, rest = item.partition("=")
            if not sign or not name or not rest or name in named:
                raise KeyError("want NAME=FILE or NAME=COMMAND, each name once: " + item)
            named[name] = make(rest)
    return named


def read_named_keyring(path, passphrase):
    """One passphrase serves all files that have one."""
    with plain(path) as f:
        text = f.read(Keyring.MAX_FILE + 1)
    return Keyring(text, passphrase if b"\nargon2id " in text else b"")


def plain(path):
    """Opens a plain file, and waits for nothing, whatever the path leads to."""
    f = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    if not stat.S_ISREG(os.fstat(f.fileno()).st_mode):
        f.close()
        raise OSError("not a plain file: " + path)
    return f


def open_store(path):
    """Reads beside a running gateway, and makes no file: where there is no log,
    SQLite would leave one behind, owned by whoever ran this."""
    uri = "file:" + os.path.abspath(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    log = path + "-wal"
    if not os.path.exists(log):
        return sqlite3.connect(uri + "?immutable=1", uri=True)
    db = sqlite3.connect(uri + "?mode=ro", uri=True)
    try:
        db.execute("SELECT count(*) FROM deployment").fetchone()
        return db
    except sqlite3.OperationalError:
        # A log on a medium that cannot be written to: nothing is lost if it is empty.
        db.close()
        if os.path.getsize(log) > 0:
            raise
        return sqlite3.connect(uri + "?immutable=1", uri=True)


def blob_column(value, size=None):
    """A column as bytes; rows may have been edited."""
    need(isinstance(value, bytes) and size in (None, len(value)), "a row lacks a value, or it has another length")
    return value


def version_id(text):
    """What clients call a version: null, or the id in hexadecimal digits."""
    if not re.fullmatch("[0-9a-f]{32}", text):
        raise KeyError("a version is null or 32 hexadecimal digits: " + text)
    return bytes.fromhex(text)


# --- command line ---------------------------------------------------------------

def save(pieces, path):
    """Writes to a new file beside path, then gives it the name: never half an object."""
    fd, temporary = tempfile.mkstemp(prefix=".sanctum-", dir=os.path.dirname(os.path.abspath(path)))
    try:
        with os.fdopen(fd, "wb") as f:
            for piece in pieces:
                f.write(piece)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def component(p):
    """One path component for a piece of an object name. It can go nowhere else,
    and two pieces never get the same one: what a file system may not take is
    percent-encoded, and an end that is too long becomes a digest."""
    safe = re.sub(rb"[\x00-\x1f%/\x7f]", lambda c: b"%%%02x" % c[0][0], p)
    if len(safe) > 240:
        safe = safe[:160] + b"%" + hashlib.sha256(p).hexdigest().encode()
    return os.fsdecode({b"": b"%", b".": b"%2e", b"..": b"%2e%2e"}.get(safe, safe))


def make_path(folder, name):
    """The path to write an object to, its folders made. Where a folder's name is
    taken by an object (both `a` and `a/b` may be objects), it gets a % more."""
    pieces = [component(p) for p in name.split(b"/")]
    for p in pieces[:-1]:
        folder = os.path.join(folder, p)
        while os.path.lexists(folder) and not os.path.isdir(folder):
            folder += "%"
        os.makedirs(folder, exist_ok=True)
    return os.path.join(folder, pieces[-1])


def find_bucket(folder, name):
    buckets = folder.buckets()
    if os.fsencode(name) not in buckets:
        raise KeyError("no such bucket: " + name)
    return buckets[os.fsencode(name)]


# Control characters, those of C1 and of formatting, which turn the direction of text, other line
# ends, and bytes that are no UTF-8.
INVISIBLE = {"Cc", "Cf", "Zl", "Zp", "Cs"}


def printable(text):
    """One line for any text, or the bytes of any name: nothing in it moves a terminal's cursor or
    turns the order of what is shown."""
    if not isinstance(text, str):
        text = bytes(text).decode(errors="surrogateescape") if isinstance(text, bytes) else repr(text)

    def shown(c):
        if c == "\\":
            return "\\x5c"
        if unicodedata.category(c) not in INVISIBLE:
            return c
        if "\udc80" <= c <= "\udcff":
            return "\\x%02x" % (ord(c) - 0xDC00)
        return "\\x%02x" % ord(c) if c < "\x80" else "\\u%04x" % ord(c)

    return "".join(map(shown, text))


def say(text):
    """One line to standard output, whatever its encoding."""
    sys.stdout.buffer.write(text.encode() + b"\n")


def complain(text):
    """One line to standard error."""
    print(printable(text).replace("\\x5c", "\\"), file=sys.stderr)


def reason(error):
    """An exception in words. What Python itself raises over an edited row names its type."""
    if isinstance(error, KeyError) and error.args:
        return str(error.args[0])
    if isinstance(error, (Corrupt, WrongKey, OSError, sqlite3.Error)):
        return str(error)
    return "a row or a blob is damaged: %s: %s" % (type(error).__name__, error)


def run_list(folder, args):
    buckets = folder.buckets()
    if args.bucket:
        buckets = {os.fsencode(args.bucket): find_bucket(folder, args.bucket)}
    for bucket, ident in buckets.items():
        if args.versions:
            for name, version, size, _ in folder.versions(ident):
                size = "-" if size is None else printable(str(size))
                say("%s\t%s\t%s/%s" % (size, printable(version), printable(bucket), printable(name)))
            continue
        for name, size in folder.objects(ident):
            say("%s\t%s/%s" % (printable(str(size)), printable(bucket), printable(name)))
    return 0


def run_get(folder, args):
    bucket = find_bucket(folder, args.bucket)
    pieces = folder.body(folder.manifest(bucket, os.fsencode(args.key), args.version))
    if args.output:
        save(pieces, args.output)
    else:
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
    return 0


def wanted(folder, bucket, versions):
    """Yields (name, version) of what get-all writes; a version of None is the current one."""
    for name, _ in folder.objects(bucket):
        yield name, None
    if versions:
        for name, version, size, current in folder.versions(bucket):
            if not current and size is not None:
                yield name, version


def run_get_all(folder, args):
    failed = 0
    for bucket, ident in folder.buckets().items():
        for name, version in wanted(folder, ident, args.versions):
            try:
                need(isinstance(bucket, bytes) and isinstance(name, bytes), "the name in the row is none")
                need(version in (None, "null") or re.fullmatch("[0-9a-f]{32}", version), "the version in the row is none")
                root = os.path.join(args.folder, component(bucket))
                os.makedirs(root, exist_ok=True)
                path = make_path(root, name)
                if version is not None:
                    os.makedirs(path + "%v", exist_ok=True)  # no name of an object comes out as such
                    path = os.path.join(path + "%v", version)
                save(folder.body(folder.manifest(ident, name, version)), path)
            except Exception as e:  # a row may have been edited in any way, and the next one is not to suffer for it
                failed += 1
                complain("%s/%s: %s" % (printable(bucket), printable(name), reason(e)))
    if failed:
        complain("%d objects could not be written" % failed)
    return 1 if failed else 0


def parse_arguments(argv):
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", metavar="DIR", required=True, help="the gateway's data folder: keyring, meta.db and blobs")
    p.add_argument("--keyring", metavar="FILE", help="the keyring, if it is not in the data folder")
    p.add_argument("--provider", metavar="NAME=FILE", action="append", default=[], help="a key file that key_providers names NAME; repeatable")
    p.add_argument("--provider-command", metavar="NAME=COMMAND", action="append", default=[],
                   help="the command that asks the key service NAME for a seed; repeatable")
    p.add_argument("--passphrase-file", metavar="FILE", help="first line: the keyring's passphrase (needs python3-argon2); "
                   "without it, the environment variable SANCTUM_PASSPHRASE, or - to be asked", default="")
    p.add_argument("--customer-key-file", metavar="FILE", help="the key that clients sent with SSE-C objects: 32 bytes, or base64 of them")
    commands = p.add_subparsers(dest="command", required=True)
    c = commands.add_parser("list", help="sizes and names of all objects, or of one bucket's")
    c.add_argument("bucket", metavar="BUCKET", nargs="?")
    c.add_argument("--versions", action="store_true", help="all versions, with their ids between size and name, the newest first; "
                   "a delete marker has - for a size")
    c.set_defaults(run=run_list)
    c = commands.add_parser("get", help="decrypt one object, to standard output or a file")
    c.add_argument("bucket", metavar="BUCKET")
    c.add_argument("key", metavar="KEY")
    c.add_argument("--version", metavar="ID", help="one of the versions that list --versions shows, instead of the current one")
    c.add_argument("-o", "--output", metavar="FILE")
    c.set_defaults(run=run_get)
    c = commands.add_parser("get-all", help="decrypt every object into DIR/bucket/key; goes on after errors and exits 1")
    c.add_argument("folder", metavar="DIR")
    c.add_argument("--versions", action="store_true", help="also those that are not current, into DIR/bucket/key%%v/ID")
    c.set_defaults(run=run_get_all)
    return p.parse_args(argv)


def read_passphrase(path):
    if path == "-":
        return getpass.getpass("Passphrase: ").encode()
    if path:
        with plain(path) as f:
            return f.readline().rstrip(b"\r\n")
    return os.environb.get(b"SANCTUM_PASSPHRASE", b"")


def read_customer_key(path):
    if not path:
        return None
    with plain(path) as f:
        key = f.read(100)
    if len(key) != 32:
        try:
            key = base64.b64decode(key.strip(), validate=True)
        except ValueError:
            key = b""
    if len(key) != 32:
        raise WrongKey("%s holds neither 32 bytes nor base64 of them" % path)
    return key


def main(argv=None):
    args = parse_arguments(argv)
    try:
        passphrase = read_passphrase(args.passphrase_file)
        folder = DataFolder(args.data, args.keyring, passphrase, read_customer_key(args.customer_key_file),
                            read_providers(args.provider, args.provider_command, passphrase))
        return args.run(folder, args)
    except Exception as e:
        complain("sanctum_decrypt: " + reason(e))
        return 1


if __name__ == "__main__":
    sys.exit(main())
