#!/usr/bin/python3
"""Test vectors of the sealed format, in the JSON of testdata/sealed/v1.

    vectors.py open FOLDER   opens every vector in FOLDER/vectors.json, and
                             refuses it with one thing changed
    vectors.py seal FOLDER   makes a new set with random keys in a new FOLDER

Sealing is only for tests: the gateway opens what this makes, so that reading
and writing are both checked against a second implementation.
"""

import hashlib
import hmac
import json
import os
import sys

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

import sanctum_format as f


def pattern(size):
    return bytes((i * 7 + (i >> 8)) & 255 for i in range(size))


# --- sealing ------------------------------------------------------------------

def gcm_seal(key, plain, aad):
    nonce = os.urandom(12)
    return nonce + AESGCM(key).encrypt(nonce, plain, aad)


def wrap(key, generation, purpose, aad, secret):
    salt = os.urandom(32)
    k, commit = f.wrap_keys(key, generation, purpose, aad, salt)
    head = b"\x01" + f.u32(generation) + salt + commit
    return head + gcm_seal(k, secret, head)


def seal_record(key, plain, aad, version=1):
    n1 = os.urandom(12)
    return bytes([version]) + n1 + gcm_seal(f.xaes_subkey(key, n1), plain, aad)


def encode_varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def encode(schema, message):
    out = b""
    for num, (name, kind, repeated) in sorted(schema.items()):
        for value in (message.get(name, []) if repeated else [message[name]] if name in message else []):
            if kind is int:
                out += encode_varint(num << 3) + encode_varint(value)
                continue
            body = encode(kind, value) if isinstance(kind, dict) else value
            out += encode_varint(num << 3 | 2) + encode_varint(len(body)) + body
    return out


def seal_blob(deployment, blob, key, plain):
    """Returns iv, tag and the sealed bytes."""
    iv, aad = os.urandom(32), f.bind("sanctum/1/blob", deployment, blob)

    def derive(k, purpose, n):
        return HKDFExpand(hashes.SHA384(), n, f.PARAMS + iv + purpose + aad).derive(k)

    tag = derive(key, b"HEADER_TAG:", 32)
    k0 = derive(derive(key, b"MESSAGE_KEY:", 48), b"DEK:" + f.u64(0), 32)
    out = f.PARAMS + iv + tag
    pieces = [plain[i:i + f.SEGMENT] for i in range(0, len(plain), f.SEGMENT)] or [b""]
    for i, p in enumerate(pieces):
        last = i == len(pieces) - 1
        out += (f.u32(len(p) + f.OVERHEAD) if last else b"\xff" * 4) + gcm_seal(k0, p, f.u64(i) + bytes([last]))
    return iv, tag, out


def keyring_text(keys, primary, passphrase=b""):
    text, seal = b"sanctum-keyring 1\n# made by a test\n", lambda ident, key: key
    if passphrase:
        from argon2.low_level import Type, hash_secret_raw
        salt = os.urandom(16)
        sealing = hash_secret_raw(passphrase, salt, 1, 8192, 2, 32, Type.ID)
        text += b"argon2id 1 8192 2 %s\n" % salt.hex().encode()
        seal = lambda ident, key: wrap(sealing, 0, "keyring-passphrase", ident, key)
    text += b"primary %s\n" % primary.hex().encode()
    for ident, key in keys.items():
        text += b"key %s %s\n" % (ident.hex().encode(), seal(ident, key).hex().encode())
    return text + b"sum %s\n" % hashlib.sha256(text).hexdigest().encode()


# --- messages as JSON: text as text, other bytes as hex -------------------------

BINARY = {"value", "blob", "key", "iv", "tag", "bucket", "upload", "md5", "inline"}


def from_json(schema, value):
    out = {}
    for name, kind, repeated in schema.values():
        if name not in value:
            continue
        def one(v):
            if isinstance(kind, dict):
                return from_json(kind, v)
            if kind is int:
                return v
            binary = name in BINARY or isinstance(kind, int)
            return bytes.fromhex(v) if binary and schema is not f.PAIR else v.encode()
        out[name] = [one(v) for v in value[name]] if repeated else one(value[name])
    return out


