"""Keys that payloads are encrypted with, and who they belong to. Values only; no cipher here."""

import hashlib
import hmac
import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from perdure.errors import BadOption

SECRET_BYTES = 32
"""AES-256."""
SEAL_ENTRY = "seal"
"""The id under which a written key ring carries its seal; no key may have it."""
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_LEAST_SEAL = 16


@dataclass(frozen=True)
class Key:
    """One AES-256 key. Its id stands in every payload, readable for everybody."""

    id: str
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id) or self.id == SEAL_ENTRY:
            raise BadOption(
                f"key id {self.id!r}: 1 to 64 letters, digits, '_', '-' and '.', and not "
                f"{SEAL_ENTRY!r}"
            )
        if len(self.secret) != SECRET_BYTES:
            raise BadOption(
                f"key {self.id!r} has {len(self.secret)} bytes: {SECRET_BYTES} are needed; make "
                "one with `perdure codec --new-key`"
            )

    def derive(self, purpose: str) -> bytes:
        """Derive 32 bytes for one purpose (HKDF with SHA-256, without a salt)."""
        root = hmac.digest(bytes(32), self.secret, "sha256")
        return hmac.digest(root, f"perdure {purpose}".encode() + b"\x01", "sha256")


@dataclass(frozen=True)
class Keyring:
    """The keys of one tenant: the first encrypts, all decrypt.

    To rotate, put a new key in front. An old one may go when no run within retention was
    written with it. `seal` keys the digests that runs compare values by, which must stay the
    same while runs are under way: by default it is derived from the last key, the oldest, so
    name it when that one goes (`Keyring.seal` of the ring before, or `perdure codec --seal`).
    """

    keys: Sequence[Key]
    seal: bytes = field(default=b"", repr=False, kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "keys", tuple(self.keys))
        ids = [key.id for key in self.keys]
        if not ids:
            raise BadOption("a key ring without keys: give at least one, the current one first")
        if twice := sorted({i for i in ids if ids.count(i) > 1}):
            raise BadOption(f"key id {twice[0]!r} stands twice in a key ring")
        if self.seal and len(self.seal) < _LEAST_SEAL:
            raise BadOption(f"a seal of {len(self.seal)} bytes: at least {_LEAST_SEAL} are needed")
        if not self.seal:
            object.__setattr__(self, "seal", self.keys[-1].derive("seal"))

    @property
    def current(self) -> Key:
        """The key that encrypts."""
        return self.keys[0]

    def find(self, id: str) -> Key | None:
        """Return a key by its id."""
        return next((key for key in self.keys if key.id == id), None)

    @staticmethod
    def parse(text: str) -> "Keyring":
        """Read keys as they stand in a variable or a file.

        `id2:BASE64,id1:BASE64`, the current one first; new lines do as well as commas, `#`
        begins a comment, and `seal:BASE64` names the seal.

        Raises:
            BadOption: The text names the entry, never its secret.
        """
        keys: list[Key] = []
        seal = b""
        lines = (line.partition("#")[0] for line in text.splitlines())
        entries = [e.strip() for line in lines for e in line.split(",")]
        for number, entry in enumerate(filter(None, entries), 1):
            name, colon, secret = entry.partition(":")
            if not colon:
                raise BadOption(f"entry {number} of the keys has no colon: write id:BASE64")
            found = _bytes(name, secret)
            if name == SEAL_ENTRY:
                seal = found
            else:
                keys.append(Key(name, found))
        return Keyring(keys, seal=seal)


def _bytes(name: str, text: str) -> bytes:
    plain = text.strip().replace("-", "+").replace("_", "/")
    try:
        return b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (NotBase64, ValueError):
        raise BadOption(f"key {name!r} is no base64") from None


@dataclass(frozen=True, kw_only=True)
class Whose:
    """What is known about a payload when its keys are looked for."""

    namespace: str | None = None
    workflow_id: str | None = None
    """None where Temporal does not say it, as at the codec endpoint."""
    key: str | None = None
    """The key id that the payload was written with; None when one is to be written."""


FindKeys: TypeAlias = Callable[[Whose], Keyring | None]
"""A hook that chooses the keys of a tenant; None leaves what is written in plain."""


def digest_name(data: bytes, *, seal: bytes) -> str:
    """Name content by its digest: 256 bits in hexadecimal, keyed if there is a seal."""
    return hashlib.blake2b(data, digest_size=32, key=seal).hexdigest()
