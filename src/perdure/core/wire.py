"""Values that cross between workflow, activity and client. Fields are append only.

All are written as plain JSON objects, so that Temporal's own UI shows them and any data
converter carries them. Reading ignores fields it does not know.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from perdure.core.ahead import DURABILITIES, Durability
from perdure.core.continuing import Continues, continues_from
from perdure.core.frames import Live
from perdure.core.jsons import Json, JsonObject, Raw, as_object, shorten
from perdure.core.options import KEEP, Override, override_from
from perdure.core.parts import choice, depth, need, part, word, words
from perdure.core.toolservers import ServerTool
from perdure.errors import BadInput

OnPause = Literal["wait", "return"]
Resume = Literal["each", "all"]
Checkpoints = Literal["latest", "all"]
STREAM_MODES = ("values", "updates", "custom", "messages", "tasks", "checkpoints", "debug")
Status = Literal["running", "waiting", "done", "failed", "cancelled", "terminated", "timed_out"]


@dataclass(frozen=True, kw_only=True)
class RunInput:
    """What starts a run."""

    agent: str
    input: Json = None
    index: bool = False
    """Keep search attributes and memo up to date; needs them registered in the namespace."""
    tenant: str | None = None
    models: Mapping[str, Override] = field(default_factory=dict[str, Override])
    """Options of this run by model name; "*" means every model."""
    tools: Mapping[str, Override] = field(default_factory=dict[str, Override])
    raw_options: Mapping[str, Json] = field(default_factory=dict[str, Json])
    recursion_limit: int | None = None
    configurable: Mapping[str, Json] = field(default_factory=dict[str, Json])
    thread: str | None = None
    """The conversation this run goes on with; None means a thread of its own."""
    turn: bool = False
    """Wait for the turn on the thread, which the workflow that orders its runs tells."""
    context: Json = None
    """The graph's context (`context_schema`), encoded."""
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Json] = field(default_factory=dict[str, Json])
    stream: tuple[str, ...] = ()
    """LangGraph's stream modes whose frames go to the worker's sink; recorded here, because
    a model is called in another way when its tokens are wanted."""
    on_pause: OnPause = "wait"
    """What to do when a person is needed: wait here, or end and let the next run on the
    thread bring the answer, as plain LangGraph does."""
    resume: Resume = "all"
    """Go on with each answer as it comes, or when all questions of a pause have theirs."""
    interrupt_before: tuple[str, ...] = ()
    interrupt_after: tuple[str, ...] = ()
    checkpoints: Checkpoints = "latest"
    """Which checkpoints go to the thread's saver at each wait and at the end."""
    seed: Json = None
    """Where to start instead of at the beginning: a checkpoint of another run, encoded."""
    parent: str | None = None
    """The run that this one is a sub-agent or a fork of."""
    nested: int = 0
    """How many agents called one another down to this one; 0 means that none did. A nested run
    tells its parent what it asks, and returns its totals with its output."""
    refer: bool = False
    """The result may refer to what the history holds (`perdure.core.pieces`): who started the
    run reads that too. Perdure's client does."""
    durability: Durability | None = None
    """None means what the agent says. `sync` records every call before the next begins; `async`
    lets an activity run ahead; `exit` too, for a run that may as well begin again."""
    chunks: bool = False
    """A model that is streamed inside the graph gives the provider's own chunks; they are
    recorded, so this is for comparing with plain LangGraph, not for showing tokens."""
    continues: Continues | None = None
    """When the run goes on in a new execution; None means never."""
    carry: Json = None
    """What an execution takes over of the one before it (`perdure.workflow.carrying`)."""

    def to_json(self) -> JsonObject:
        """Write the value as JSON; what equals its default is left out."""
        data: JsonObject = {"agent": self.agent, "input": self.input}
        if self.index:
            data["index"] = True
        if self.tenant is not None:
            data["tenant"] = self.tenant
        if self.raw_options:
            data["options"] = dict(self.raw_options)
        if self.recursion_limit is not None:
            data["recursion_limit"] = self.recursion_limit
        if self.configurable:
            data["configurable"] = dict(self.configurable)
        for name, default in _PLAIN_PARTS:
            value: Json | tuple[str, ...] = getattr(self, name)
            if value != default:
                data[name] = list(value) if isinstance(value, tuple) else value
        if self.metadata:
            data["metadata"] = dict(self.metadata)
        if self.continues is not None:
            data["continues"] = self.continues.to_json()
        return data

    def model_override(self, name: str) -> Override:
        """Return what this run changes for one model."""
        return self.models.get(name) or self.models.get("*") or KEEP

    def tool_override(self, name: str) -> Override:
        """Return what this run changes for one tool."""
        return self.tools.get(name) or self.tools.get("*") or KEEP