EXTENT = {"blob": "01" * 20, "key": "02" * 32, "iv": "03" * 32, "tag": "04" * 32, "blob_size": 100, "offset": 10, "length": 50}
MANIFESTS = [
    {},
    {"size": 3, "etag": "900150983cd24fb0d6963f7d28e17f72", "inline": "616263"},
    {"size": 90, "etag": "x", "checksum": {"algorithm": "CRC32C", "type": "FULL_OBJECT", "value": "01020304"},
     "content_type": "text/plain", "content_encoding": "gzip", "content_language": "de", "content_disposition": "inline",
     "cache_control": "no-store", "expires": "0", "website_redirect": "/x", "storage_class": "STANDARD",
     "metadata": [{"name": "b", "value": "\u00fc"}, {"name": "a"}], "tags": [{"name": "k", "value": "v"}],
     "extents": [EXTENT, dict(EXTENT, offset=60, length=40)]},
    {"size": 2007, "parts": {"bucket": "05" * 16, "upload": "06" * 16, "key": "07" * 32, "groups": ["08" * 32, "09" * 32],
     "runs": [{"first": 1, "count": 100, "size": 10}, {"first": 200, "count": 100, "size": 10}, {"first": 10000, "count": 1, "size": 7}]},
     "checksum": {"algorithm": "SHA256", "type": "COMPOSITE", "value": "0a" * 32, "parts": 201}},
]
PARTS = [{"md5": "00" * 16},
         {"size": 50, "md5": "0b" * 16, "checksum": {"algorithm": "SHA1", "value": "0c" * 20}, "extents": [EXTENT]}]
LIST_RECORDS = [{}, {"etag": "e-2", "owner": "o", "checksum_algorithm": "CRC64NVME", "checksum_type": "FULL_OBJECT"}]
ROWS = [
    {"size": 1 << 40, "modified": 1_700_000_000_000_000, "body_kind": 1, "body": "0d" * 20, "etag": "e-2",
     "checksum_algorithm": "SHA1", "checksum_type": "COMPOSITE"},
    {"null": True, "modified": -1, "class": "GLACIER_IR", "encryption": 2, "lock_mode": 2, "lock_until": 1_900_000_000_000_001,
     "lock_hold": True, "body_kind": 2, "body": "0e" * 16, "revision": 300, "marks": "0f" * 60, "etag": "e"},
    {"marker": True},
]
NO_ROW = {"null": False, "marker": False, "size": 0, "modified": 0, "class": "", "encryption": 0, "lock_mode": 0, "lock_until": None,
          "lock_hold": False, "body_kind": 0, "body": "", "revision": 0, "marks": "", "etag": "", "checksum_algorithm": "", "checksum_type": ""}
BLOB_SIZES = (0, 1, 65535, 65536, 65537)


def columns(r):
    """A row of a vector as open_whole_record takes it."""
    row = dict(r, **{"class": r["class"].encode()})
    for name in ("owner", "body", "marks"):
        row[name] = bytes.fromhex(r[name])
    return row


def whole_record(r):
    """What the list record of a vector's row holds."""
    record = {name: r[name].encode() for name in ("etag", "checksum_algorithm", "checksum_type") if r[name]}
    return dict(record, rest=f.row_digest(columns(r)))


def seal_whole(keys, name, version, r):
    row, g = columns(r), f.u32(keys.generation)
    aad = f.bind("sanctum/2/list", keys.deployment, keys.bucket, name, version, g, bytes([row["null"] + 2 * row["marker"]]),
                 row["owner"], f.i64(row["size"]), f.i64(row["modified"]), row["class"])
    return g + seal_record(keys.list, encode(f.WHOLE_RECORD, whole_record(r)), aad, 2)


