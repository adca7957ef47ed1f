"""The sealed format of Sanctum Gateway, for reading: keyring files, wraps,
records, manifests, parts and blobs.

Written from docs/format.md, whose section numbers stand in the comments; it
shares no code with the gateway. It touches no files, no network and no clock.
"""

import hashlib
import hmac
import re
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand


class Corrupt(Exception):
    """Bytes fail authentication or are not of a known format."""


class WrongKey(Exception):
    """The key, or what the thing is bound to, is another one."""


# --- 1. conventions ---------------------------------------------------------

def u32(n):
    return struct.pack(">I", n)


def u64(n):
    return struct.pack(">Q", n)


def i64(n):
    return struct.pack(">q", n)


def bind(label, *fields):
    out = b""
    for field in (label.encode("ascii"),) + fields:
        out += u32(len(field)) + field
    return out


def hkdf256(key, info, length, salt=None):
    return HKDF(hashes.SHA256(), length, salt, info).derive(key)


def gcm_open(key, sealed, aad, what):
    """Opens nonce || ciphertext || tag."""
    if len(sealed) < 28:
        raise Corrupt(what + " is too short")
    try:
        return AESGCM(key).decrypt(sealed[:12], sealed[12:], aad)
    except InvalidTag:
        raise Corrupt(what + " does not authenticate") from None


# --- 2. wraps ---------------------------------------------------------------

WRAP_OVERHEAD = 97


def wrap_generation(wrap):
    if len(wrap) < WRAP_OVERHEAD or wrap[0] != 1:
        raise Corrupt("not a wrap of version 1")
    return struct.unpack(">I", wrap[1:5])[0]


def wrap_keys(key, generation, purpose, aad, salt):
    info = bind("sanctum/1/wrap", purpose.encode(), u32(generation), hashlib.sha256(aad).digest())
    out = hkdf256(key, info, 64, salt)
    return out[:32], out[32:]


def unwrap(key, generation, purpose, aad, wrap):
    if wrap_generation(wrap) != generation:
        raise WrongKey("a %s wrap is of another generation" % purpose)
    k, commit = wrap_keys(key, generation, purpose, aad, wrap[5:37])
    if not hmac.compare_digest(commit, wrap[37:69]):
        raise WrongKey("the commitment of a %s wrap differs" % purpose)
    return gcm_open(k, wrap[69:], wrap[:69], "a %s wrap" % purpose)


# --- 3. records -------------------------------------------------------------

def xaes_subkey(key, n1):
    def block(b):
        e = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
        return e.update(b) + e.finalize()

    n = int.from_bytes(block(bytes(16)), "big") << 1
    if n >> 128:
        n ^= 1 << 128 ^ 0x87
    k1 = n.to_bytes(16, "big")
    return b"".join(block(bytes(a ^ b for a, b in zip(bytes([0, i, 0x58, 0]) + n1, k1))) for i in (1, 2))


def open_record(key, record, aad, version=1):
    if len(record) < 41 or record[0] != version:
        raise Corrupt("not a record of version %d" % version)
    return gcm_open(xaes_subkey(key, record[1:13]), record[13:], aad, "a record")


# --- 4. key providers -------------------------------------------------------

def provider_context(deployment, purpose, ident, generation):
    return bind("sanctum/1/provider", deployment, purpose.encode(), ident, u32(generation))


def parse_hex(text, size, what):
    if not re.fullmatch("[0-9a-f]{%d}" % (2 * size), text):
        raise Corrupt("keyring: %s is not %d bytes of hex" % (what, size))
    return bytes.fromhex(text)


