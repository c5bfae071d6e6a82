"""Both ends of the message chain in one process: a run, and a worker that gets its calls."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from perdure.activity.resolver import Resolver
from perdure.core.shelf import Shelf
from perdure.storage.values import ValueCodec
from perdure.workflow import chain
from perdure.workflow.chain import Chain
from perdure.workflow.sending import Sending

CODEC = ValueCodec()


def over(value: Any) -> Any:
    """Send a value as JSON."""
    return json.loads(json.dumps(value))


@dataclass
class FakeWorkflow:
    """What the chain uses of Temporal's workflow."""

    length: int = 3
    handler: Any = None

    def info(self) -> Any:
        return SimpleNamespace(get_current_history_length=lambda: self.length)

    def get_query_handler(self, name: str) -> Any:
        return self.handler

    def set_query_handler(self, name: str, handler: Any) -> None:
        self.handler = handler


@dataclass
class Ends:
    """A run, and a worker that knows nothing yet."""

    history: FakeWorkflow
    seal: bytes = b""
    sizes: list[int] = field(default_factory=list[int])
    requests: list[Any] = field(default_factory=list[Any])

    def __post_init__(self) -> None:
        self.chain = Chain(codec=CODEC, seal=self.seal)
        self.resolver = Resolver(shelf=Shelf(seal=self.seal))

    def forget(self, *, capacity: int = 1) -> None:
        """Go on with another worker, which keeps next to nothing."""
        shelf = Shelf(seal=self.seal, capacity=capacity, room_for_lists=capacity)
        self.resolver = Resolver(shelf=shelf)

    def write(self, value: Any, **more: Any) -> Sending:
        """Write a call as it goes out."""
        call = {"messages": self.chain.encode(value, what="messages")}
        call |= {name: self.chain.encode(part, what=name) for name, part in more.items()}
        parts = ("messages", "args", "scene")
        return self.chain.shrink(call, parts=parts, wide=("options", "scene.config"))

    async def ask(self, request: Any) -> Any:
        self.requests.append(request)
        return over(self.chain.tell(over(request)))

    async def call(self, value: Any, **more: Any) -> dict[str, Any]:
        """Make a call; returns what the worker made of it."""
        sending = self.write(value, **more)
        self.chain.begin(sending)
        self.history.length += 1
        self.sizes.append(len(json.dumps(sending.data)))
        grown = await self.resolver.grow(over(sending.data), ask=self.ask)
        self.chain.end(sending)
        return {name: CODEC.decode(part) for name, part in grown.items()}

    async def messages(self, value: Any) -> Any:
        return (await self.call(value))["messages"]

    async def same(self, lists: Sequence[Any]) -> None:
        """Call with one value after the other; each must arrive as it was."""
        for value in lists:
            assert await self.messages(value) == value


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> Ends:
    history = FakeWorkflow()
    monkeypatch.setattr(chain, "workflow", history)
    return Ends(history)