def run_input(raw: Raw) -> RunInput:
    """Read the argument of the agent workflow.

    Raises:
        BadInput: The agent is not named, or a part has the wrong type.
        BadOption: An option of a call is unknown or has a wrong value.
    """
    data = as_object(raw, what="the argument of a run")
    agent = data.get("agent")
    if not isinstance(agent, str) or not agent:
        raise BadInput(f'agent={agent!r}: name the agent, as in {{"agent": "support"}}')
    options = part(data, "options")
    limit = data.get("recursion_limit")
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
        raise BadInput(f"recursion_limit={limit!r}: must be a whole number above 0")
    tenant = data.get("tenant")
    if tenant is not None and not isinstance(tenant, str):
        raise BadInput(f"tenant={shorten(repr(tenant))}: must be text")
    index = data.get("index")
    if index is not None and not isinstance(index, bool):
        raise BadInput(f"index={shorten(repr(index))}: must be true or false")
    return RunInput(
        agent=agent,
        input=data.get("input"),
        index=index is True,
        tenant=tenant,
        models=_overrides(options, "models"),
        tools=_overrides(options, "tools"),
        raw_options=options,
        recursion_limit=limit,
        configurable=part(data, "configurable"),
        thread=word(data, "thread"),
        turn=data.get("turn") is True,
        context=data.get("context"),
        tags=words(data, "tags"),
        metadata=part(data, "metadata"),
        stream=words(data, "stream", known=STREAM_MODES),
        on_pause=choice(data, "on_pause", ("wait", "return")),
        resume=choice(data, "resume", ("all", "each")),
        interrupt_before=words(data, "interrupt_before"),
        interrupt_after=words(data, "interrupt_after"),
        checkpoints=choice(data, "checkpoints", ("latest", "all")),
        seed=data.get("seed"),
        parent=word(data, "parent"),
        nested=depth(data),
        refer=data.get("refer") is True,
        chunks=data.get("chunks") is True,
        durability=choice(data, "durability", (None, *DURABILITIES)),
        continues=continues_from(data.get("continues")),
        carry=data.get("carry"),
    )


_PLAIN_PARTS: tuple[tuple[str, Raw], ...] = (
    ("thread", None),
    ("turn", False),
    ("context", None),
    ("tags", ()),
    ("stream", ()),
    ("on_pause", "wait"),
    ("resume", "all"),
    ("interrupt_before", ()),
    ("interrupt_after", ()),
    ("checkpoints", "latest"),
    ("seed", None),
    ("parent", None),
    ("nested", 0),
    ("refer", False),
    ("durability", None),
    ("chunks", False),
    ("carry", None),
)


def _overrides(options: Mapping[str, Json], name: str) -> dict[str, Override]:
    given = part(options, name, within="options.")
    return {n: override_from(v, tool=name == "tools") for n, v in given.items()}


_ATTEMPT = 600.0
"""Seconds that an attempt may take where the call says nothing."""


@dataclass(frozen=True, kw_only=True)
class ModelCall:
    """One request to a model, by the model's registered name."""

    model: str
    messages: Json
    """The messages, encoded by the codec."""
    options: Json
    """Bound keyword arguments (tools, tool choice, stop, response format), encoded."""
    attempt_timeout: float
    """Seconds one attempt may take; the provider client gets less."""
    live: Live | None = None
    """Tell the tokens as they come."""
    chunks: bool = False
    """Bring back the provider's chunks as well."""
    fuse: tuple[str, ...] | None = None
    """Call the quick tools that the reply asks for, but for these; None calls none."""

    def to_json(self) -> JsonObject:
        """Write the call as JSON."""
        data: JsonObject = {
            "model": self.model,
            "messages": self.messages,
        }
        if self.options != {}:
            data["options"] = self.options
        if self.attempt_timeout != _ATTEMPT:
            data["attempt_timeout"] = self.attempt_timeout
        if self.live is not None:
            data["live"] = self.live.to_json()
        if self.chunks:
            data["chunks"] = True
        if self.fuse is not None:
            data["fuse"] = list(self.fuse)
        return data

    @classmethod
    def from_json(cls, raw: Raw) -> "ModelCall":
        """Read a call.

        Raises:
            BadInput: A part is missing or has the wrong type.
        """
        what = "a model call"
        data = as_object(raw, what=what)
        limit = data.get("attempt_timeout", _ATTEMPT)
        if isinstance(limit, bool) or not isinstance(limit, int | float):
            raise BadInput(f"attempt_timeout={limit!r} of {what}: must be seconds")
        return cls(
            model=str(need(data, "model", what=what)),
            messages=need(data, "messages", what=what),
            options=data.get("options", {}),
            attempt_timeout=float(limit),
            live=Live.from_json(data.get("live")),
            chunks=data.get("chunks") is True,
            fuse=None if data.get("fuse") is None else words(data, "fuse"),
        )