class Keyring:
    """The key-encryption keys of a keyring file, section 4.1."""

    MAX_FILE, MAX_KEYS = 65536, 100

    def __init__(self, text, passphrase=b""):
        if len(text) > self.MAX_FILE:
            raise Corrupt("keyring: the file is too large")
        at = text.rfind(b"\nsum ") + 1
        if at == 0 or text[at:] != b"sum " + hashlib.sha256(text[:at]).hexdigest().encode() + b"\n":
            raise Corrupt("keyring: the file is damaged or was edited (its sum differs)")
        self.cost, self.primary, stored = None, None, {}
        lines = text[:at].decode("latin-1").split("\n")[:-1]
        if lines[0] != "sanctum-keyring 1":
            raise Corrupt("keyring: not a file of version 1")
        for line in lines[1:]:
            self._line(line.split(" "), line, stored)
        if self.primary not in stored:
            raise Corrupt("keyring: no primary key")
        self.keys = self._open(stored, passphrase)

    def _line(self, words, line, stored):
        head = self.primary is None
        if head and line.startswith("#"):
            return
        if head and words[0] == "argon2id" and len(words) == 5 and self.cost is None:
            if not all(re.fullmatch("[1-9][0-9]{0,9}", w) for w in words[1:4]):
                raise Corrupt("keyring: bad Argon2id line")
            time, memory, threads = map(int, words[1:4])
            if time > 16 or not 8192 <= memory <= 1048576 or threads > 16:
                raise Corrupt("keyring: Argon2id cost out of bounds")
            self.cost = (time, memory, threads, parse_hex(words[4], 16, "the salt"))
        elif head and words[0] == "primary" and len(words) == 2:
            self.primary = parse_hex(words[1], 16, "the primary id")
        elif not head and words[0] == "key" and len(words) == 3:
            ident = parse_hex(words[1], 16, "a key id")
            if ident in stored or len(stored) == self.MAX_KEYS:
                raise Corrupt("keyring: a key id comes twice, or there are too many")
            stored[ident] = parse_hex(words[2], 32 + (WRAP_OVERHEAD if self.cost else 0), "a key")
        else:
            raise Corrupt("keyring: unexpected line")

    def _open(self, stored, passphrase):
        if self.cost is None:
            if passphrase:
                raise WrongKey("the keyring has no passphrase, but one was given")
            return stored
        if not passphrase:
            raise WrongKey("the keyring has a passphrase, and none was given")
        try:
            from argon2.low_level import Type, hash_secret_raw
        except ImportError:
            raise SystemExit("A keyring with a passphrase needs Argon2: install python3-argon2 (Debian, Ubuntu) or argon2-cffi (pip).") from None
        time, memory, threads, salt = self.cost
        sealing = hash_secret_raw(passphrase, salt, time, memory, threads, 32, Type.ID, 19)
        try:
            return {i: unwrap(sealing, 0, "keyring-passphrase", i, wrap) for i, wrap in stored.items()}
        except WrongKey:
            raise WrongKey("the passphrase does not open the keyring") from None

    def unwrap(self, deployment, purpose, ident, generation, wrapped):
        """Section 4.2."""
        if len(wrapped) < 17 or wrapped[0] != 1:
            raise Corrupt("not wrapped by a keyring")
        key_id = wrapped[1:17]
        if key_id not in self.keys:
            raise WrongKey("key %s is not in the keyring" % key_id.hex())
        aad = key_id + provider_context(deployment, purpose, ident, generation)
        return unwrap(self.keys[key_id], generation, "keyring", aad, wrapped[17:])


MAX_SLOTS, MAX_WRAPPED = 8, 16384


def is_envelope(wrapped):
    return wrapped[:1] == b"\x02"


def open_envelope(b):
    """Section 4.3: the slots as a list of (provider, wrapped). The tag is proven by Providers."""
    if not is_envelope(b) or len(b) < 2 or not 1 <= b[1] <= MAX_SLOTS:
        raise Corrupt("not an envelope, or one with an impossible number of slots")
    at, slots = 2, []

    def field(size):
        nonlocal at
        n = int.from_bytes(b[at:at + size], "big")
        start, at = at + size, at + size + n
        if at > len(b):
            raise Corrupt("an envelope is cut short")
        return b[start:at]

    for _ in range(b[1]):
        name, wrapped = field(1), field(2)
        if not re.fullmatch(rb"[a-z]([a-z0-9-]{0,30}[a-z0-9])?", name) or not 1 <= len(wrapped) <= MAX_WRAPPED:
            raise Corrupt("an envelope has a slot out of bounds")
        slots.append((name.decode(), wrapped))
    if len(dict(slots)) != len(slots) or len(b) - at != (32 if len(slots) > 1 else 0):
        raise Corrupt("an envelope names a provider twice, or has another length")
    return slots


