#!/usr/bin/python3
"""Asks Google Cloud KMS for a seed, for sanctum_decrypt.py --provider-command NAME=./ask_gcpkms.py.

It gets the line that sanctum_decrypt.py writes, and prints the seed in hex (docs/format.md,
4.4). The access token is in the environment variable GOOGLE_ACCESS_TOKEN, or else gcloud is
asked for it. CLOUDKMS_ENDPOINT is the service's address, if it is not Google's. It asks for
the key that the wrap names: compare it with your own when somebody else could have
edited the store. It needs Python 3.10 or later and nothing else.
"""

import base64
import hashlib
import hmac
import json
import os
import re
import subprocess
import sys
import urllib.request

NAME = re.compile(r"(projects/[a-z0-9.:-]+/locations/[a-z0-9-]+/keyRings/[\w-]+/cryptoKeys/[\w-]+)/cryptoKeyVersions/[1-9][0-9]*", re.ASCII)
MAX_ANSWER = 1 << 16
TIMEOUT = 30


def hmac_sha256(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()


def parse(wrapped):
    """The key's name, the ciphertext, and the tag with what it proves."""
    if len(wrapped) < 35 or wrapped[0] != 1:
        raise ValueError("this was not wrapped by Google Cloud KMS")
    proven, tag = wrapped[:-32], wrapped[-32:]
    n = int.from_bytes(proven[1:3], "big")
    m = NAME.fullmatch(proven[3:3 + n].decode("ascii"))
    if not m:
        raise ValueError("the wrap has no name of a key's version")
    return m.group(1), proven[3 + n:], proven, tag


def token():
    given = os.environ.get("GOOGLE_ACCESS_TOKEN")
    if given:
        return given
    return subprocess.run(["gcloud", "auth", "print-access-token"], stdout=subprocess.PIPE, text=True, timeout=TIMEOUT, check=True).stdout.strip()


def decrypt(key, ciphertext, context):
    body = {"ciphertext": base64.b64encode(ciphertext).decode(), "additionalAuthenticatedData": base64.b64encode(context).decode()}
    url = "%s/v1/%s:decrypt" % (os.environ.get("CLOUDKMS_ENDPOINT", "https://cloudkms.googleapis.com"), key)
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Authorization": "Bearer " + token(), "Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
        return base64.b64decode(json.loads(answer.read(MAX_ANSWER))["plaintext"])


def main():
    asked = json.loads(sys.stdin.readline())
    context = bytes.fromhex(asked["context"])
    key, ciphertext, proven, tag = parse(bytes.fromhex(asked["wrapped"]))
    seed = decrypt(key, ciphertext, context)
    k = hmac_sha256(hmac_sha256(bytes(32), seed), b"sanctum/1/gcpkms" + context + b"\x01")  # RFC 5869 for one block
    if not hmac.compare_digest(hmac_sha256(k, proven), tag):
        raise ValueError("the tag is wrong: the wrap was damaged")
    print(seed.hex())


if __name__ == "__main__":
    try:
        main()
    except Exception as e:
        sys.exit("ask_gcpkms: %s" % e)
