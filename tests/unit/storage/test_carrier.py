"""The codec: what it encrypts, where it puts what is large, and what it refuses."""

from dataclasses import replace
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    DataConverter,
    DefaultFailureConverter,
    DefaultFailureConverterWithEncodedAttributes,
    PayloadCodec,
    WorkflowSerializationContext,
)

from perdure.core.keyrings import Key, Keyring, Whose
from perdure.core.offloading import Payloads
from perdure.core.wire import PAYLOAD_LIMIT
from perdure.errors import (
    BadOption,
    BlobBroken,
    BlobMissing,
    KeyMissing,
    StorageUnavailable,
    Undecryptable,
)
from perdure.storage.payloads import Carrier, compose

OLD, NEW = Key("old", b"o" * 32), Key("new", b"n" * 32)
SMALL = Payload(metadata={"encoding": b"json/plain"}, data=b'"small"')
LARGE = Payload(metadata={"encoding": b"json/plain"}, data=b'"' + b"xy" * 75_000 + b'"')


class Memory:
    """A blob store in memory that counts what is asked of it."""

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}
        self.asked: list[str] = []

    async def put(self, name: str, data: bytes) -> None:
        self.asked.append("put")
        self.held[name] = data

    async def get(self, name: str) -> bytes:
        self.asked.append("get")
        if name not in self.held:
            raise BlobMissing(f"no blob {name}")
        return self.held[name]

    async def has(self, name: str) -> bool:
        self.asked.append("has")
        return name in self.held

    async def close(self) -> None:
        self.asked.append("close")


def carrier(store: Memory | None = None, *keys: Key, **parts: Any) -> Carrier:
    ring = Keyring(keys) if keys else None
    return Carrier(Payloads(**({"blobs": store, "keys": ring} | parts)))


async def there(codec: Carrier, payload: Payload) -> Payload:
    return (await codec.encode([payload]))[0]


async def back(codec: Carrier, payload: Payload) -> Payload:
    return (await codec.decode([payload]))[0]


@pytest.mark.parametrize("payload", [SMALL, LARGE, Payload()], ids=["small", "large", "empty"])
@pytest.mark.parametrize("keys", [(), (NEW,)], ids=["plain", "keys"])
@pytest.mark.parametrize("stored", [True, False], ids=["store", "no store"])
async def test_what_is_written_is_read(payload, keys, stored):
    codec = carrier(Memory() if stored else None, *keys)
    assert await back(codec, await there(codec, payload)) == payload


async def test_a_small_value_without_keys_stays_as_it_is():
    assert await there(carrier(Memory()), SMALL) == SMALL


async def test_a_large_value_leaves_a_reference():
    store = Memory()
    left = await there(carrier(store), LARGE)
    assert (left.metadata["encoding"], left.data) == (b"perdure/blob", b"-")
    assert [left.metadata["blob"].decode()] == [*store.held]


async def test_an_equal_value_is_put_once():
    store = Memory()
    codec = carrier(store, NEW)
    assert await there(codec, LARGE) == await there(codec, LARGE)
    assert store.asked == ["has", "put"]


async def test_what_another_process_put_is_not_put_again():
    store = Memory()
    await there(carrier(store, NEW), LARGE)
    await there(carrier(store, NEW), LARGE)
    assert store.asked == ["has", "put", "has"]


async def test_what_another_process_put_is_read_with_the_reference_of_this_one():
    store = Memory()
    await there(carrier(store, NEW), LARGE)
    left = await there(carrier(store, NEW), LARGE)
    assert await back(carrier(store, NEW), left) == LARGE


async def test_a_blob_is_read_once():
    store = Memory()
    left = await there(carrier(store), LARGE)
    reader = carrier(store)
    assert [await back(reader, left), await back(reader, left)] == [LARGE, LARGE]
    assert store.asked.count("get") == 1


async def test_a_blob_over_the_bound_is_not_kept():
    store = Memory()
    left = await there(carrier(store), LARGE)
    reader = carrier(store, cache=1000)
    await back(reader, left)
    await back(reader, left)
    assert store.asked.count("get") == 2


async def test_the_same_bytes_are_encrypted_differently_each_time():
    codec = carrier(None, NEW)
    assert (await there(codec, SMALL)).data != (await there(codec, SMALL)).data


async def test_the_current_key_writes():
    left = await there(carrier(None, NEW, OLD), SMALL)
    assert (left.metadata["encoding"], left.metadata["key"]) == (b"perdure/aes-gcm", b"new")


async def test_an_older_key_still_reads():
    left = await there(carrier(None, OLD), SMALL)
    assert await back(carrier(None, NEW, OLD), left) == SMALL


async def test_a_key_that_is_gone_is_named():
    left = await there(carrier(None, OLD), SMALL)
    with pytest.raises(KeyMissing, match="key 'old'"):
        await back(carrier(None, NEW), left)


async def test_a_blob_has_another_name_under_another_key():
    names = {(await there(carrier(Memory(), key), LARGE)).metadata["blob"] for key in (OLD, NEW)}
    assert len(names) == 2


async def test_the_name_of_an_encrypted_blob_tells_nothing_of_its_content():
    plain = (await there(carrier(Memory()), LARGE)).metadata["blob"]
    assert (await there(carrier(Memory(), NEW), LARGE)).metadata["blob"] != plain