def envelope_tag(secret, context, head):
    return hmac.digest(hkdf256(secret, bind("sanctum/1/envelope", context), 32), head, "sha256")


class Providers:
    """Several providers by name, each with an unwrap as Keyring has it. bare is the one of
    secrets without an envelope, or None."""

    def __init__(self, named, bare=None):
        self.named, self.bare = named, bare

    def unwrap(self, deployment, purpose, ident, generation, wrapped):
        what = (deployment, purpose, ident, generation)
        if not is_envelope(wrapped):
            if self.bare is None:
                raise WrongKey("wrapped by a keyring without a name, and none is there")
            return self.bare.unwrap(*what, wrapped)
        failed = []
        for name, slot in open_envelope(wrapped):
            if name not in self.named:
                failed.append("provider %s: give it by --provider or --provider-command" % name)
                continue
            try:
                secret = self.named[name].unwrap(*what, slot)
            except (Corrupt, WrongKey) as e:
                failed.append("provider %s: %s" % (name, e))
                continue
            if wrapped[1] > 1 and not hmac.compare_digest(envelope_tag(secret, provider_context(*what), wrapped[:-32]), wrapped[-32:]):
                raise Corrupt("a slot of an envelope was changed, added or removed")
            return secret
        raise WrongKey("; ".join(failed))


# --- 5. and 6. keys of a bucket ----------------------------------------------

COMPLETED_KEY = 129, 226  # bytes of the two wraps


def split_completed_key(wrapped):
    """The key of a version that was completed of an SSE-C upload without its
    customer's key is two wraps: of the object key and of the key of the parts.
    The second is None for every other version."""
    first, second = COMPLETED_KEY
    if len(wrapped) != first + second:
        return wrapped, None
    return wrapped[:first], wrapped[first:]


class BucketKeys:
    def __init__(self, seed, deployment, bucket, generation):
        self.deployment, self.bucket, self.generation = deployment, bucket, generation
        what = (deployment, bucket, u32(generation))
        self.wrapping = hkdf256(seed, bind("sanctum/1/bucket-wrapping-key", *what), 32)
        self.list = hkdf256(seed, bind("sanctum/1/bucket-list-key", *what), 32)

    def unwrap_key(self, wrap, ident, purpose="version"):
        aad = bind("sanctum/1/object-key", self.deployment, self.bucket, ident)
        key = unwrap(self.wrapping, self.generation, purpose, aad, wrap)
        if len(key) != 32:
            raise Corrupt("an object key of %d bytes" % len(key))
        return key

    def unwrap_customer_key(self, wrap, customer, ident, purpose="version"):
        """The object key of an SSE-C object: wrapped under both keys."""
        aad = bind("sanctum/1/object-key", self.deployment, self.bucket, ident)
        inner = unwrap(self.wrapping, self.generation, purpose + "/customer", aad, wrap)
        try:
            key = unwrap(customer, 0, purpose + "/customer", aad, inner)
        except WrongKey:
            raise WrongKey("sealed with another customer's key (SSE-C)") from None
        if len(key) != 32:
            raise Corrupt("an object key of %d bytes" % len(key))
        return key

    def open_under_list(self, what, sealed, *bound):
        if sealed[:4] != u32(self.generation):
            raise WrongKey("%s is of another generation" % what)
        aad = bind(what, self.deployment, self.bucket, *bound, u32(self.generation))
        return open_record(self.list, sealed[4:], aad)

    def open_list_record(self, name, version, sealed):
        return decode(LIST_RECORD, self.open_under_list("sanctum/1/list", sealed, name, version))

    def open_whole_record(self, name, version, row, sealed):
        """Opens the second form of a list record, which vouches for the columns of its row."""
        if sealed[:4] != u32(self.generation):
            raise WrongKey("a whole list record is of another generation")
        flags = bytes([row["null"] | row["marker"] << 1])
        aad = bind("sanctum/2/list", self.deployment, self.bucket, name, version, u32(self.generation),
                   flags, row["owner"], i64(row["size"]), i64(row["modified"]), row["class"])
        record = decode(WHOLE_RECORD, open_record(self.list, sealed[4:], aad, 2))
        if not hmac.compare_digest(record["rest"], row_digest(row)):
            raise Corrupt("a row is not what its list record says")
        return record

    def open_marks(self, name, version, sealed):
        return self.open_under_list("sanctum/1/marks", sealed, name, version)

    def open_setting(self, name, sealed):
        return self.open_under_list("sanctum/1/setting", sealed, name)


