"""The activity that runs one whole node of a graph, or one task of the functional API."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import fields
from datetime import UTC, datetime
from inspect import iscoroutinefunction, signature
from typing import cast

from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.channels import LastValue
from langgraph.errors import GraphInterrupt
from langgraph.pregel import NodeBuilder, Pregel
from langgraph.runtime import ExecutionInfo, Runtime
from langgraph.store.base import BaseStore
from temporalio import activity
from temporalio.exceptions import ApplicationError

from perdure.activity.evidence import scrub
from perdure.activity.failure import as_application_error, classify
from perdure.activity.heartbeat import heartbeats
from perdure.activity.resolver import Resolver
from perdure.activity.throwing import write_exception
from perdure.core.declared import Table
from perdure.core.jsons import Json, Raw
from perdure.core.names import NODE_ACTIVITY
from perdure.core.nodes import NodeCall, NodeReply
from perdure.core.ports import Codec
from perdure.errors import (
    Incompatible,
    NodeFailed,
    PayloadTooLarge,
    PerdureError,
    UnknownNode,
    UsageError,
)

_GO = "go"


class NodeActivities:
    """Runs nodes, with what it needs from the worker."""

    def __init__(
        self,
        *,
        graph: Callable[[str], object],
        declared: Table,
        codec: Codec,
        store: Callable[[], Awaitable[object]] | None = None,
        resolver: Resolver | None = None,
    ) -> None:
        self._resolver = resolver or Resolver()
        self._graph = graph
        self._declared = declared
        self._codec = codec
        self._store = store

    @activity.defn(name=NODE_ACTIVITY)
    async def node(self, raw: Raw) -> Raw:
        """Run one node from its top to its end, or to an interrupt without an answer.

        A sync function runs in a thread, so it may block. Models and tools that it calls are
        called straight through: they are part of this one activity.

        Raises:
            ApplicationError: The node failed; whether Temporal tries again is the classifier's
                verdict, unless the graph has a retry policy of its own.
        """
        try:
            async with heartbeats():
                call = NodeCall.from_json(await self._resolver.grow(raw))
        except PerdureError as error:
            raise _final(error) from error
        label = "/".join(call.path) or call.name or ""
        try:
            run = self._find(call)
            start = self._start(call)
            store = None if self._store is None else cast("BaseStore", await self._store())
        except PerdureError as error:
            raise _final(error) from error
        attempt = _Attempt(run=run, start=start, name=call.path[-1] if call.path else "task")
        try:
            async with heartbeats():
                await attempt.make(store)
        except PerdureError as error:
            raise _final(error) from error
        except Exception as error:
            if call.foreign:
                raise  # Temporal's own rules of failure hold
            raise _failure(error, call, label, self._codec) from error
        return self._reply(attempt, label)

    def _find(self, call: NodeCall) -> "_Body":
        node = _walk(self._graph, call) if call.path else None
        if node is not None:
            bound = cast("Runnable[Raw, Raw]", getattr(node, "bound", None))
            mapper = cast("Callable[[Raw], Raw] | None", getattr(node, "mapper", None))
            return _Body(bound=bound, mapper=mapper if call.mapped else None)
        entry = self._declared.find("node", call.name) if call.name else None
        if entry is None:
            where = "/".join(call.path) or call.name
            raise UnknownNode(
                f"this worker has no node {where!r} of agent {call.agent!r} that runs as an "
                "activity; all workers of a task queue must have the same agents. A node of a "
                "graph that is no registered agent must be declared: perdure.node(fn)"
            )
        return _Body(function=cast("Callable[..., Raw]", entry.build()), is_task=not call.path)

    def _start(self, call: NodeCall) -> "_Start":
        decode = self._codec.decode
        info = cast("dict[str, Raw] | None", decode(call.info))
        known = {f.name for f in fields(ExecutionInfo)}
        return _Start(
            input=decode(call.input),
            config=cast("dict[str, Raw]", decode(call.config) or {}),
            context=decode(call.context),
            previous=decode(call.previous),
            info=ExecutionInfo(**{k: v for k, v in info.items() if k in known}) if info else None,
            answers=cast("list[Raw]", decode(call.answers) or []),
        )

    def _reply(self, attempt: "_Attempt", label: str) -> Json:
        what = f"the result of node {label!r}"
        try:
            reply = NodeReply(
                result=self._codec.encode(attempt.result, what=what),
                asked=self._codec.encode(attempt.asked, what=f"an interrupt of node {label!r}"),
                chunks=tuple(
                    self._codec.encode(chunk, what=f"a chunk of node {label!r}")
                    for chunk in attempt.chunks
                ),
            ).to_json()
        except PerdureError as error:
            raise _final(error) from error
        size = self._codec.size(reply)
        if size > self._codec.largest:
            text = f"{what} takes {size:,} bytes; at most {self._codec.largest:,} can be carried"
            raise _final(PayloadTooLarge(f"{text}. Return a reference to where it is stored"))
        self._resolver.shelf.learn(reply)
        return reply


class _Body:
    """What is run: a node's runnable, or a function."""

    def __init__(
        self,
        *,
        bound: Runnable[Raw, Raw] | None = None,
        mapper: Callable[[Raw], Raw] | None = None,
        function: Callable[..., Raw] | None = None,
        is_task: bool = False,
    ) -> None:
        self._bound = bound
        self._mapper = mapper
        self._function = function
        self._is_task = is_task

    async def __call__(self, given: Raw, config: RunnableConfig, runtime: Runtime[Raw]) -> Raw:
        if self._bound is not None:
            return await self._bound.ainvoke(self._mapper(given) if self._mapper else given, config)
        call = cast("Callable[..., Raw]", self._function)
        args: list[Raw]
        named: dict[str, Raw]
        args, named = given if self._is_task else ([given], {})
        kwargs = {**named, **_injected(call, args, named, config, runtime)}
        if iscoroutinefunction(call):
            return await call(*args, **kwargs)
        return await asyncio.to_thread(call, *args, **kwargs)