def seal_envelope(slots, secret, context):
    """slots as a list of (name, wrapped)."""
    out = b"\x02" + bytes([len(slots)])
    for name, wrapped in slots:
        out += bytes([len(name)]) + name.encode() + len(wrapped).to_bytes(2, "big") + wrapped
    return out + f.envelope_tag(secret, context, out) if len(slots) > 1 else out


def seal(folder):
    os.mkdir(folder)
    rnd = os.urandom
    d, bucket, seed, generation = rnd(16), rnd(16), rnd(32), 3
    keys = f.BucketKeys(seed, d, bucket, generation)
    v = {"made_by": "python", "deployment": d.hex(), "bucket": bucket.hex(), "seed": seed.hex(), "generation": generation}

    def add(what, **fields):
        v.setdefault(what, []).append({k: x.hex() if isinstance(x, bytes) else x for k, x in fields.items()})

    rings = []
    for passphrase in ("", "correct horse"):
        ids = [rnd(16), rnd(16)]
        keks = {i: rnd(32) for i in ids}
        rings.append((ids[1], keks[ids[1]]))
        add("keyrings", passphrase=passphrase, text=keyring_text(keks, ids[1], passphrase.encode()).decode())
        for i in ids:
            ident, secret = rnd(16), rnd(32)
            aad = i + f.provider_context(d, "bucket", ident, 9)
            add("providers", keyring=len(v["keyrings"]) - 1, purpose="bucket", id=ident, generation=9, secret=secret,
                wrapped=b"\x01" + i + wrap(keks[i], 9, "keyring", aad, secret))
    for names in (("file",), ("file", "second-2")):
        ident, secret = rnd(16), rnd(32)
        context = f.provider_context(d, "bucket", ident, 9)
        slots = [(name, b"\x01" + i + wrap(kek, 9, "keyring", i + context, secret)) for name, (i, kek) in zip(names, rings)]
        add("envelopes", providers={name: at for at, name in enumerate(names)}, purpose="bucket", id=ident, generation=9,
            secret=secret, wrapped=seal_envelope(slots, secret, context))
    for secret in (b"", b"s", rnd(100)):
        key, aad = rnd(32), rnd(len(secret))
        add("wraps", key=key, generation=1 << 31, purpose="p", aad=aad, secret=secret, wrap=wrap(key, 1 << 31, "p", aad, secret))
    for purpose in ("version", "upload"):
        ident, key = rnd(16), rnd(32)
        aad = f.bind("sanctum/1/object-key", d, bucket, ident)
        add("object_keys", id=ident, purpose=purpose, key=key, wrap=wrap(keys.wrapping, generation, purpose, aad, key))
    system = f.hkdf256(seed, f.bind("sanctum/1/system-wrapping-key", d, f.u32(generation)), 32)
    aad = f.bind("sanctum/1/credential", d, b"AKIA", b"user")
    add("credentials", access_key="AKIA", user="user", secret=b"secret", wrapped=wrap(system, generation, "credential", aad, b"secret"))
    for purpose in ("version", "upload"):
        ident, key, customer = rnd(16), rnd(32), rnd(32)
        aad = f.bind("sanctum/1/object-key", d, bucket, ident)
        inner = wrap(customer, 0, purpose + "/customer", aad, key)
        add("customer_keys", id=ident, purpose=purpose, key=key, customer=customer,
            wrap=wrap(keys.wrapping, generation, purpose + "/customer", aad, inner))
    version, upload, key, parts_key, customer = rnd(16), rnd(16), rnd(32), rnd(32), rnd(32)
    aad = f.bind("sanctum/1/object-key", d, bucket, upload)
    inner = wrap(customer, 0, "upload/customer", aad, parts_key)
    add("completed_keys", id=version, upload=upload, key=key, parts_key=parts_key, customer=customer,
        wrap=wrap(keys.wrapping, generation, "version", f.bind("sanctum/1/object-key", d, bucket, version), key) +
        wrap(keys.wrapping, generation, "upload/customer", aad, inner))
    for kind in ("marks", "setting"):
        name, version, plain = rnd(20), rnd(16), rnd(40)
        bound = (name,) if kind == "setting" else (name, version)
        aad = f.bind("sanctum/1/" + kind, d, bucket, *bound, f.u32(generation))
        add("under_list_key", kind=kind, name=name, version=version, plain=plain,
            sealed=f.u32(generation) + seal_record(keys.list, plain, aad))
    aad = f.bind("sanctum/1/document", d, b"identity", b"an id")
    add("documents", kind="identity", id=b"an id", plain=b"{}", sealed=wrap(system, generation, "identity", aad, b"{}"))
    for r in LIST_RECORDS:
        name, version = rnd(20), rnd(16)
        aad = f.bind("sanctum/1/list", d, bucket, name, version, f.u32(generation))
        add("list_records", name=name, version=version, record=r,
            sealed=f.u32(generation) + seal_record(keys.list, encode(f.LIST_RECORD, from_json(f.LIST_RECORD, r)), aad))
    for r in ROWS:
        name, version, r = rnd(20), rnd(16), dict(NO_ROW, owner=rnd(16).hex()) | r
        add("whole_records", name=name, version=version, digest=whole_record(r)["rest"], sealed=seal_whole(keys, name, version, r), **r)
    for purpose in ("version", "upload"):
        for m in MANIFESTS:
            key, name, ident = rnd(32), rnd(20), rnd(16)
            aad = f.bind("sanctum/1/manifest", d, bucket, name, ident, purpose.encode())
            add("manifests", key=key, purpose=purpose, name=name, id=ident, manifest=m,
                sealed=seal_record(key, encode(f.MANIFEST, from_json(f.MANIFEST, m)), aad))
    for r in PARTS:
        key, upload, attempt = rnd(32), rnd(16), rnd(16)
        aad = f.bind("sanctum/1/part", d, bucket, upload, f.u32(10000), attempt)
        add("parts", key=key, upload=upload, number=10000, attempt=attempt, record=r,
            sealed=seal_record(key, encode(f.PART_RECORD, from_json(f.PART_RECORD, r)), aad))
    rows = [(i + 1, rnd(16), i * 1000) for i in range(5)]
    add("groups", parts=[[n, a.hex(), s] for n, a, s in rows], digest=f.group_digest(rows))
    for size in BLOB_SIZES:
        blob, key = rnd(20), rnd(32)
        iv, tag, sealed = seal_blob(d, blob, key, pattern(size))
        add("blobs", blob=blob, key=key, iv=iv, tag=tag, blob_size=size)
        with open(os.path.join(folder, "blob-%d.bin" % size), "wb") as out:
            out.write(sealed)
    with open(os.path.join(folder, "vectors.json"), "w") as out:
        json.dump(v, out, indent=1)
        out.write("\n")


