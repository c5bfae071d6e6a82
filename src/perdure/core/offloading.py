"""What happens to the payloads of runs on their way to Temporal: a value, no more."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias, cast

from perdure.core.jsons import Raw, shorten
from perdure.core.keyrings import FindKeys, Keyring, Whose
from perdure.core.ports import BlobStore
from perdure.core.wire import PAYLOAD_LIMIT
from perdure.errors import BadOption

LOCAL = "local"
"""Stands for the folder `blobs` in the data folder `.perdure` of the process."""
KIB, MIB, GIB = 1024, 1024**2, 1024**3
THRESHOLD = 128 * KIB
LARGEST = GIB
CACHE = 64 * MIB
Blobs: TypeAlias = str | BlobStore | Callable[[], BlobStore] | None


@dataclass(frozen=True, kw_only=True)
class Payloads:
    """How values are carried: what goes to a blob store, and the keys that encrypt.

    Give the same to every client and every worker: `perdure.client.connect(payloads=...)` and
    `perdure.Agents(payloads=...)`.
    """

    blobs: Blobs = LOCAL
    """Where a value over the threshold rests: a URL (`file:///srv/blobs`,
    `s3://bucket/prefix`, `postgresql://...`), a store, a function that makes one, or None for
    no store. By default the folder `.perdure/blobs`, which does for one machine."""
    keys: Keyring | FindKeys | str | None = field(default=None, repr=False)
    """AES-GCM keys: a `Keyring`, its text (`id2:BASE64,id1:BASE64`, the current one first), or
    a function of `Whose` that returns the ring of a tenant. None encrypts nothing."""
    threshold: int = THRESHOLD
    """Bytes from which on a value goes to the blob store."""
    largest: int = LARGEST
    """Bytes of the largest value that is carried; without a store what Temporal takes."""
    cache: int = CACHE
    """Bytes of blobs that a process keeps, so that a replay does not read them again."""

    def __post_init__(self) -> None:
        given = cast("Raw", self.keys)
        if isinstance(given, str):
            object.__setattr__(self, "keys", Keyring.parse(given))
        elif given is not None and not isinstance(given, Keyring) and not callable(given):
            raise BadOption(
                f"keys= is a {type(given).__name__}: give a perdure.Keyring, its text "
                "(id:BASE64,...) or a function that returns a Keyring"
            )
        for name in ("threshold", "largest", "cache"):
            size = getattr(self, name)
            if isinstance(size, bool) or not isinstance(size, int) or size < 0:
                raise BadOption(f"{name}={shorten(repr(size))}: a number of bytes")
        if self.threshold > PAYLOAD_LIMIT:
            raise BadOption(
                f"threshold={self.threshold:,}: at most {PAYLOAD_LIMIT:,}, which is what "
                "Temporal takes"
            )

    @property
    def local(self) -> bool:
        """Whether blobs go to the default folder, which only this machine can read."""
        return isinstance(self.blobs, str) and self.blobs == LOCAL

    @property
    def most(self) -> int:
        """Bytes of one value that can be carried."""
        return PAYLOAD_LIMIT if self.blobs is None else max(self.largest, PAYLOAD_LIMIT)

    @property
    def encrypts(self) -> bool:
        """Whether there are keys."""
        return self.keys is not None

    @property
    def seal(self) -> bytes:
        """What keys the digests that runs compare values by; empty without keys.

        It stays the same when keys are rotated. With a function for keys it is that of the ring
        that an unknown owner gets.
        """
        ring = self.ring(Whose())
        return b"" if ring is None else ring.seal

    def ring(self, whose: Whose) -> Keyring | None:
        """Return the keys of an owner."""
        keys = self.keys
        if keys is None or isinstance(keys, Keyring):
            return keys
        return cast("FindKeys", keys)(whose)