def row_digest(row):
    """The digest of the columns that listings do not read. lock_until is None where there is none."""
    until = b"" if row["lock_until"] is None else i64(row["lock_until"])
    lock = bytes([row["encryption"], row["lock_mode"], row["lock_hold"]])
    return hashlib.sha256(bind("sanctum/2/row", lock, until, bytes([row["body_kind"]]) + row["body"],
                               i64(row["revision"]), row["marks"])).digest()


def open_document(seed, deployment, generation, kind, ident, sealed):
    key = hkdf256(seed, bind("sanctum/1/system-wrapping-key", deployment, u32(generation)), 32)
    aad = bind("sanctum/1/document", deployment, kind.encode(), ident)
    return unwrap(key, generation, kind, aad, sealed)


def system_unwrap(seed, deployment, generation, access_key, user, wrap):
    key = hkdf256(seed, bind("sanctum/1/system-wrapping-key", deployment, u32(generation)), 32)
    aad = bind("sanctum/1/credential", deployment, access_key.encode(), user.encode())
    return unwrap(key, generation, "credential", aad, wrap)


# --- 9. encoding of plaintexts ------------------------------------------------
#
# A schema maps field numbers to (name, type, repeated): int, bytes, a number of
# bytes that is always written, or another schema. Messages become dicts that
# hold only the fields present; repeated ones become lists.

PAIR = {1: ("name", bytes, False), 2: ("value", bytes, False)}
CHECKSUM = {1: ("algorithm", bytes, False), 2: ("type", bytes, False), 3: ("value", bytes, False), 4: ("parts", int, False)}
EXTENT = {1: ("blob", 20, False), 2: ("key", 32, False), 3: ("iv", 32, False), 4: ("tag", 32, False),
          5: ("blob_size", int, False), 6: ("offset", int, False), 7: ("length", int, False)}
RUN = {1: ("first", int, False), 2: ("count", int, False), 3: ("size", int, False)}
PARTS = {1: ("bucket", 16, False), 2: ("upload", 16, False), 3: ("key", 32, False),
         4: ("runs", RUN, True), 5: ("groups", 32, True)}
HEADERS = ("content_type", "content_encoding", "content_language", "content_disposition",
           "cache_control", "expires", "website_redirect", "storage_class")
MANIFEST = {1: ("size", int, False), 2: ("etag", bytes, False), 3: ("checksum", CHECKSUM, False),
            12: ("metadata", PAIR, True), 13: ("tags", PAIR, True), 14: ("inline", bytes, False),
            15: ("extents", EXTENT, True), 16: ("parts", PARTS, False)}
MANIFEST.update({4 + i: (name, bytes, False) for i, name in enumerate(HEADERS)})
PART_RECORD = {1: ("size", int, False), 2: ("md5", 16, False), 3: ("checksum", CHECKSUM, False), 4: ("extents", EXTENT, True)}
LIST_RECORD = {1: ("etag", bytes, False), 2: ("owner", bytes, False),
               3: ("checksum_algorithm", bytes, False), 4: ("checksum_type", bytes, False)}
WHOLE_RECORD = {1: ("etag", bytes, False), 3: ("checksum_algorithm", bytes, False), 4: ("checksum_type", bytes, False),
                5: ("rest", 32, False)}


