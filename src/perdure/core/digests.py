"""Name bytes by what they are: the digests of the message chain and of blobs."""

import base64
import hashlib
import json

from perdure.core.jsons import Json

SIZE = 16
"""Bytes of a digest: nobody finds two texts of one digest by trying 2**64 of them."""


def digest(data: bytes, *, seal: bytes = b"") -> str:
    """Return the digest of bytes: 22 characters of [0-9a-zA-Z_-].

    `seal` is a secret of up to 64 bytes. With it nobody who does not know it can tell from a
    digest which text it names.
    """
    made = hashlib.blake2b(data, digest_size=SIZE, key=seal).digest()
    return base64.urlsafe_b64encode(made)[:22].decode("ascii")


def digest_of_text(text: str, *, seal: bytes = b"") -> str:
    """Return the digest of a text; lone surrogates are texts too."""
    return digest(text.encode("utf-8", "surrogatepass"), seal=seal)


def canonical(value: Json) -> bytes:
    """Write a JSON value as its digest is made of; the order of keys is a part of it."""
    return json.dumps(value, separators=(",", ":")).encode("ascii")


def digest_of_json(value: Json, *, seal: bytes = b"") -> str:
    """Return the digest of a JSON value."""
    return digest(canonical(value), seal=seal)