# --- opening ------------------------------------------------------------------

def refused(call, *args):
    try:
        call(*args)
    except (f.Corrupt, f.WrongKey):
        return
    raise SystemExit("accepted with one thing changed: %s" % call)


def check(condition, *what):
    if not condition:
        raise SystemExit("differs: %s" % (what,))


def mutated(sealed):
    """A few damaged copies."""
    for i in sorted({0, 1, 5, 40, len(sealed) // 2, len(sealed) - 1} & set(range(len(sealed)))):
        yield sealed[:i] + bytes([sealed[i] ^ 1]) + sealed[i + 1:]
        yield sealed[:i]
    yield sealed + b"\0"


def opens(open_it, sealed, want):
    check(open_it(sealed) == want, open_it(sealed), want)
    for bad in mutated(sealed):
        refused(open_it, bad)


def open_all(folder):
    with open(os.path.join(folder, "vectors.json")) as file:
        v = json.load(file)
    h = bytes.fromhex
    d, bucket, seed, generation = h(v["deployment"]), h(v["bucket"]), h(v["seed"]), v["generation"]
    keys = f.BucketKeys(seed, d, bucket, generation)
    rings = []
    for k in v["keyrings"]:
        rings.append(f.Keyring(k["text"].encode(), k["passphrase"].encode()))
        refused(f.Keyring, k["text"].encode(), b"x")
        for i in range(len(k["text"])):
            refused(f.Keyring, k["text"][:i].encode(), k["passphrase"].encode())
    for p in v["providers"]:
        ring, context = rings[p["keyring"]], (p["purpose"], h(p["id"]), p["generation"])
        opens(lambda b: ring.unwrap(d, *context, b), h(p["wrapped"]), h(p["secret"]))
        refused(ring.unwrap, d, p["purpose"], h(p["id"]), p["generation"] + 1, h(p["wrapped"]))
        refused(rings[1 - p["keyring"]].unwrap, d, *context, h(p["wrapped"]))
    for e in v.get("envelopes", []):
        open_envelope(d, rings, e)
    for w in v["wraps"]:
        opens(lambda b: f.unwrap(h(w["key"]), w["generation"], w["purpose"], h(w["aad"]), b), h(w["wrap"]), h(w["secret"]))
        refused(f.unwrap, h(w["key"]), w["generation"], w["purpose"], h(w["aad"]) + b"x", h(w["wrap"]))
    for k in v["object_keys"]:
        opens(lambda b: keys.unwrap_key(b, h(k["id"]), k["purpose"]), h(k["wrap"]), h(k["key"]))
        refused(keys.unwrap_key, h(k["wrap"]), d, k["purpose"])
    for c in v["credentials"]:
        opens(lambda b: f.system_unwrap(seed, d, generation, c["access_key"], c["user"], b), h(c["wrapped"]), h(c["secret"]))
    # Sets that were frozen before there were any have none of these.
    for k in v.get("customer_keys", []):
        opens(lambda b: keys.unwrap_customer_key(b, h(k["customer"]), h(k["id"]), k["purpose"]), h(k["wrap"]), h(k["key"]))
        refused(keys.unwrap_customer_key, h(k["wrap"]), bytes(32), h(k["id"]), k["purpose"])
        refused(keys.unwrap_customer_key, h(k["wrap"]), h(k["customer"]), d, k["purpose"])
        refused(keys.unwrap_key, h(k["wrap"]), h(k["id"]), k["purpose"])
    for k in v.get("completed_keys", []):
        version, parts = f.split_completed_key(h(k["wrap"]))
        opens(lambda b: keys.unwrap_key(b, h(k["id"])), version, h(k["key"]))
        opens(lambda b: keys.unwrap_customer_key(b, h(k["customer"]), h(k["upload"]), "upload"), parts, h(k["parts_key"]))
        refused(keys.unwrap_customer_key, parts, bytes(32), h(k["upload"]), "upload")
        refused(keys.unwrap_customer_key, parts, h(k["customer"]), h(k["id"]), "upload")
        for whole in (version, parts, b""):
            check(f.split_completed_key(whole) == (whole, None), "a key of another layout")
    openers = {"marks": keys.open_marks, "setting": lambda name, version, b: keys.open_setting(name, b)}
    for r in v.get("under_list_key", []):
        opens(lambda b: openers[r["kind"]](h(r["name"]), h(r["version"]), b), h(r["sealed"]), h(r["plain"]))
        refused(openers[r["kind"]], h(r["name"]) + b"x", h(r["version"]), h(r["sealed"]))
    for r in v.get("documents", []):
        opens(lambda b: f.open_document(seed, d, generation, r["kind"], h(r["id"]), b), h(r["sealed"]), h(r["plain"]))
    for r in v["list_records"]:
        opens(lambda b: keys.open_list_record(h(r["name"]), h(r["version"]), b), h(r["sealed"]), from_json(f.LIST_RECORD, r["record"]))
    for r in v.get("whole_records", []):
        open_whole(keys, r)
    for m in v["manifests"]:
        opens(lambda b: f.open_manifest(h(m["key"]), d, bucket, h(m["name"]), h(m["id"]), b, m["purpose"]),
              h(m["sealed"]), from_json(f.MANIFEST, m["manifest"]))
    for p in v["parts"]:
        opens(lambda b: f.open_part(h(p["key"]), d, bucket, h(p["upload"]), p["number"], h(p["attempt"]), b),
              h(p["sealed"]), from_json(f.PART_RECORD, p["record"]))
        refused(f.open_part, h(p["key"]), d, bucket, h(p["upload"]), p["number"] - 1, h(p["attempt"]), h(p["sealed"]))
    for g in v["groups"]:
        check(hmac.compare_digest(f.group_digest((n, h(a), s) for n, a, s in g["parts"]), h(g["digest"])), "group digest")
    for b in v["blobs"]:
        open_blob(folder, d, b)
    print("%s: %s vectors open" % (folder, v["made_by"]))


def open_envelope(d, rings, e):
    """Opens an envelope with all of its providers and with each alone, and with no other."""
    h, named = bytes.fromhex, {name: rings[at] for name, at in e["providers"].items()}
    what = (d, e["purpose"], h(e["id"]), e["generation"])
    for some in [named] + [{name: ring} for name, ring in named.items()]:
        opens(lambda b: f.Providers(some).unwrap(*what, b), h(e["wrapped"]), h(e["secret"]))
        refused(f.Providers(some).unwrap, d, e["purpose"], h(e["id"]), e["generation"] + 1, h(e["wrapped"]))
    refused(f.Providers({}, rings[0]).unwrap, *what, h(e["wrapped"]))
    refused(f.Providers({"other": rings[0]}).unwrap, *what, h(e["wrapped"]))
    for _, slot in f.open_envelope(h(e["wrapped"])):
        refused(f.Providers(named).unwrap, *what, slot)


def open_whole(keys, r):
    """Opens a whole list record, and refuses it for a row with one column changed."""
    name, version, sealed, row = bytes.fromhex(r["name"]), bytes.fromhex(r["version"]), bytes.fromhex(r["sealed"]), columns(r)
    opens(lambda b: keys.open_whole_record(name, version, row, b), sealed, whole_record(r))
    check(whole_record(r)["rest"].hex() == r["digest"], "digest of a row")
    for column in NO_ROW.keys() - {"etag", "checksum_algorithm", "checksum_type"} | {"owner"}:
        was = row[column]
        other = was[:-1] + b"?" if isinstance(was, bytes) else not was if isinstance(was, bool) else (was or 0) + 1
        refused(keys.open_whole_record, name, version, dict(row, **{column: other}), sealed)
    refused(keys.open_whole_record, name + b"x", version, row, sealed)
    refused(keys.open_list_record, name, version, sealed)


def open_blob(folder, d, b):
    size = b["blob_size"]
    with open(os.path.join(folder, "blob-%d.bin" % size), "rb") as file:
        sealed = file.read()
    extent = {k: bytes.fromhex(b[k]) for k in ("blob", "key", "iv", "tag")}
    extent["blob_size"] = size

    def blob(data):
        return f.Blob(d, extent, lambda off, n: data[off:off + n])

    check(len(sealed) == f.sealed_size(size) and blob(sealed).header == sealed[:f.HEADER], "header or length")
    edges = [e for e in (0, 1, 65535, 65536, 65537) if e <= size]
    for start in edges:
        for end in edges:
            if start <= end:
                check(b"".join(blob(sealed).range(start, end - start)) == pattern(size)[start:end], size, start, end)
    check(blob(sealed).segment(f.segments(size) - 1) is not None)
    for bad in mutated(sealed):
        if bad[:f.HEADER] == sealed[:f.HEADER] and len(bad) <= len(sealed) and size > 0:
            refused(lambda: list(blob(bad).range(0, size)))
    refused(f.Blob, d, dict(extent, blob=bytes(20)), None)
    refused(f.Blob, d, dict(extent, key=bytes(32)), None)


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in ("seal", "open"):
        sys.exit(__doc__)
    (seal if sys.argv[1] == "seal" else open_all)(sys.argv[2])