def varint(b, at):
    n = shift = 0
    for i in range(at, min(at + 10, len(b))):
        n |= (b[i] & 0x7F) << shift
        shift += 7
        if b[i] < 0x80:
            if n >> 64 or b[i] == 0 and i > at:
                break
            return n, i + 1
    raise Corrupt("a bad varint")


def decode(schema, b):
    out, at, last = {}, 0, 0
    while at < len(b):
        tag, at = varint(b, at)
        num, wire = tag >> 3, tag & 7
        if num not in schema or num < last or num == last and not schema[num][2]:
            raise Corrupt("field %d is unknown or out of order" % num)
        last = num
        name, kind, repeated = schema[num]
        value, at = varint(b, at)
        if value == 0 or wire != (0 if kind is int else 2):
            raise Corrupt("field %s is empty or of another type" % name)
        if kind is not int:
            if value > len(b) - at:
                raise Corrupt("field %s is cut short" % name)
            value, at = b[at:at + value], at + value
            if isinstance(kind, dict):
                value = decode(kind, value)
            elif kind is not bytes and len(value) != kind:
                raise Corrupt("field %s is not %d bytes" % (name, kind))
        if repeated:
            out.setdefault(name, []).append(value)
        else:
            out[name] = value
    for name, kind, repeated in schema.values():
        if type(kind) is int and not repeated and name not in out:
            raise Corrupt("field %s is missing" % name)
    return out


MAX_SIZE, MAX_RECORD, MAX_TEXT = 1 << 56, 8 << 20, 65536
CHECKSUMS = {b"CRC32": 4, b"CRC32C": 4, b"CRC64NVME": 8, b"SHA1": 20, b"SHA256": 32, b"SHA512": 64,
             b"MD5": 16, b"XXHASH64": 8, b"XXHASH3": 8, b"XXHASH128": 16}


def need(condition, complaint):
    if not condition:
        raise Corrupt(complaint)


def check_checksum(c):
    if c is None:
        return
    need(c.get("algorithm") in CHECKSUMS, "unknown checksum algorithm")
    need(len(c.get("value", b"")) in (0, CHECKSUMS[c["algorithm"]]), "checksum of another length")
    need(c.get("type", b"") in (b"", b"FULL_OBJECT", b"COMPOSITE"), "unknown checksum type")
    need(c.get("parts", 0) <= 10000, "checksum of too many parts")


def extents_size(extents):
    need(len(extents) <= 10000, "too many extents")
    total = 0
    for e in extents:
        size, off, length = e.get("blob_size", 0), e.get("offset", 0), e.get("length", 0)
        need(size <= MAX_SIZE and off + length <= size, "an extent is not within its blob")
        total += length
    need(total <= MAX_SIZE, "extents are too long")
    return total