@dataclass(frozen=True, kw_only=True)
class ModelReply:
    """What one model call brought back."""

    message: Json
    faults: tuple[JsonObject, ...] = ()
    """What the model must be told before its answer can be used; empty if all is well."""
    usage: Mapping[str, Json] = field(default_factory=dict[str, Json])
    chunks: tuple[Json, ...] = ()
    """The chunks in which the message came, if the call asked for them."""
    servers: Mapping[str, ServerTool] = field(default_factory=dict[str, ServerTool])
    """Of the called tools, those that MCP servers have, as this worker's graphs know them.
    Recorded, since another worker's graphs may have been built when a server listed others."""
    quick: tuple[str, ...] = ()
    """Of the called tools, those that are quick as this worker knows them. Recorded, so that
    a run whose code changes meanwhile makes the same calls in the same way."""
    fused: Mapping[str, JsonObject] = field(default_factory=dict[str, JsonObject])
    """Results of the called tools by call id: `value`, encoded, and the `ms` that it took."""
    asked: int | None = None
    """The attempt that asked the model, if a later one went on with its reply."""

    def to_json(self) -> JsonObject:
        """Write the reply as JSON."""
        data: JsonObject = {"message": self.message}
        if self.faults:
            data["faults"] = list(self.faults)
        if self.usage and dict(self.usage) != usage_of(self.message):
            data["usage"] = dict(self.usage)
        if self.chunks:
            data["chunks"] = list(self.chunks)
        if self.servers:
            data["mcp"] = {name: tool.to_json() for name, tool in self.servers.items()}
        if self.quick:
            data["quick"] = list(self.quick)
        if self.fused:
            data["fused"] = dict[str, Json](self.fused)
        if self.asked is not None:
            data["asked"] = self.asked
        return data

    @classmethod
    def from_json(cls, raw: Raw) -> "ModelReply":
        """Read a reply.

        Raises:
            BadInput: A part is missing or has the wrong type.
        """
        what = "a model reply"
        data = as_object(raw, what=what)
        faults = data.get("faults") or []
        if not isinstance(faults, list):
            raise BadInput(f"the faults of {what} must be a list, got {shorten(repr(faults))}")
        chunks = data.get("chunks")
        return cls(
            message=need(data, "message", what=what),
            faults=tuple(as_object(f, what="a fault") for f in faults),
            usage=part(data, "usage") or usage_of(data.get("message")),
            chunks=tuple(chunks) if isinstance(chunks, list) else (),
            servers={n: ServerTool.from_json(one) for n, one in part(data, "mcp").items()},
            quick=words(data, "quick"),
            fused={n: as_object(v, what="a result") for n, v in part(data, "fused").items()},
            asked=asked if isinstance(asked := data.get("asked"), int) else None,
        )


def usage_of(message: Json) -> JsonObject:
    """Return the tokens that a message says it took."""
    found = message.get("usage_metadata") if isinstance(message, dict) else None
    return found if isinstance(found, dict) else {}


@dataclass(frozen=True, kw_only=True)
class ToolCall:
    """One call of a tool, by the tool's registered name."""

    tool: str
    args: Json
    call_id: str | None = None
    """The model's id of the call, if a model asked for it."""
    key: str | None = None
    """The idempotency key; only for effects."""
    scene: JsonObject | None = None
    """What surrounds the call (`perdure.core.scenes.Scene`), if a graph does."""
    live: Live | None = None
    """Tell what the tool writes to its stream as it comes."""
    server: ServerTool | None = None
    """The MCP server that has the tool; None for a tool of the app."""
    tried: str | None = None
    """The id of a quick attempt that was made before and brought no result."""

    def to_json(self) -> JsonObject:
        """Write the call as JSON."""
        data: JsonObject = {"tool": self.tool, "args": self.args}
        if self.server is not None:
            data["mcp"] = self.server.to_json()
        if self.call_id is not None:
            data["call_id"] = self.call_id
        if self.key is not None:
            data["key"] = self.key
        if self.scene is not None:
            data["scene"] = self.scene
        if self.live is not None:
            data["live"] = self.live.to_json()
        if self.tried is not None:
            data["tried"] = self.tried
        return data

    @classmethod
    def from_json(cls, raw: Raw) -> "ToolCall":
        """Read a call.

        Raises:
            BadInput: The tool is not named.
        """
        what = "a tool call"
        data = as_object(raw, what=what)
        call_id, key = data.get("call_id"), data.get("key")
        return cls(
            tool=str(need(data, "tool", what=what)),
            args=data.get("args"),
            call_id=None if call_id is None else str(call_id),
            key=None if key is None else str(key),
            scene=None if data.get("scene") is None else as_object(data["scene"], what="a scene"),
            live=Live.from_json(data.get("live")),
            server=None if data.get("mcp") is None else ServerTool.from_json(data["mcp"]),
            tried=word(data, "tried"),
        )


PAYLOAD_LIMIT = 1_900_000
"""Bytes of one value; Temporal's server refuses more than 2 MiB."""