@pytest.mark.parametrize("part", ["data", "nonce", "key", "more", "cut"])
async def test_a_changed_payload_is_refused(part):
    twin = Key("twin", NEW.secret)
    codec = carrier(None, NEW, twin)
    left = await there(codec, SMALL)
    if part == "data":
        left.data = left.data[:-1] + bytes([left.data[-1] ^ 1])
    elif part == "nonce":
        left.data = bytes([left.data[0] ^ 1]) + left.data[1:]
    elif part == "key":  # the same bytes of key: only the name differs
        left.metadata["key"] = b"twin"
    elif part == "more":
        left.metadata["messageType"] = b"x"
    else:
        left.data = left.data[:5]
    with pytest.raises(Undecryptable, match="does not decrypt"):
        await back(codec, left)


@pytest.mark.parametrize("name", ["size", "blob"])
async def test_a_changed_reference_is_refused(name):
    store = Memory()
    left = await there(carrier(store, NEW), LARGE)
    [data] = store.held.values()
    store.held["0" * 64] = data
    left.metadata[name] = {"size": b"1", "blob": b"0" * 64}[name]
    with pytest.raises(Undecryptable):
        await back(carrier(store, NEW), left)


async def test_a_changed_blob_without_keys_is_noticed():
    store = Memory()
    left = await there(carrier(store), LARGE)
    store.held = {name: data + b"x" for name, data in store.held.items()}
    with pytest.raises(BlobBroken, match="other bytes"):
        await back(carrier(store), left)


async def test_a_process_without_a_store_is_told_how_to_get_one():
    left = await there(carrier(Memory()), LARGE)
    with pytest.raises(BlobMissing, match="PERDURE_BLOBS"):
        await back(carrier(None), left)


async def test_the_default_folder_is_named_when_it_lacks_a_blob(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    left = await there(carrier(Memory()), LARGE)
    told = r"the default folder of this process.*PERDURE_BLOBS"
    with pytest.raises(StorageUnavailable, match=told):
        await back(Carrier(Payloads()), left)
    (tmp_path / ".perdure" / "blobs").mkdir(parents=True)
    with pytest.raises(BlobMissing, match=told):
        await back(Carrier(Payloads()), left)


async def test_a_replay_writes_no_blob():
    store = Memory()
    left = await there(carrier(store).reading_only(), LARGE)
    assert (left.metadata["encoding"], store.asked) == (b"perdure/blob", [])


async def test_what_was_encoded_already_is_carried_over():
    codec = carrier(None, NEW)
    left = await there(codec, SMALL)
    assert await there(codec, left) == left


async def test_a_tenant_is_found_by_the_run():
    seen: list[Whose] = []

    def find(whose: Whose) -> Keyring:
        seen.append(whose)
        return Keyring([NEW])

    context = WorkflowSerializationContext(namespace="ns", workflow_id="acme-1")
    codec = carrier(None, keys=find).with_context(context)
    await back(codec, await there(codec, SMALL))
    wrote = Whose(namespace="ns", workflow_id="acme-1")
    assert seen == [wrote, replace(wrote, key="new")]


class Backwards(PayloadCodec):
    """A codec of the user's."""

    async def encode(self, payloads):
        return [
            Payload(metadata={"encoding": b"x/back"}, data=p.SerializeToString()[::-1])
            for p in payloads
        ]

    async def decode(self, payloads):
        mine = b"x/back"
        return [
            Payload.FromString(p.data[::-1]) if p.metadata["encoding"] == mine else p
            for p in payloads
        ]


@pytest.mark.parametrize("payload", [SMALL, LARGE], ids=["small", "large"])
async def test_a_codec_of_the_users_is_applied_first(payload):
    store = Memory()
    base = replace(DataConverter.default, payload_codec=Backwards())
    codec = compose(Payloads(blobs=store), base).payload_codec
    left = await there(codec, payload)
    assert payload.data not in left.data + b"".join(store.held.values())
    assert await back(codec, left) == payload


def test_composing_twice_changes_nothing():
    payloads = Payloads(keys=Keyring([NEW]))
    once = compose(payloads)
    assert compose(payloads, once) is once


def test_composing_with_other_payloads_is_refused():
    with pytest.raises(BadOption, match="the same"):
        compose(Payloads(blobs=None), compose(Payloads()))


def test_failures_go_to_the_codec_if_there_are_keys():
    kinds = [
        compose(p).failure_converter_class for p in (Payloads(), Payloads(keys=Keyring([NEW])))
    ]
    assert kinds[0] is DefaultFailureConverter
    assert issubclass(kinds[1], DefaultFailureConverterWithEncodedAttributes)


def test_a_failure_converter_of_the_users_stays():
    class Mine(DefaultFailureConverter):
        pass

    base = replace(DataConverter.default, failure_converter_class=Mine)
    assert compose(Payloads(keys=Keyring([NEW])), base).failure_converter_class is Mine


def test_a_plain_client_can_read_all_that_temporal_takes():
    codec = compose(Payloads(), plain_clients=True).payload_codec
    assert codec.payloads.threshold == PAYLOAD_LIMIT


async def test_a_store_that_was_handed_over_is_not_closed():
    store = Memory()
    codec = carrier(store)
    await there(codec, LARGE)
    await codec.close()
    assert "close" not in store.asked


async def test_a_store_that_was_made_here_is_closed_and_made_again():
    made: list[Memory] = []

    def make() -> Memory:
        made.append(Memory())
        return made[-1]

    codec = carrier(None, blobs=make)
    left = await there(codec, LARGE)
    await codec.close()
    assert (made[0].asked[-1], await back(codec, left)) == ("close", LARGE)
