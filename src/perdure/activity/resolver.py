"""Put back what a call refers to: from what this worker knows, or by asking the run. Activity side.

The run answers as long as the call is open, also after days of retries: it keeps what its open
calls refer to. While no worker can answer for it, the call waits and asks again.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import cast

from temporalio import activity
from temporalio.client import WorkflowQueryFailedError, WorkflowQueryRejectedError
from temporalio.service import RPCError, RPCStatusCode

from perdure.core.jsons import Json, JsonObject, Raw, as_object, shorten
from perdure.core.names import PIECES_QUERY
from perdure.core.pieces import REFERENCES, VERSION, Entry
from perdure.core.reading import Reading
from perdure.core.shelf import Shelf
from perdure.errors import NewerWire, PiecesLost

Ask = Callable[[JsonObject], Awaitable[JsonObject]]
"""Ask the run."""
WAIT = timedelta(seconds=0.5)
LONGEST_WAIT = timedelta(seconds=20)
PATIENCE = timedelta(seconds=2)
"""For the first answer: servers drop a question now and then, so it is soon asked again."""
LONGEST_PATIENCE = timedelta(seconds=60)
"""A worker may have to replay a long run first."""
_ROUNDS = 6
_WANTED = 10_000
"""Pieces that are asked for together."""


@dataclass
class Resolver:
    """Reads the calls of one worker."""

    shelf: Shelf = field(default_factory=Shelf)
    asked: int = 0
    """Questions to runs so far."""

    async def grow(self, raw: Raw, *, ask: Ask | None = None) -> JsonObject:
        """Return a call with everything in place that it refers to.

        Messages in it are `Held`, so that the codec makes each of them once.

        Raises:
            NewerWire: A newer Perdure wrote the call; another worker can read it.
            PiecesLost: The run is over, or has taken the call back.
        """
        call = as_object(raw, what="a call")
        told = call.pop(REFERENCES, None)
        if told is None:
            return call
        version, number = (1, told) if isinstance(told, int) else cast("list[int]", told)
        if version > VERSION:
            raise NewerWire(
                f"this call was written by a newer Perdure (form {version}; this worker knows "
                f"{VERSION}). It is tried again: update this worker, or let another one have it"
            )
        reading = Reading(self.shelf)
        asking = _Asking(self, reading=reading, number=number, ask=ask or _ask_run)
        for _ in range(_ROUNDS):
            read = {name: reading.read(value) for name, value in call.items()}
            if not reading.lost:
                return read
            await asking.fetch()
        raise PiecesLost(f"the run does not know what its own call refers to: {reading.lost}")


@dataclass
class _Asking:
    """What a run is asked for one call."""

    resolver: Resolver
    reading: Reading
    number: int
    ask: Ask

    async def fetch(self) -> None:
        """Ask the run for what is lost."""
        lists = [name for name, is_list in self.reading.lost.items() if is_list]
        want = [name for name, is_list in self.reading.lost.items() if not is_list]
        self.reading.lost = {}
        for name in lists:
            await self._fetch_list(name)
        for first in range(0, len(want), _WANTED):
            await self._fetch_pieces(want[first : first + _WANTED])

    async def _fetch_list(self, name: str) -> None:
        entries: list[Entry] = []
        while True:
            request: JsonObject = {"list": name, "from": len(entries)}
            answer = await self._ask(request)
            page = cast("list[list[str | None]]", answer.get("entries") or [])
            entries += [(str(one[0]), one[1]) for one in page]
            if not answer.get("more"):
                break
        self.reading.take_list(name, entries)

    async def _fetch_pieces(self, want: list[str]) -> None:
        first, at = 0, 0
        parts: list[str] = []
        while first < len(want):
            request: JsonObject = {"want": cast("Json", want), "from": first, "at": at}
            answer = await self._ask(request)
            first, at = int(cast("Raw", answer["from"])), int(cast("Raw", answer["at"]))
            told = cast("list[list[Raw]]", answer.get("pieces") or [])
            for number, item in enumerate(told, 1):
                name, value = str(item[0]), item[1]
                if not isinstance(value, str):
                    self.reading.take(name, value)
                    continue
                parts.append(value)
                if at == 0 or number < len(told):  # else the next answer goes on with it
                    self.reading.take(name, "".join(parts))
                    parts = []

    async def _ask(self, request: JsonObject) -> JsonObject:
        self.resolver.asked += 1
        answer = await self.ask({"call": self.number, **request})
        if answer.get("gone"):
            raise PiecesLost("the run does not wait for this call any more")
        return answer


async def _ask_run(request: JsonObject) -> JsonObject:
    """Ask the run of this activity, until a worker answers for it."""
    info = activity.info()
    handle = activity.client().get_workflow_handle(
        info.workflow_id or "", run_id=info.workflow_run_id
    )
    wait, patience = WAIT, PATIENCE
    while True:
        try:
            answer = await handle.query(PIECES_QUERY, request, rpc_timeout=patience)
            return as_object(answer, what="an answer")
        except (WorkflowQueryFailedError, WorkflowQueryRejectedError, RPCError) as error:
            if isinstance(error, RPCError) and error.status == RPCStatusCode.NOT_FOUND:
                raise PiecesLost(f"the run is not there any more: {shorten(str(error))}") from error
            activity.logger.info("nobody answers for the run; asking again: %s", error)
            patience = min(patience * 2, LONGEST_PATIENCE)
        await asyncio.sleep(wait.total_seconds())
        wait = min(wait * 2, LONGEST_WAIT)
