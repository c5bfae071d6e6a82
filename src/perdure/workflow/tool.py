"""`perdure.tool`: a tool whose every call inside a run is one activity."""

# pyright: reportPrivateUsage=false
# `_run` and `_arun` are the hooks that LangChain documents for its subclasses.

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import ClassVar, cast

from langchain_core.messages import ToolMessage
from langchain_core.messages.tool import ToolOutputMixin
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool
from langchain_core.tools import tool as make_tool

from perdure.core.adapters import declare_server
from perdure.core.ahead import AHEAD
from perdure.core.approvals import Approve, Decision
from perdure.core.declared import DECLARED, Declaration, Where
from perdure.core.jsons import Json, JsonObject, Raw, shorten
from perdure.core.options import Override, Retry
from perdure.core.summaries import tool_summary
from perdure.errors import BadOption, NotAllowed, NotInRun
from perdure.workflow.asking import ask_here, interrupt_for, terms_value
from perdure.workflow.bridge import wait_for
from perdure.workflow.calls import call_tool
from perdure.workflow.current import Run, current_run, is_inside
from perdure.workflow.identity import identity_of, identity_of_call
from perdure.workflow.injection import arguments_of
from perdure.workflow.places import run_here, stays


@dataclass(frozen=True, kw_only=True)
class Pending:
    """A call on its way through LangChain's own checks, which must not change what is sent."""

    args: Raw
    call_id: str | None
    position: int
    config: RunnableConfig | None


_PENDING: ContextVar[Pending | None] = ContextVar("perdure_call", default=None)

_ONLY = "__arg1"
"""What models call the one argument of LangChain's `Tool`."""


def tool(
    spec: BaseTool | Callable[..., Raw],
    *,
    name: str | None = None,
    effect: bool = False,
    idempotent: bool = True,
    approve: Approve | None = None,
    timeout: timedelta | None = None,
    heartbeat: timedelta | None = None,
    retry: Retry | None = None,
    where: Where | None = None,
    quick: bool = False,
) -> BaseTool:
    """Declare a tool; inside a run each of its calls is one recorded activity.

    `spec` is a function with a docstring, or a LangChain tool, which is not changed. Runs where
    the app is imported. Outside a run the tool is called straight through.

    `effect=True` says that the tool changes the outside world: it may ask for its stable
    idempotency key with `perdure.effect_key()`. With `idempotent=False` it is tried once only,
    and a call that was cut off ends the run with `EffectUnknown` instead of a second try.
    `approve` makes the run ask a person before each call.

    `where="workflow"` runs the tool's body in the run itself, where it must not touch the
    outside, so that the agent, model or tools it calls are durable by their own calls. Without
    it the tool's code decides: one that uses a graph or a declared model runs there.

    `quick=True` says that the tool answers within two seconds, with little, and that calling it
    twice does no harm. Its first attempt is then one event of the history instead of six; what
    that does not bring back goes the ordinary way.

    Raises:
        NameTaken: Another tool has that name.
        BadOption: `spec` is no function and no tool, or the options exclude one another.
    """
    if not isinstance(spec, BaseTool) and (not callable(spec) or isinstance(spec, type)):
        raise BadOption(f"{shorten(repr(spec), 60)}: a tool is made of a function or a BaseTool")
    inner = spec if isinstance(spec, BaseTool) else make_tool(spec)
    if isinstance(inner, InterceptedTool):
        raise BadOption(f"tool {inner.name!r} is a perdure.tool already; use it as it is")
    chosen = name or inner.name
    if chosen != inner.name:
        inner = inner.model_copy(update={"name": chosen})
    if where not in (None, "activity", "workflow"):
        raise BadOption(f"where={where!r}: choose 'activity' or 'workflow'")
    if effect and where == "workflow":
        raise BadOption(
            f"tool {chosen!r}: an effect runs as an activity; leave out where='workflow'"
        )
    if quick:
        _check_quick(
            chosen,
            {
                "effect=True": effect,
                "idempotent=False": not idempotent,
                "approve=": approve is not None,
                "where='workflow'": where == "workflow",
            },
        )
        where = "activity"
    at = None if where == "workflow" else declare_server(DECLARED, inner)
    entry = Declaration(
        kind="tool",
        name=chosen,
        identity=_identity(inner),
        build=lambda: inner,
        override=Override(timeout=timeout, heartbeat=heartbeat, retry=retry, quick=quick or None),
        effect=effect,
        idempotent=idempotent,
        approve=approve,
        where=where if at is None else "activity",
        terms=at,
        part=inner,
    )
    return twin_of_tool(DECLARED.add(entry), inner)


