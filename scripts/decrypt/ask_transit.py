#!/usr/bin/python3
"""Opens one seed with the Transit engine of OpenBao or Vault, for sanctum_decrypt.py:

    sanctum_decrypt.py --provider-command "kms=./ask_transit.py [MOUNT]" ...

VAULT_ADDR, VAULT_TOKEN, VAULT_NAMESPACE and VAULT_CACERT are those of the bao and vault
commands. The token needs update on MOUNT/decrypt/KEY. docs/format.md, section 4.5, has the
layout that this reads.
"""

import base64
import json
import os
import re
import ssl
import sys
import urllib.error
import urllib.request

MAX_ANSWER = 64 << 10  # bytes
TIMEOUT = 30  # seconds


def split(wrapped):
    """Returns the name of the key, its version and the ciphertext."""
    n = 2 + wrapped[1]
    version = int.from_bytes(wrapped[n:n + 4], "big")
    key = wrapped[2:n].decode("ascii")
    if wrapped[0] != 1 or not re.fullmatch(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,126}[A-Za-z0-9_])?", key) \
            or not 0 < version < 1 << 31 or len(wrapped) != n + 4 + 28 + 32:
        raise ValueError("no seed that a provider of type vault wrapped")
    return key, version, wrapped[n + 4:]


def main():
    mount = sys.argv[1] if len(sys.argv) > 1 else "transit"
    question = json.loads(sys.stdin.readline())
    key, version, ciphertext = split(bytes.fromhex(question["wrapped"]))
    body = {"ciphertext": "vault:v%d:%s" % (version, base64.b64encode(ciphertext).decode()),
            "context": base64.b64encode(bytes.fromhex(question["context"])).decode()}
    headers = {"X-Vault-Token": os.environ["VAULT_TOKEN"], "X-Vault-Request": "true", "Content-Type": "application/json"}
    if os.environ.get("VAULT_NAMESPACE"):
        headers["X-Vault-Namespace"] = os.environ["VAULT_NAMESPACE"].strip("/")
    request = urllib.request.Request("%s/v1/%s/decrypt/%s" % (os.environ["VAULT_ADDR"].rstrip("/"), mount, key),
                                     json.dumps(body).encode(), headers, method="POST")
    trust = ssl.create_default_context(cafile=os.environ.get("VAULT_CACERT") or None)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT, context=trust) as answer:
            got = json.loads(answer.read(MAX_ANSWER))
    except urllib.error.HTTPError as e:
        sys.exit("HTTP %d: %s" % (e.code, e.read(MAX_ANSWER).decode(errors="replace").strip()))
    seed = base64.b64decode(got["data"]["plaintext"], validate=True)
    if len(seed) != 32:
        sys.exit("the answer has no seed")
    print(seed.hex())


if __name__ == "__main__":
    main()