def _injected(
    call: Callable[..., Raw],
    args: list[Raw],
    kwargs: Mapping[str, Raw],
    config: RunnableConfig,
    runtime: Runtime[Raw],
) -> dict[str, Raw]:
    """Give a function what LangGraph injects by the name of the parameter."""
    offered: dict[str, Raw] = {
        "config": config,
        "runtime": runtime,
        "writer": runtime.stream_writer,
        "store": runtime.store,
        "previous": runtime.previous,
    }
    wanted = list(signature(call).parameters)[len(args) :]
    return {name: offered[name] for name in wanted if name in offered and name not in kwargs}


class _Start:
    """What a node is called with."""

    def __init__(
        self,
        *,
        input: Raw,
        config: dict[str, Raw],
        context: Raw,
        previous: Raw,
        info: ExecutionInfo | None,
        answers: list[Raw],
    ) -> None:
        self.input = input
        self.config = config
        self.context = context
        self.previous = previous
        self.info = info
        self.answers = answers

    def prepare(self, config: RunnableConfig) -> tuple[RunnableConfig, Runtime[Raw], Raw]:
        """Complete the config that LangGraph made for this attempt.

        Returns also its runtime and its scratchpad, which are found by what they are: their
        keys are LangGraph's own.

        Raises:
            Incompatible: This LangGraph has none.
        """
        parts: dict[str, Raw] = dict(config.get("configurable") or {})
        held = next((k for k, v in parts.items() if isinstance(v, Runtime)), None)
        pad = next((v for v in parts.values() if hasattr(v, "interrupt_counter")), None)
        if held is None or not isinstance(getattr(pad, "resume", None), list):
            raise Incompatible("this version of LangGraph gives a node no runtime or scratchpad")
        runtime = cast("Runtime[Raw]", parts[held])
        if self.info is not None:
            runtime = runtime.override(previous=self.previous, execution_info=self.info)
        else:
            runtime = runtime.override(previous=self.previous)
        parts[held] = runtime
        cast("list[Raw]", cast("Raw", pad).resume).extend(self.answers)
        own: dict[str, Raw] = self.config.get("metadata") or {}
        metadata = {**(config.get("metadata") or {}), **own}
        whole: RunnableConfig = {**config, "configurable": parts, "metadata": metadata}
        return whole, runtime, pad


class _Attempt:
    """One execution of a node, in a graph of its own so that LangGraph prepares everything."""

    def __init__(self, *, run: _Body, start: _Start, name: str) -> None:
        self._run = run
        self._start = start
        self._name = name
        self.result: Raw = None
        self.asked: list[Raw] | None = None
        self.chunks: list[Raw] = []

    async def make(self, store: BaseStore | None) -> None:
        """Run the node; keep what it returned, asked and streamed."""
        start = self._start
        graph = Pregel[Raw, Raw, Raw, Raw](
            nodes={self._name: NodeBuilder().subscribe_only(_GO).do(self._body)},
            channels={_GO: LastValue(bool)},
            input_channels=_GO,
            output_channels=_GO,
            store=store,
        )
        stream = cast("Raw", graph.astream)(
            True,
            cast("RunnableConfig", start.config),
            context=start.context,
            stream_mode="custom",
        )
        async for chunk in stream:
            self.chunks.append(chunk)

    async def _body(self, _: bool, config: RunnableConfig) -> None:
        start = self._start
        whole, runtime, pad = start.prepare(config)
        try:
            self.result = await self._run(start.input, whole, runtime)
        except GraphInterrupt as pause:
            if pad.interrupt_counter() != len(start.answers) + 1:
                raise UsageError(
                    "a graph that was called inside a node activity asked a person; its place "
                    "cannot be kept. Let that node run in the workflow"
                ) from pause
            self.asked = [one.value for one in pause.args[0]][:1]


def _walk(graph: Callable[[str], object], call: NodeCall) -> object | None:
    """Find a node by the names on the way to it; None if it cannot be reached so."""
    try:
        held: Raw = graph(call.agent)
    except PerdureError:
        return None
    *above, last = call.path
    for name in above:
        below: list[Raw] = list(getattr(held.nodes.get(name), "subgraphs", ()))
        if len(below) != 1:
            return None
        held = below[0]
    return held.nodes.get(last)


def _failure(error: Exception, call: NodeCall, label: str, codec: Codec) -> ApplicationError:
    verdict = classify(error, now=datetime.now(UTC), kind="tool")
    failure = as_application_error(
        error,
        verdict,
        code=NodeFailed.code,
        subject=f"node {label!r}",
        thrown=write_exception(error, codec),
    )
    if not call.final or failure.non_retryable:
        return failure
    return ApplicationError(
        failure.message, *failure.details, type=failure.type, non_retryable=True
    )


def _final(error: PerdureError) -> ApplicationError:
    return ApplicationError(scrub(str(error)), type=error.code, non_retryable=True)
