"""AES-GCM: encrypt bytes with a key, bound to what stands beside them. Caller and worker side."""

import os
from collections.abc import Mapping
from importlib.util import find_spec

from perdure.core.keyrings import Key, Whose
from perdure.errors import KeyMissing, MissingExtra, Undecryptable

NONCE_BYTES = 12


def check_installed() -> None:
    """See that keys can be used.

    Raises:
        MissingExtra: The package `cryptography` is not installed.
    """
    if find_spec("cryptography") is None:
        raise MissingExtra("keys= needs the package cryptography: pip install 'perdure[crypto]'")


def bind(metadata: Mapping[str, bytes]) -> bytes:
    """Write metadata as associated data: in order, each part with its length."""
    parts = [part for name in sorted(metadata) for part in (name.encode(), metadata[name])]
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def encrypt(key: Key, data: bytes, metadata: Mapping[str, bytes]) -> bytes:
    """Encrypt; the nonce of 96 random bits comes first."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - an extra

    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key.secret).encrypt(nonce, data, bind(metadata))


def decrypt(key: Key, data: bytes, metadata: Mapping[str, bytes], *, what: str) -> bytes:
    """Decrypt what `encrypt` wrote beside the same metadata.

    Raises:
        Undecryptable: Key, bytes or metadata are others.
    """
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - an extra
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

    try:
        return AESGCM(key.secret).decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], bind(metadata))
    except (InvalidTag, ValueError) as error:
        raise Undecryptable(
            f"{what} does not decrypt with key {key.id!r}: the key of that id is another one "
            "here than where it was written, or the bytes were changed on the way. Nothing was "
            "done with it; the run goes on when the right key is there"
        ) from error


def missing(id: str, whose: Whose, *, what: str) -> KeyMissing:
    """Say which key is missing, and what to do."""
    owner = whose.workflow_id or whose.namespace
    at = "" if owner is None else f" (of {owner!r})"
    return KeyMissing(
        f"{what}{at} is encrypted with key {id!r}, which this process does not have. Add it "
        "behind the current one: PERDURE_KEYS or perdure.Payloads(keys=...). Nothing is lost: "
        "a run goes on when its worker has the key"
    )