class InterceptedTool:
    """What a tool's twin overrides: where the work is done."""

    perdure_declared: ClassVar[Declaration]

    def run(
        self,
        tool_input: str | dict[str, Raw],
        *args: Raw,
        tool_call_id: str | None = None,
        **kwargs: Raw,
    ) -> Raw:
        """Run the tool as plain LangChain; a sync call cannot wait inside a run.

        Raises:
            SyncCall: Called inside a run.
        """
        entry = self.perdure_declared
        if is_inside():
            call = self.arun(tool_input, *args, tool_call_id=tool_call_id, **kwargs)
            return wait_for(call, what=f"tool {entry.name!r}")
        if entry.approve is not None:
            decision = interrupt_for(_value(entry, cast("BaseTool", self), tool_input))
            if decision.type not in ("approve", "edit"):
                return _refusal(entry.name, decision, tool_call_id)
            tool_input = _edited(cast("BaseTool", self), tool_input, decision)
        return _inner(entry).run(tool_input, *args, tool_call_id=tool_call_id, **kwargs)

    async def ainvoke(self, input: Raw, config: RunnableConfig | None = None, **kwargs: Raw) -> Raw:
        """Call the tool; a sync function needs no thread in a run, it runs in the activity."""
        return await BaseTool.ainvoke(cast("BaseTool", self), input, config, **kwargs)

    async def arun(
        self,
        tool_input: str | dict[str, Raw],
        *args: Raw,
        tool_call_id: str | None = None,
        **kwargs: Raw,
    ) -> Raw:
        """Run the tool; ask a person first if the tool says so. Outside a run, call through."""
        run = current_run()
        entry = self.perdure_declared
        # Counted before the person is asked, so that the key does not depend on who decides first.
        position = run.next_tool_call() if run is not None else 0
        guide = AHEAD.get() if run is None else None
        if entry.approve is not None and guide is None:
            decision = await _approve(run, entry, cast("BaseTool", self), tool_input, tool_call_id)
            if decision.type not in ("approve", "edit"):
                return _refusal(entry.name, decision, tool_call_id)
            tool_input = _edited(cast("BaseTool", self), tool_input, decision)
        if run is None and guide is None:
            call = _inner(entry).arun
            return await call(tool_input, *args, tool_call_id=tool_call_id, **kwargs)
        pending = Pending(
            args=tool_input, call_id=tool_call_id, position=position, config=kwargs.get("config")
        )
        token = _PENDING.set(pending)
        try:
            return await _parent(self).arun(tool_input, *args, tool_call_id=tool_call_id, **kwargs)
        finally:
            _PENDING.reset(token)

    async def _arun(self, *args: Raw, **kwargs: Raw) -> Raw:
        run = current_run()
        entry = self.perdure_declared
        pending = _PENDING.get()
        guide = AHEAD.get() if run is None else None
        own = cast("BaseTool", self)
        if pending is not None and guide is not None:
            brought = await guide.tool(entry, pending.args, pending.call_id)
            return _as_pair(own, brought)
        if run is None or pending is None:
            raise NotInRun(f"tool {entry.name!r}: call ainvoke(), not _arun()")
        if stays(run, entry, own):
            inner = type(self).__mro__[type(self).__mro__.index(InterceptedTool) + 1]
            return await run_here(_parent(self), inner, args, kwargs, config=pending.config)
        result = await call_tool(
            run,
            entry,
            pending.args,
            call_id=pending.call_id,
            position=pending.position,
            tool=own,
        )
        return _as_pair(own, result)


def _as_pair(tool: BaseTool, result: Raw) -> Raw:
    wants_pair = tool.response_format == "content_and_artifact"
    if wants_pair and isinstance(result, ToolOutputMixin):
        return result, getattr(result, "artifact", None)
    return result


