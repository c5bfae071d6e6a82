"""Carry payloads: encrypt them, and lay large ones into a blob store. Caller and worker side.

One Temporal payload codec for everything that crosses: inputs, results, signals, queries,
heartbeats, failures, memos, summaries. An encrypted payload is `perdure/aes-gcm` with the
key's id; a large one is `perdure/blob` with the name of its blob. Everything else stays as it
was, so histories from before are read as ever.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self, TypeVar, cast

from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    ActivitySerializationContext,
    DataConverter,
    DefaultFailureConverter,
    PayloadCodec,
    SerializationContext,
    WithSerializationContext,
    WorkflowSerializationContext,
)

from perdure.core.jsons import Raw
from perdure.core.keyrings import Key, Whose, digest_name
from perdure.core.offloading import Payloads
from perdure.core.ports import BlobStore
from perdure.core.wire import PAYLOAD_LIMIT
from perdure.errors import (
    BadOption,
    BlobBroken,
    BlobMissing,
    PerdureError,
    StorageUnavailable,
    Undecryptable,
)
from perdure.storage import sealing
from perdure.storage.blobs import open_blobs
from perdure.storage.failures import HiddenFailures
from perdure.storage.shelf import Shelf

ENCRYPTED, BLOB = b"perdure/aes-gcm", b"perdure/blob"
ENCODING, KEY, NAME, SIZE = "encoding", "key", "blob", "size"
LOCAL_FOLDER = Path(".perdure") / "blobs"
_SHELVED = b"-"
"""Stands where a value in the blob store would be."""
KNOWN_FOR = 600.0
"""Seconds for which a blob that was seen in the store is not asked for again."""
_MOST_KNOWN = 10_000
_AT_ONCE = 8
"""Blobs on the way at one time, for one message."""
_HEAVY = 1 << 20
"""Bytes from which on work is done on a thread, so that the event loop goes on."""

T = TypeVar("T")


@dataclass
class Vault:
    """The blob store of one process, what it is known to hold, and what was read from it."""

    payloads: Payloads
    shelf: Shelf
    known: dict[str, float] = field(default_factory=dict[str, float])
    _store: BlobStore | None = None

    def store(self) -> BlobStore:
        """Return the store, opened when it is first needed.

        Raises:
            BadOption: The URL cannot be used.
        """
        if self._store is None:
            named = self.payloads.blobs
            if self.payloads.local:
                self._store = open_blobs(LOCAL_FOLDER.absolute().as_uri())
            elif isinstance(named, str):
                self._store = open_blobs(named)
            elif callable(named) and not hasattr(named, "put"):
                self._store = named()
            else:
                self._store = cast("BlobStore", named)
        return self._store

    async def keep(self, name: str, data: bytes) -> None:
        """Put a blob, unless the store is known to have it."""
        now = time.monotonic()
        if now - self.known.get(name, -KNOWN_FOR) < KNOWN_FOR:
            return
        store = self.store()
        if not await store.has(name):
            await store.put(name, data)
        if len(self.known) >= _MOST_KNOWN:
            self.known.clear()
        self.known[name] = now

    def knows(self, name: str) -> bool:
        """Whether the store was seen to have a blob a short while ago."""
        return time.monotonic() - self.known.get(name, -KNOWN_FOR) < KNOWN_FOR

    async def close(self) -> None:
        """Close a store that was opened here; it is opened again when needed."""
        named, held = self.payloads.blobs, self._store
        if held is not None and held is not named:
            self._store = None
            await held.close()


class Carrier(PayloadCodec, WithSerializationContext):
    """The codec of one process; a copy with a context shares its store and what it keeps."""

    def __init__(
        self,
        payloads: Payloads,
        *,
        inner: PayloadCodec | None = None,
        upload: bool = True,
        vault: Vault | None = None,
        whose: Whose | None = None,
        asked: Payloads | None = None,
    ) -> None:
        if payloads.encrypts:
            sealing.check_installed()
        self.payloads = payloads
        self.asked = asked or payloads
        """The settings that were given, before they were fitted to the converter."""
        self.inner = inner
        self.upload = upload
        self._vault = vault or Vault(payloads, Shelf(payloads.cache))
        self._whose = whose or Whose()

    @property
    def largest(self) -> int:
        """Bytes of one value that can be carried."""
        return self.payloads.most

    @property
    def seal(self) -> bytes:
        """The secret that digests are keyed with; empty without keys."""
        return self.payloads.seal

    def with_context(self, context: SerializationContext) -> Self:
        """Return a copy that knows whose payloads it carries."""
        inner = self.inner
        if isinstance(inner, WithSerializationContext):
            inner = inner.with_context(context)
        whose = self._whose
        if isinstance(context, WorkflowSerializationContext | ActivitySerializationContext):
            whose = Whose(namespace=context.namespace, workflow_id=context.workflow_id or None)
        if inner is self.inner and whose == self._whose:
            return self
        return self._with(inner=inner, whose=whose)

    def reading_only(self) -> Self:
        """Return a codec that writes no blobs: for a replay, whose commands go nowhere."""
        return self._with(upload=False)

    def _with(self, **changed: Raw) -> Self:
        parts: dict[str, Raw] = {
            "inner": self.inner,
            "upload": self.upload,
            "vault": self._vault,
            "whose": self._whose,
            "asked": self.asked,
        }
        return type(self)(self.payloads, **(parts | changed))

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Write payloads for Temporal.

        Raises:
            StorageUnavailable: The blob store does not take a large one.
        """
        held = list(payloads)
        if self.inner is not None:
            held = await self.inner.encode(held)
        return await _all([self._encode(payload) for payload in held])

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Read payloads back.

        Raises:
            KeyMissing: One was encrypted with a key that is not here.
            Undecryptable: One does not decrypt.
            StorageFailed: The store does not have a blob, or has other bytes.
            StorageUnavailable: The store does not answer.
        """
        held = await _all([self._decode(payload) for payload in payloads])
        return held if self.inner is None else await self.inner.decode(held)

    async def close(self) -> None:
        """Let go of the store's connections."""
        await self._vault.close()

    async def _encode(self, payload: Payload) -> Payload:
        if payload.metadata.get(ENCODING) in (ENCRYPTED, BLOB):
            return payload  # as it came: a memo that is carried over
        ring = self.payloads.ring(self._whose)
        key = None if ring is None else ring.current
        if self.payloads.blobs is not None and payload.ByteSize() >= self.payloads.threshold:
            return await self._lay_down(payload, key)
        if key is None:
            return payload
        metadata = {ENCODING: ENCRYPTED, KEY: key.id.encode()}
        plain = payload.SerializeToString(deterministic=True)
        data = await _heavy(len(plain), sealing.encrypt, key, plain, metadata)
        return Payload(metadata=metadata, data=data)

    async def _lay_down(self, payload: Payload, key: Key | None) -> Payload:
        plain = await _heavy(payload.ByteSize(), _serialized, payload)
        name = await _heavy(len(plain), _name, plain, key)
        metadata = {ENCODING: BLOB, NAME: name.encode(), SIZE: str(len(plain)).encode()}
        if key is not None:
            metadata[KEY] = key.id.encode()
        if self.upload and not self._vault.knows(name):
            data = plain
            if key is not None:
                data = await _heavy(len(plain), sealing.encrypt, key, plain, metadata)
            await self._vault.keep(name, data)
        self._vault.shelf.put((name, None if key is None else key.derive("shelf")), plain)
        # Not empty: the server drops an entry of a memo that has no data.
        return Payload(metadata=metadata, data=_SHELVED)

    async def _decode(self, payload: Payload) -> Payload:
        encoding = payload.metadata.get(ENCODING)
        if encoding == ENCRYPTED:
            metadata = dict(payload.metadata)
            key = self._key(metadata, what="a payload")
            plain = await _heavy(
                len(payload.data),
                lambda: sealing.decrypt(key, payload.data, metadata, what="a payload"),
            )
            return _parsed(plain, what="a payload")
        if encoding == BLOB:
            return await self._fetch(dict(payload.metadata))
        return payload

    async def _fetch(self, metadata: Mapping[str, bytes]) -> Payload:
        name = metadata.get(NAME, b"").decode("ascii", "replace")
        what = f"blob {name}"
        key = self._key(metadata, what=what) if KEY in metadata else None
        place = (name, None if key is None else key.derive("shelf"))
        plain = self._vault.shelf.get(place)
        if plain is None:
            plain = await self._read(name, key, metadata)
            self._vault.shelf.put(place, plain)
        return await _heavy(len(plain), lambda: _parsed(plain, what=what))

    async def _read(self, name: str, key: Key | None, metadata: Mapping[str, bytes]) -> bytes:
        if self.payloads.blobs is None:
            raise BlobMissing(
                f"blob {name} cannot be read: this process has no blob store; give it the one "
                "that wrote the blob: PERDURE_BLOBS or perdure.Payloads(blobs=...)"
            )
        try:
            data = await self._vault.store().get(name)
        except (BlobMissing, StorageUnavailable) as error:
            raise type(error)(self._explain(error, name)) from error
        what = f"blob {name}"
        if key is not None:
            return await _heavy(len(data), lambda: sealing.decrypt(key, data, metadata, what=what))
        if await _heavy(len(data), _name, data, None) != name:
            raise BlobBroken(f"{what} holds other bytes than were put: restore it from a copy")
        return data

    def _explain(self, error: PerdureError, name: str) -> str:
        there = LOCAL_FOLDER.is_dir() and not isinstance(error, BlobMissing)
        if there or not self.payloads.local:
            return str(error)
        return (
            f"blob {name} is not in {str(LOCAL_FOLDER.absolute())!r}, the default folder of "
            "this process: give every worker and client the same store with PERDURE_BLOBS or "
            "perdure.Payloads(blobs=...)"
        )

    def _key(self, metadata: Mapping[str, bytes], *, what: str) -> Key:
        wanted = metadata.get(KEY, b"").decode("ascii", "replace")
        whose = replace(self._whose, key=wanted)
        ring = self.payloads.ring(whose)
        key = None if ring is None else ring.find(wanted)
        if key is None:
            raise sealing.missing(wanted, whose, what=what)
        return key


