#!/usr/bin/python3
"""Opens one seed with the token of a hardware security module, for sanctum_decrypt.py:

    sanctum_decrypt.py --provider-command "hsm=./ask_pkcs11.py MODULE TOKEN KEY PINFILE" ...

MODULE is the path of the vendor's PKCS#11 library, TOKEN the label of the token, KEY the
label of the keys, and PINFILE has the user's PIN. It needs python3-pykcs11. docs/format.md,
section 4.7, has the layout that this reads.
"""

import json
import sys

import PyKCS11


def split(wrapped):
    """Returns the id of the key, the nonce and the sealed seed."""
    n = 2 + wrapped[1]
    if wrapped[0] != 1 or not 1 <= wrapped[1] <= 64 or len(wrapped) != n + 12 + 32 + 16:
        raise ValueError("no seed that a provider of type pkcs11 wrapped")
    return wrapped[2:n], wrapped[n:n + 12], wrapped[n + 12:]


def main():
    module, token, label, pin_file = sys.argv[1:]
    question = json.loads(sys.stdin.readline())
    key_id, nonce, sealed = split(bytes.fromhex(question["wrapped"]))
    lib = PyKCS11.PyKCS11Lib()
    lib.load(module)
    slots = [s for s in lib.getSlotList(tokenPresent=True) if lib.getTokenInfo(s).label.rstrip(" \0") == token]
    if len(slots) != 1:
        sys.exit("%d slots have the token" % len(slots))
    session = lib.openSession(slots[0])
    with open(pin_file, encoding="ascii") as f:
        session.login(f.read().rstrip("\r\n"))
    keys = session.findObjects([(PyKCS11.CKA_CLASS, PyKCS11.CKO_SECRET_KEY), (PyKCS11.CKA_KEY_TYPE, PyKCS11.CKK_AES),
                                (PyKCS11.CKA_LABEL, label), (PyKCS11.CKA_ID, tuple(key_id))])
    if len(keys) != 1:
        sys.exit("the token has %d keys %s with id %s" % (len(keys), label, key_id.hex()))
    seed = bytes(session.decrypt(keys[0], sealed, PyKCS11.AES_GCM_Mechanism(nonce, bytes.fromhex(question["context"]), 128)))
    if len(seed) != 32:
        sys.exit("the token answered with no seed")
    print(seed.hex())


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError, PyKCS11.PyKCS11Error) as e:
        sys.exit("ask_pkcs11: %s" % e)