def _check_quick(name: str, others: Mapping[str, bool]) -> None:
    """Refuse what a quick tool cannot be.

    Raises:
        BadOption: The text names the option.
    """
    for option, given in others.items():
        if given:
            raise BadOption(
                f"tool {name!r}: quick=True and {option} exclude one another; a quick tool only "
                "looks, may be called twice, and asks nobody first. Leave out quick=True"
            )


def _inner(entry: Declaration) -> BaseTool:
    return cast("BaseTool", entry.build())


def _edited(tool: BaseTool, tool_input: Raw, decision: Decision) -> Raw:
    """Put edited arguments in place; what LangGraph injected beside them stays."""
    if decision.args is None:
        return tool_input
    if not isinstance(tool_input, dict):
        return dict(decision.args)
    given = cast("dict[str, Raw]", tool_input)
    return {k: v for k, v in given.items() if k not in arguments_of(tool)} | dict(decision.args)


async def _approve(
    run: Run | None,
    entry: Declaration,
    tool: BaseTool,
    tool_input: str | dict[str, Raw],
    call_id: str | None,
) -> Decision:
    shown = _shown(tool, tool_input)
    return await ask_here(
        run,
        tool_summary(entry.name, shown),
        action=entry.name,
        args=shown,
        terms=entry.approve or Approve(),
        call_id=call_id,
        schema=_schema(tool),
    )


def _value(entry: Declaration, tool: BaseTool, tool_input: str | dict[str, Raw]) -> JsonObject:
    shown = _shown(tool, tool_input)
    title = tool_summary(entry.name, shown)
    return terms_value(title, action=entry.name, args=shown, terms=entry.approve or Approve())


def _shown(tool: BaseTool, tool_input: str | dict[str, Raw]) -> dict[str, Json]:
    if not isinstance(tool_input, dict):
        return {next(iter(arguments_of(tool)), "input"): tool_input}
    known = {*arguments_of(tool), _ONLY}
    return {name: value for name, value in tool_input.items() if name in known}


def _schema(inner: BaseTool) -> JsonObject:
    kind = cast("Raw", inner.tool_call_schema)
    return cast("JsonObject", kind if isinstance(kind, dict) else kind.model_json_schema())


def _refusal(name: str, decision: Decision, call_id: str | None) -> Raw:
    if decision.type == "respond":
        said = decision.value if decision.value is not None else decision.message
        text = said if isinstance(said, str) else str(said)
        return ToolMessage(text, tool_call_id=call_id, name=name) if call_id else said
    why = f": {decision.message}" if decision.message else ""
    verb = "nobody decided in time" if decision.type == "expire" else f"rejected by {decision.by}"
    text = f"The call of {name!r} was not carried out, {verb}{why}"
    if call_id is None:
        raise NotAllowed(text)
    return ToolMessage(text, tool_call_id=call_id, name=name, status="error")


def twin_of_tool(entry: Declaration, inner: BaseTool) -> BaseTool:
    """Make a copy of a tool, of a subclass of its class, that calls through activities."""
    kind = _twin_class(type(inner))
    made = cast("Raw", type(kind))(
        kind.__name__,
        (kind,),
        {
            "__module__": kind.__module__,
            "__annotations__": {"perdure_declared": ClassVar[Declaration]},
            "perdure_declared": entry,
        },
    )
    copy: BaseTool = made.__new__(made)
    for attribute in ("__dict__", "__pydantic_extra__", "__pydantic_private__"):
        value = cast("dict[str, Raw] | None", getattr(inner, attribute))
        object.__setattr__(copy, attribute, dict(value) if value is not None else None)
    object.__setattr__(copy, "__pydantic_fields_set__", set(inner.model_fields_set))
    return copy


@cache
def _twin_class(kind: type[BaseTool]) -> type[BaseTool]:
    body: dict[str, Raw] = {"__module__": kind.__module__, "__qualname__": kind.__qualname__}
    return cast("Raw", type(kind))(kind.__name__, (InterceptedTool, kind), body)


def _parent(self: InterceptedTool) -> BaseTool:
    return cast("BaseTool", super(InterceptedTool, self))


def _identity(inner: BaseTool) -> object:
    call = getattr(inner, "coroutine", None) or getattr(inner, "func", None)
    return identity_of(inner) if call is None else identity_of_call(call)