def compose(
    payloads: Payloads,
    converter: DataConverter | None = None,
    *,
    upload: bool = True,
    plain_clients: bool = False,
) -> DataConverter:
    """Return a data converter that carries payloads so, beside what it did before.

    A codec of yours stays: it is applied first, and undone last. A failure converter of yours
    stays too; Temporal's own is told to hand texts and traces to the codec if there are keys.
    With `plain_clients` only what Temporal refuses is offloaded, so that clients without the
    codec read all the rest.

    Raises:
        BadOption: It carries payloads already in another way.
        MissingExtra: There are keys, and `cryptography` is not installed.
    """
    base = converter or DataConverter.default
    held = base.payload_codec
    if isinstance(held, Carrier):
        if held.asked != payloads:
            raise BadOption(
                "the client has payloads= of its own, other than those of the agents: give "
                "both the same perdure.Payloads"
            )
        return base if upload else replace(base, payload_codec=held.reading_only())
    asked = payloads
    if base.external_storage is not None:
        if not payloads.local:
            raise BadOption(
                "the data converter has an external_storage, and payloads= names a blob store: "
                "choose one, with external_storage=None or perdure.Payloads(blobs=None)"
            )
        payloads = replace(payloads, blobs=None)
    if plain_clients:
        payloads = replace(payloads, threshold=PAYLOAD_LIMIT)
    failures = base.failure_converter_class
    if payloads.encrypts and failures is DefaultFailureConverter:
        failures = HiddenFailures
    codec = Carrier(payloads, inner=held, upload=upload, asked=asked)
    return replace(base, payload_codec=codec, failure_converter_class=failures)


def carrier_of(converter: DataConverter) -> Carrier | None:
    """Return the codec of a converter that `compose` made."""
    codec = converter.payload_codec
    return codec if isinstance(codec, Carrier) else None


def _serialized(payload: Payload) -> bytes:
    return payload.SerializeToString(deterministic=True)


def _name(plain: bytes, key: Key | None) -> str:
    """Name a blob by what is in it, and by the key: after a rotation it is written anew.

    Otherwise a new run would refer to a blob that only an old key opens.
    """
    return digest_name(plain, seal=b"" if key is None else key.derive("blob names"))


def _parsed(plain: bytes, *, what: str) -> Payload:
    try:
        return Payload.FromString(plain)
    except Exception as error:
        raise Undecryptable(f"{what} is no payload: {error}") from error


async def _heavy(size: int, work: Raw, *args: Raw) -> Raw:
    return await asyncio.to_thread(work, *args) if size > _HEAVY else work(*args)


async def _all(works: Sequence[Raw]) -> list[Payload]:
    if len(works) == 1:
        return [await works[0]]
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(work: Raw) -> Payload:
        async with gate:
            return await work

    return list(await asyncio.gather(*(one(work) for work in works)))
