"""Build around a tool, in the activity, what LangGraph puts around it in the graph."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool
from langgraph.prebuilt import ToolRuntime
from langgraph.runtime import ExecutionInfo, Runtime
from langgraph.store.base import BaseStore

from perdure.activity.interrupting import answering
from perdure.activity.live import Speaker
from perdure.core.declared import Table
from perdure.core.frames import can_be_live
from perdure.core.jsons import Json, Raw
from perdure.core.ports import Codec
from perdure.core.scenes import NAMESPACE, RUNTIME, Scene, join_config
from perdure.errors import Unserializable

_INFO = tuple(ExecutionInfo.__dataclass_fields__)


class PartialState(dict[str, Raw]):
    """A state some fields of which could not travel; reading one of them says so."""

    def __init__(self, state: Mapping[str, Raw], *, unsent: tuple[str, ...]) -> None:
        super().__init__(state)
        self._unsent = unsent

    def __missing__(self, key: str) -> Raw:
        if key in self._unsent:
            raise Unserializable(
                f"state[{key!r}] has no JSON form and did not travel with the tool's runtime. Run "
                "the tool in the workflow, perdure.tool(..., where='workflow'), or keep plain "
                "values in the state"
            )
        raise KeyError(key)


@dataclass(kw_only=True)
class Surroundings:
    """The config of one call, and what the call writes to its stream."""

    codec: Codec
    scene: Scene
    store: BaseStore | None = None
    written: list[Raw] = field(default_factory=list[Raw])
    speaker: Speaker | None = None
    """Who tells what is written at once, beside the history."""

    def write(self, chunk: Raw) -> None:
        """Take what the tool writes to its stream; on any thread."""
        self.written.append(chunk)
        if self.speaker is not None and can_be_live(chunk):
            self.speaker.say_from_anywhere(chunk)

    def config(self) -> RunnableConfig:
        """Make the config that `get_config`, `get_store` and `get_stream_writer` read."""
        config = join_config(self.scene.config, self.scene.spot)
        data = cast("dict[str, Raw]", self.codec.decode(config) or {})
        told: dict[str, Raw] = data.get("configurable") or {}
        runtime = cast("Raw", Runtime)(
            context=self.codec.decode(self.scene.context),
            store=self.store,
            stream_writer=self.write,
            execution_info=self._execution(),
        )
        answers = [self.codec.decode(answer) for answer in self.scene.answers]
        namespace = str(told.get(NAMESPACE, ""))
        return RunnableConfig(
            configurable={**told, RUNTIME: runtime, **answering(answers, namespace=namespace)},
            tags=data.get("tags") or [],
            metadata=data.get("metadata") or {},
        )

    def fill(self, args: Raw, config: RunnableConfig, *, call_id: str | None, table: Table) -> Raw:
        """Put the store and the runtime among the arguments, where the tool wants them."""
        if not isinstance(args, dict):
            return args
        filled = dict(cast("dict[str, Raw]", args))
        for name in self.scene.stores:
            filled[name] = self.store
        if self.scene.runtime is not None:
            filled[self.scene.runtime] = cast("Raw", ToolRuntime)(
                state=self._state(),
                context=self.codec.decode(self.scene.context),
                config=config,
                stream_writer=self.write,
                tool_call_id=call_id,
                store=self.store,
                tools=_tools(self.scene.tools, table),
                execution_info=self._execution(),
            )
        return filled

    def chunks(self, *, what: str) -> tuple[Json, ...]:
        """Write what was streamed, for the way back.

        Raises:
            Unserializable: A chunk has no JSON form.
        """
        return tuple(self.codec.encode(c, what=f"what {what} streamed") for c in self.written)

    def _state(self) -> Raw:
        state = self.codec.decode(self.scene.state)
        if self.scene.unsent:
            return PartialState(cast("dict[str, Raw]", state), unsent=self.scene.unsent)
        return state

    def _execution(self) -> ExecutionInfo | None:
        data = self.codec.decode(self.scene.execution)
        if not isinstance(data, dict):
            return None
        known = {k: v for k, v in cast("dict[str, Raw]", data).items() if k in _INFO}
        return ExecutionInfo(**known)


def _tools(names: tuple[str, ...], table: Table) -> list[BaseTool]:
    found = [entry for name in names if (entry := table.find("tool", name)) is not None]
    return [cast("BaseTool", entry.build()) for entry in found]
