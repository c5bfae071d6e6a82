"""What every blob store does, on every backend."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from integration.blobs.backends import Bucket
from perdure.client.poll import until
from perdure.errors import BadOption, BlobBroken, BlobMissing

A, B = "a" * 32, "Zz_-" * 8
MIB = 1024 * 1024


async def listed(store):
    return {info.name: info async for info in store.list()}


async def test_a_value_is_read_back(store):
    await store.put(A, b"hello")
    assert await store.get(A) == b"hello"


@pytest.mark.parametrize("size", [0, 1, 64 * MIB], ids=["empty", "a byte", "64 MiB"])
async def test_a_value_of_any_size_is_read_back(store, size):
    data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    await store.put(A, data)
    assert await store.get(A) == data
    assert (await listed(store))[A].size == size


async def test_a_name_of_any_allowed_kind_works(store):
    for name in (B, "0" * 16, "f" * 128):
        await store.put(name, name.encode())
        assert await store.get(name) == name.encode()
    assert set(await listed(store)) == {B, "0" * 16, "f" * 128}


async def test_a_second_put_changes_nothing(store):
    await store.put(A, b"same")
    await store.put(A, b"same")
    assert (await store.get(A), list(await listed(store))) == (b"same", [A])


async def test_a_missing_blob_says_its_name_and_what_to_do(store):
    await store.put(B, b"other")
    with pytest.raises(BlobMissing, match=f"{A}.*the same.*copy"):
        await store.get(A)


async def test_has_tells_whether_it_is_there(store):
    assert not await store.has(A)
    await store.put(A, b"x")
    assert await store.has(A)


async def test_a_deleted_blob_is_gone(store):
    await store.put(A, b"x")
    assert await store.delete(A)
    assert (await store.has(A), await listed(store)) == (False, {})


async def test_deleting_what_is_not_there_is_no_error(store):
    assert not await store.delete(A)


async def test_an_empty_store_lists_nothing(store):
    assert await listed(store) == {}


async def test_the_list_has_every_blob_with_its_size_and_time(store):
    before = datetime.now(UTC) - timedelta(seconds=5)
    names = [f"{number:032x}" for number in range(30)]
    await asyncio.gather(*(store.put(name, b"x" * n) for n, name in enumerate(names)))
    found = await listed(store)
    assert [found[name].size for name in names] == list(range(30))
    assert all(before <= info.changed <= datetime.now(UTC) + timedelta(seconds=5)
               for info in found.values())  # fmt: skip


async def test_two_stores_of_one_place_share_what_they_hold(store, backend):
    other = backend.open()
    await store.put(A, b"x")
    assert await other.get(A) == b"x"
    await other.close()


async def test_many_writers_of_one_name_leave_one_whole_value(store, backend):
    stores = [backend.open() for _ in range(4)]
    data = b"v" * MIB
    await asyncio.gather(*(one.put(A, data) for one in stores for _ in range(4)))
    assert (await store.get(A) == data, list(await listed(store))) == (True, [A])
    for one in stores:
        await one.close()


async def test_a_reader_during_a_write_sees_all_or_nothing(store, backend):
    data = b"w" * (8 * MIB)
    await store.put(B, b"a store that is in use")
    writer = backend.open()
    writing = asyncio.create_task(writer.put(A, data))
    seen = []
    while not writing.done():
        try:
            seen.append(await store.get(A) == data)
        except BlobMissing:
            seen.append(True)
    await writing
    assert seen
    assert all(seen)
    assert await store.get(A) == data
    await writer.close()


@pytest.mark.parametrize("kept", [0, 10, 28, 100], ids=lambda kept: f"{kept} bytes are left")
async def test_a_value_that_was_cut_off_is_found_out(store, backend, kept):
    await store.put(A, b"v" * 1000)
    backend.spoil(A, backend.stored(A)[:kept])
    with pytest.raises(BlobBroken, match=f"{A}.*restore"):
        await store.get(A)


async def test_a_changed_byte_is_found_out(store, backend):
    await store.put(A, b"v" * 1000)
    stored = bytearray(backend.stored(A))
    stored[500] ^= 1
    backend.spoil(A, bytes(stored))
    with pytest.raises(BlobBroken, match="checksum"):
        await store.get(A)


async def test_another_blob_under_this_name_is_found_out(store, backend):
    await store.put(A, b"mine")
    await store.put(B, b"other")
    backend.spoil(A, backend.stored(B))
    with pytest.raises(BlobBroken, match="checksum"):
        await store.get(A)


async def test_a_put_mends_a_broken_blob(store, backend):
    await store.put(A, b"v" * 1000)
    backend.spoil(A, b"rubbish")
    await store.put(A, b"v" * 1000)
    assert await store.get(A) == b"v" * 1000


@pytest.mark.parametrize(
    "name",
    [
        "", "short", "a" * 129, "../" * 6 + "etc/passwd", "/etc/passwd_and_more", "a/b" * 8,
        "a" * 20 + "\n", "a" * 20 + "\0", "." * 20, "ä" * 20, "a b" * 8, "C:\\" + "a" * 20,
    ],
)  # fmt: skip
async def test_a_name_that_is_no_digest_is_refused(store, name):
    for refused in (store.put(name, b""), store.get(name), store.has(name), store.delete(name)):
        with pytest.raises(BadOption, match="digest"):
            await refused


async def test_a_delete_spares_what_was_put_since_then(store):
    moment = datetime.now(UTC) - timedelta(minutes=1)
    await store.put(A, b"x")
    assert not await store.delete(A, unless_since=moment)
    assert await store.delete(A, unless_since=datetime.now(UTC) + timedelta(minutes=1))


async def test_what_is_asked_for_counts_as_new(dated):
    store = dated.open()
    await store.put(A, b"x")
    dated.age(A, hours=5)
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    assert (await listed(store))[A].changed < hour_ago
    assert await store.has(A)
    assert (await listed(store))[A].changed > hour_ago
    assert not await store.delete(A, unless_since=hour_ago)
    await store.close()


async def test_what_is_put_again_counts_as_new(dated):
    store = dated.open()
    await store.put(A, b"x")
    dated.age(A, hours=5)
    await store.put(A, b"x")
    assert (await listed(store))[A].changed > datetime.now(UTC) - timedelta(hours=1)
    await store.close()


async def test_an_old_object_of_s3_is_made_new_by_a_copy(s3, monkeypatch):
    monkeypatch.setattr("perdure.storage.blobs.s3.REFRESH", timedelta(seconds=-1))
    store = Bucket(s3).open()
    await store.put(A, b"x")
    before = (await listed(store))[A].changed

    async def newer():
        assert await store.has(A)
        return True if (await listed(store))[A].changed > before else None

    assert await until(newer, within=timedelta(seconds=10))
    assert (await store.get(A), list(await listed(store))) == (b"x", [A])
