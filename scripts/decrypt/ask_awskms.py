#!/usr/bin/python3
"""Asks AWS KMS for a seed: a --provider-command of sanctum_decrypt.py.

    sanctum_decrypt.py --data FOLDER --provider-command kms=scripts/decrypt/ask_awskms.py list

It needs python3-boto3, the permission kms:Decrypt, and a credential in one of AWS's usual
places. What a multi-Region key wrapped names no region: give one by --region.
docs/format.md, section 4.6, has the format.
"""

import argparse
import hashlib
import json
import re
import sys

ARN = re.compile(r"arn:(aws[a-z-]{0,20}):kms:([a-z0-9-]{0,64}):([0-9]{12}):key/([A-Za-z0-9-]{1,128})")


def read_wrapped(wrapped):
    """Returns the parts of the key's ARN, and the ciphertext."""
    body, checksum = wrapped[:-8], wrapped[-8:]
    if len(body) < 3 or body[0] != 1 or hashlib.sha256(body).digest()[:8] != checksum:
        sys.exit("ask_awskms: not wrapped by AWS KMS, or damaged")
    end = 3 + int.from_bytes(body[1:3], "big")
    arn = ARN.fullmatch(body[3:end].decode("ascii", "replace"))
    if end > len(body) or arn is None or (arn[2] == "") != arn[4].startswith("mrk-"):
        sys.exit("ask_awskms: the wrapped seed names no key of AWS KMS")
    return arn, body[end:]


def main():
    p = argparse.ArgumentParser(description="Asks AWS KMS for a seed.")
    p.add_argument("--region", help="region to ask about multi-Region keys")
    p.add_argument("--endpoint", help="URL of the service; default: AWS's")
    p.add_argument("--profile", help="profile in AWS's shared files")
    args = p.parse_args()
    try:
        import boto3
        import botocore.exceptions
    except ImportError:
        sys.exit("ask_awskms: boto3 is missing: install python3-boto3")

    question = json.loads(sys.stdin.readline())
    arn, ciphertext = read_wrapped(bytes.fromhex(question["wrapped"]))
    region = arn[2] or args.region
    if not region:
        sys.exit("ask_awskms: a multi-Region key wrapped the seed: give --region")
    try:
        kms = boto3.Session(profile_name=args.profile).client("kms", region_name=region, endpoint_url=args.endpoint)
        answer = kms.decrypt(
            KeyId=f"arn:{arn[1]}:kms:{region}:{arn[3]}:key/{arn[4]}",
            CiphertextBlob=ciphertext,
            EncryptionContext={
                "sanctum:deployment": question["deployment"],
                "sanctum:purpose": question["purpose"],
                "sanctum:id": question["id"],
                "sanctum:generation": str(question["generation"]),
            })
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as e:
        sys.exit(f"ask_awskms: {e}")
    print(answer["Plaintext"].hex())


if __name__ == "__main__":
    main()
