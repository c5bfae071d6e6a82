"""Where a worker keeps long-term memory and threads: opened when first needed. Worker side.

LangGraph's own stores and savers do the work: SQLite files by default, PostgreSQL by URL, or
any object that the app hands over.
"""

import asyncio
import inspect
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias, cast

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.store.base import BaseStore

from perdure.core.jsons import Raw
from perdure.errors import BadOption
from perdure.storage import postgres, sqlite

Place: TypeAlias = str | object | Callable[[], object] | None
"""A URL, an object of LangGraph's, a function that makes one, or None for the default."""
Saver = BaseCheckpointSaver[Raw]
DATA = Path(".perdure")
STORE_FILE, THREADS_FILE = "memory.sqlite", "threads.sqlite"


@dataclass
class _Part:
    """One of the two things that a worker keeps, and whether it is open."""

    word: str
    kind: type
    file: str
    named: Place = None
    held: object | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Places:
    """The store and the threads of a worker.

    `types` are the app's own classes that may be read back from a thread; nothing else is ever
    constructed from stored bytes.
    """

    def __init__(
        self, *, store: Place = None, threads: Place = None, types: Iterable[type] = ()
    ) -> None:
        self._store = _Part(word="store", kind=BaseStore, file=STORE_FILE)
        self._threads = _Part(word="threads", kind=BaseCheckpointSaver, file=THREADS_FILE)
        self._types = tuple(types)
        self._data = DATA
        self._index: Raw = None
        self._ttl: Raw = None
        self._offered = False
        self._users = 0
        self._stack = AsyncExitStack()
        self.change(store=store, threads=threads)

    def change(
        self,
        *,
        store: Place = None,
        threads: Place = None,
        data: Path | None = None,
        index: Raw = None,
        ttl: Raw = None,
        offered: bool = False,
    ) -> None:
        """Say where things are kept; what is None stays as it was.

        `data` is the folder of the SQLite files that are used by default. `index` is what
        LangGraph's stores need for search by meaning: `dims`, `embed`, `fields`; `ttl` is their
        setting of that name. With `offered` every graph is given the store, asked for or not.

        Raises:
            BadOption: A URL or an object that cannot be used.
            MissingExtra: The package that a URL needs is not installed.
        """
        for part, named in ((self._store, store), (self._threads, threads)):
            if named is not None:
                _check(part, named)
                part.named = named
        self._data = data or self._data
        self._index = index or self._index
        self._ttl = ttl or self._ttl
        self._offered = offered or self._offered

    def learn(self, types: Iterable[type]) -> None:
        """Allow types that a graph's state names to be built from what is stored."""
        self._types = tuple(dict.fromkeys((*self._types, *types)))

    def adopt(self, store: Raw) -> None:
        """Note the store that a graph was compiled with.

        Its index for search by meaning is used where none is configured. The store itself is used
        if none is configured and it keeps its items outside of the process.
        """
        config = getattr(store, "index_config", None)
        if config and self._index is None:
            parts = cast("dict[str, Raw]", config)
            self._index = {k: parts[k] for k in ("dims", "embed", "fields") if k in parts}
        lasting = not type(store).__module__.startswith("langgraph.store.memory")
        if self._store.named is None and lasting and isinstance(store, BaseStore):
            self._store.named = store

    @property
    def remembers(self) -> bool:
        """Whether a store was configured, so that every graph is given it."""
        return self._offered or self._store.named is not None

    async def store(self) -> BaseStore:
        """Return the store, opening it the first time.

        Raises:
            StorageUnavailable: It cannot be opened; the text says why.
        """
        return cast("BaseStore", await self._get(self._store, self._open_store))

    async def threads(self) -> Saver:
        """Return the saver of the threads, opening it the first time.

        Raises:
            StorageUnavailable: It cannot be opened; the text says why.
        """
        return cast("Saver", await self._get(self._threads, self._open_threads))

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[None]:
        """Open what was named, to fail early; close everything after the last worker."""
        self._users += 1
        try:
            if self._store.named is not None:
                await self.store()
            if self._threads.named is not None:
                await self.threads()
            yield
        finally:
            self._users -= 1
            if self._users == 0:
                await self.close()

    async def close(self) -> None:
        """Close what was opened here; objects that the app handed over are its own."""
        self._store.held = self._threads.held = None
        stack, self._stack = self._stack, AsyncExitStack()
        await stack.aclose()

    async def _get(self, part: _Part, open_url: Callable[[str], Raw]) -> object:
        async with part.lock:
            if part.held is None:
                named = part.named
                if named is None:
                    named = f"sqlite:///{self._data / part.file}"
                if isinstance(named, str):
                    part.held = await self._stack.enter_async_context(open_url(named))
                else:
                    part.held = await self._make(part, named)
            return part.held

    async def _make(self, part: _Part, named: object) -> object:
        made: Raw = named
        if not isinstance(made, part.kind) and callable(made):
            made = made()
            if inspect.isawaitable(made):
                made = await made
        if hasattr(made, "__aenter__") and not isinstance(made, part.kind):
            made = await self._stack.enter_async_context(made)
        if not isinstance(made, part.kind):
            raise BadOption(
                f"{part.word}= gave a {type(made).__name__}, not a {part.kind.__name__} of "
                "LangGraph's"
            )
        setup = getattr(made, "setup", None)
        if inspect.iscoroutinefunction(setup):
            await setup()
        return made

    def _open_store(self, url: str) -> Raw:
        opener = sqlite.open_store if url.startswith(sqlite.SCHEME) else postgres.open_store
        return opener(url, index=self._index, ttl=self._ttl)

    def _open_threads(self, url: str) -> Raw:
        opener = sqlite.open_threads if url.startswith(sqlite.SCHEME) else postgres.open_threads
        return opener(url, serde=strict(self._types))


def strict(types: Iterable[type]) -> JsonPlusSerializer:
    """Make LangGraph's serializer, closed: it builds its own types and the app's, no others.

    LangGraph's default imports and calls what a crafted file names.
    """
    return JsonPlusSerializer(allowed_msgpack_modules=list(types) or None)


def _check(part: _Part, named: Place) -> None:
    if isinstance(named, str):
        if named.startswith(sqlite.SCHEME):
            sqlite.path_of(named)
        elif named.startswith(postgres.SCHEMES):
            postgres.check_installed()
        else:
            raise BadOption(
                f"{part.word}={named!r}: write sqlite:///folder/file.sqlite or "
                "postgresql://user@host/database"
            )
    elif not isinstance(named, part.kind):
        managed = isinstance(named, AbstractAsyncContextManager)
        other = isinstance(named, BaseStore | BaseCheckpointSaver)
        if other or not (managed or callable(named)):
            raise BadOption(
                f"{part.word}={named!r}: give a URL, a {part.kind.__name__} of LangGraph's, or "
                "a function that returns one"
            )
