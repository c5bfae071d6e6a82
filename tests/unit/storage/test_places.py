"""Where memory and threads are kept, and what is said when that cannot be."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.store.base import SearchOp
from langgraph.store.memory import InMemoryStore

from perdure.client.poll import until
from perdure.errors import BadOption, MissingExtra, StorageUnavailable
from perdure.storage import postgres
from perdure.storage.places import Places, strict
from perdure.storage.ranking import Ranked


def url(file: Path) -> str:
    return f"sqlite:///{file}"


async def test_without_a_word_the_files_are_in_the_data_folder(tmp_path: Path) -> None:
    places = Places()
    places.change(data=tmp_path / "data")
    async with places.serving():
        await places.store()
        await places.threads()
    assert {"memory.sqlite", "threads.sqlite"} <= {f.name for f in (tmp_path / "data").iterdir()}


async def test_nothing_is_made_that_nobody_uses(tmp_path: Path) -> None:
    places = Places()
    places.change(data=tmp_path / "data")
    async with places.serving():
        pass
    assert not (tmp_path / "data").exists()


async def test_the_command_lines_word_wins(tmp_path: Path) -> None:
    places = Places(store=url(tmp_path / "a"))
    places.change(store=url(tmp_path / "b"))
    async with places.serving():
        pass
    assert not (tmp_path / "a").exists()


async def test_a_store_is_open_until_the_last_worker_stops(tmp_path: Path) -> None:
    places = Places(store=url(tmp_path / "a"))
    async with places.serving():
        async with places.serving():
            store = await places.store()
        await store.aput(("a",), "k", {"v": 1})


async def test_a_closed_store_opens_again(tmp_path: Path) -> None:
    places = Places(store=url(tmp_path / "a"))
    async with places.serving():
        await (await places.store()).aput(("a",), "k", {"v": 1})
    async with places.serving():
        item = await (await places.store()).aget(("a",), "k")
    assert item is not None


async def test_two_workers_open_one_new_file_at_the_same_time(tmp_path: Path) -> None:
    many = [Places(store=url(tmp_path / "a"), threads=url(tmp_path / "a")) for _ in range(6)]
    stores = await asyncio.gather(*(places.store() for places in many))
    await asyncio.gather(*(places.threads() for places in many))
    await asyncio.gather(*(one.aput(("a",), str(n), {"n": n}) for n, one in enumerate(stores * 5)))
    assert len(await stores[0].asearch(("a",), limit=100)) == 30
    for places in many:
        await places.close()


async def test_an_object_is_used_as_it_is() -> None:
    own = InMemoryStore()
    assert await Places(store=own).store() is own


@pytest.mark.parametrize("kind", ["function", "coroutine", "manager"])
async def test_a_function_may_make_the_saver(kind: str) -> None:
    own = InMemorySaver()

    async def later() -> Any:
        return own

    @asynccontextmanager
    async def managed() -> AsyncGenerator[Any]:
        yield own

    make: Any = {"function": lambda: own, "coroutine": later, "manager": managed}[kind]
    places = Places(threads=make)
    assert await places.threads() is own
    await places.close()


async def test_a_function_that_makes_something_else_is_told() -> None:
    with pytest.raises(BadOption, match="store= gave a int, not a BaseStore"):
        await Places(store=lambda: 5).store()


@pytest.mark.parametrize("wrong", ["redis://x", "memory.sqlite", "sqlite://", "sqlite:///:memory:"])
def test_a_url_that_names_nothing_known_is_refused_at_once(wrong: str) -> None:
    with pytest.raises(BadOption, match="sqlite:///"):
        Places(store=wrong)


def test_an_object_of_another_kind_is_refused_at_once() -> None:
    with pytest.raises(BadOption, match="a BaseStore of LangGraph's"):
        Places(store=cast("Any", InMemorySaver()))


def _nothing(name: str) -> None:
    """Find no package."""


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "find_spec", _nothing)
    with pytest.raises(MissingExtra, match=r"perdure\[postgres\]"):
        Places(threads="postgresql://localhost/x")


async def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("these are my notes, and no database at all" * 9)
    with pytest.raises(StorageUnavailable, match="file is not a database; name another file"):
        await Places(threads=url(file)).threads()


async def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageUnavailable, match="let the worker write"):
        await Places(store=url(tmp_path / "file" / "a.sqlite")).store()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
async def test_a_file_that_may_not_be_written_is_told(tmp_path: Path) -> None:
    file = tmp_path / "a.sqlite"
    sqlite3.connect(file).close()
    file.chmod(0o444)
    tmp_path.chmod(0o555)
    with pytest.raises(StorageUnavailable, match="let the worker write"):
        await Places(store=url(file)).store()


async def test_a_server_that_is_not_there_is_told_without_the_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(postgres, "OPEN_WITHIN", 0.5)
    with pytest.raises(StorageUnavailable, match=r"at 127\.0\.0\.1:9/db cannot be used") as told:
        await Places(threads="postgresql://me:secret@127.0.0.1:9/db").threads()
    assert "secret" not in str(told.value)


@dataclass
class Point:
    x: int


def test_the_serializer_builds_registered_classes_only() -> None:
    closed, opened = strict([]), strict([Point])
    data = opened.dumps_typed(Point(x=1))
    assert opened.loads_typed(data) == Point(x=1)
    assert closed.loads_typed(data) == {"x": 1}


def letters(texts: list[str]) -> list[list[float]]:
    return [[text.count("a"), text.count("b"), 0.1] for text in texts]


async def test_ranking_puts_the_likest_first_and_pages() -> None:
    ranked = Ranked(InMemoryStore(), index={"embed": letters, "dims": 3, "fields": ["t"]})
    for key, text in (("1", "bbb"), ("2", "aab"), ("3", "aaa")):
        await ranked.aput(("n",), key, {"t": text})
    found = await ranked.abatch([SearchOp(("n",), None, 2, 0, "aaaa")])
    assert [item.key for item in found[0]] == ["3", "2"]  # type: ignore[union-attr]
    found = await ranked.abatch([SearchOp(("n",), None, 2, 2, "aaaa")])
    assert [item.key for item in found[0]] == ["1"]  # type: ignore[union-attr]


async def test_a_sync_tool_uses_the_store_from_its_thread(tmp_path: Path) -> None:
    places = Places(store=url(tmp_path / "a"))
    places.change(index={"embed": letters, "dims": 3, "fields": ["t"]})
    async with places.serving():
        store = await places.store()

        def use() -> list[str]:
            for text in ("bbb", "aaa"):
                store.put(("n",), text, {"t": text})
            return [item.key for item in store.search(("n",), query="a")]

        assert await asyncio.to_thread(use) == ["aaa", "bbb"]
        with pytest.raises((RuntimeError, asyncio.InvalidStateError)):
            store.batch([SearchOp(("n",))])


async def test_an_item_may_have_a_time_to_live_in_a_file(tmp_path: Path) -> None:
    places = Places(store=url(tmp_path / "a"))
    async with places.serving():
        store = await places.store()
        await store.aput(("n",), "k", {}, ttl=60)
        await store.aput(("n",), "gone", {}, ttl=-1)
        assert await cast("Any", store).sweep_ttl() == 1
        assert [item.key for item in await store.asearch(("n",))] == ["k"]


async def test_what_is_too_old_is_swept_away_in_the_background(tmp_path: Path) -> None:
    places = Places(store=url(tmp_path / "a"))
    places.change(ttl={"default_ttl": -1, "sweep_interval_minutes": 0.0001})
    async with places.serving():
        store = await places.store()
        await store.aput(("n",), "k", {})

        async def swept() -> bool | None:
            return None if await store.asearch(("n",)) else True

        assert await until(swept, within=timedelta(seconds=20))