def parts_size(parts):
    following, count, total = 1, 0, 0
    for r in parts.get("runs", []):
        first, n, size = r.get("first", 0), r.get("count", 0), r.get("size", 0)
        need(following <= first and n >= 1 and first + n <= 10001 and size <= MAX_SIZE // 10000, "part runs out of order or bounds")
        following, count, total = first + n, count + n, total + n * size
    need(count > 0 and total <= MAX_SIZE, "parts out of bounds")
    need(len(parts.get("groups", [])) == (count + 127) // 128, "part groups do not match the parts")
    return total


def check_manifest(m):
    for pairs in (m.get("metadata", []), m.get("tags", [])):
        need(len(pairs) <= 4096, "too many pairs")
        for p in pairs:
            need(p.get("name") and len(p["name"]) <= MAX_TEXT and len(p.get("value", b"")) <= MAX_TEXT, "a pair out of bounds")
    need(all(len(m.get(h, b"")) <= MAX_TEXT for h in HEADERS + ("etag",)), "a header is too long")
    check_checksum(m.get("checksum"))
    sizes = []
    if "inline" in m:
        need(len(m["inline"]) <= 1 << 20, "the inline body is too long")
        sizes.append(len(m["inline"]))
    if "extents" in m:
        sizes.append(extents_size(m["extents"]))
    if "parts" in m:
        sizes.append(parts_size(m["parts"]))
    need((sizes or [0]) == [m.get("size", 0)], "the size is not the body's, or there are several bodies")


# --- 7. manifests and parts ---------------------------------------------------

def open_manifest(key, deployment, bucket, name, ident, sealed, purpose="version"):
    plain = open_record(key, sealed, bind("sanctum/1/manifest", deployment, bucket, name, ident, purpose.encode()))
    need(len(plain) <= MAX_RECORD, "a manifest is too large")
    m = decode(MANIFEST, plain)
    check_manifest(m)
    return m


def open_part(key, deployment, bucket, upload, number, attempt, sealed):
    plain = open_record(key, sealed, bind("sanctum/1/part", deployment, bucket, upload, u32(number), attempt))
    need(len(plain) <= MAX_RECORD, "a part record is too large")
    r = decode(PART_RECORD, plain)
    check_checksum(r.get("checksum"))
    need(extents_size(r.get("extents", [])) == r.get("size", 0), "a part's size is not its extents'")
    return r


def group_digest(rows):
    """rows: (number, attempt, size) of each part in turn."""
    return hashlib.sha256(b"".join(u32(n) + attempt + u64(size) for n, attempt, size in rows)).digest()


def part_groups(parts):
    """The part numbers of each group."""
    numbers = [r["first"] + i for r in parts["runs"] for i in range(r["count"])]
    return [numbers[i:i + 128] for i in range(0, len(numbers), 128)]


# --- 8. blobs -----------------------------------------------------------------

SEGMENT, OVERHEAD, HEADER = 65536, 32, 74
PARAMS = b"\x00\x00" + u32(SEGMENT + OVERHEAD) + u32(32)


def segments(size):
    return max(1, -(-size // SEGMENT))


def sealed_size(size):
    return HEADER + size + OVERHEAD * segments(size)


class Blob:
    """One blob, to be read in any range. read(offset, n) delivers its bytes."""

    def __init__(self, deployment, extent, read):
        self.size, self.read = extent.get("blob_size", 0), read
        self.head = PARAMS + extent["iv"]
        self.aad = bind("sanctum/1/blob", deployment, extent["blob"])
        tag = self._derive(extent["key"], b"HEADER_TAG:", 32)
        if not hmac.compare_digest(tag, extent["tag"]):
            raise WrongKey("the header tag of blob %s differs" % extent["blob"].hex())
        self.header = self.head + tag
        self.key = self._derive(extent["key"], b"MESSAGE_KEY:", 48)
        self.epoch, self.gcm = None, None

    def _derive(self, key, purpose, length):
        return HKDFExpand(hashes.SHA384(), length, self.head + purpose + self.aad).derive(key)

    def segment(self, i):
        last = i == segments(self.size) - 1
        length = (self.size - i * SEGMENT if last else SEGMENT) + OVERHEAD
        sealed = self.read(HEADER + i * (SEGMENT + OVERHEAD), length)
        if len(sealed) != length or sealed[:4] != (u32(length) if last else b"\xff" * 4):
            raise Corrupt("segment %d is cut short or not in its place" % i)
        if self.epoch != i >> 20:
            self.epoch = i >> 20
            self.gcm = AESGCM(self._derive(self.key, b"DEK:" + u64(self.epoch << 20), 32))
        try:
            return self.gcm.decrypt(sealed[4:16], sealed[16:], u64(i) + bytes([last]))
        except InvalidTag:
            raise Corrupt("segment %d does not authenticate" % i) from None

    def range(self, off, length):
        """Yields plaintext [off, off+length) in pieces, each verified."""
        end = off + length
        if off < 0 or end > self.size:
            raise Corrupt("a range outside its blob")
        if off == end:
            return
        for i in range(off // SEGMENT, (end - 1) // SEGMENT + 1):
            plain = self.segment(i)
            yield plain[max(0, off - i * SEGMENT):end - i * SEGMENT]
