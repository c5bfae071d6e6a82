"""The activities: carry out one model call or one tool call that a run asks for."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import cast

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from temporalio import activity
from temporalio.exceptions import ApplicationError

from perdure.activity.effects import KEY
from perdure.activity.evidence import text_of
from perdure.activity.failure import as_application_error, classify
from perdure.activity.fusing import Fuser
from perdure.activity.heartbeat import heartbeats
from perdure.activity.live import Listeners, Speaker
from perdure.activity.pacing import Pacer
from perdure.activity.performing import Memory, perform
from perdure.activity.provider import tune
from perdure.activity.quick import about, carried
from perdure.activity.replies import check, collect
from perdure.activity.resolver import Resolver
from perdure.activity.throwing import write_exception
from perdure.core.causes import words
from perdure.core.declared import Declaration, Table
from perdure.core.frames import StreamSink
from perdure.core.jsons import Json, JsonObject, Raw, as_object
from perdure.core.names import MODEL_ACTIVITY, TOOL_ACTIVITY
from perdure.core.options import LLM_RETRY, TOOL_RETRY, Retry
from perdure.core.ports import Codec, Notify
from perdure.core.toolservers import ServerTool
from perdure.core.verdicts import Verdict, no_sooner
from perdure.core.wire import ModelCall, ModelReply, ToolCall
from perdure.errors import (
    ModelFailed,
    NewerWire,
    PayloadTooLarge,
    PerdureError,
    ToolFailed,
    UnknownModel,
    UnknownTool,
)


class Activities:
    """The two activities of a worker, with what they need from it."""

    def __init__(
        self,
        *,
        declared: Table,
        codec: Codec,
        pacer: Pacer,
        notify: Notify | None = None,
        sink: StreamSink | None = None,
        memory: Memory | None = None,
        servers: Callable[[ToolCall], BaseTool] | None = None,
        resolver: Resolver | None = None,
    ) -> None:
        self._servers = servers
        self._memory = memory
        self._sink = sink
        self._declared = declared
        self._codec = codec
        self._pacer = pacer
        self._notify = notify
        self._resolver = resolver or Resolver()
        self._fuser = Fuser(declared=declared, codec=codec)
        self._tuned = lru_cache(maxsize=64)(self._tune)

    @activity.defn(name=MODEL_ACTIVITY)
    async def model(self, raw: Raw) -> Raw:
        """Make one request to a model. One HTTP request per attempt.

        Raises:
            ApplicationError: The call failed; its type is a code of `perdure.errors`, whether
                and when Temporal tries again is the classifier's verdict.
        """
        asked = as_object(raw, what="a model call")
        what = f"the reply of model {asked.get('model')!r}"
        async with heartbeats() as pulse:
            reply = self._fuser.resume(asked)
            if reply is None:
                reply = await self._reply(asked)
            fuse = asked.get("fuse")
            apart = cast("list[str]", fuse) if isinstance(fuse, list) else None
            reply = await self._fuser.finish(apart, reply, pulse)
        return self._carry(reply.to_json(), what=what)

    async def _reply(self, raw: JsonObject) -> ModelReply:
        try:
            call = ModelCall.from_json(await self._resolver.grow(raw))
            messages = cast("list[BaseMessage]", self._codec.decode(call.messages))
            options = cast("dict[str, Raw]", self._codec.decode(call.options)) or {}
            model = self._tuned(call.model, call.attempt_timeout)
        except PerdureError as error:
            raise _final(error) from error
        return await self._answer(call.model, model, messages, options, self._listeners(call))

    async def once(
        self, name: str, seconds: float, messages: Sequence[Raw], options: Mapping[str, Raw]
    ) -> JsonObject:
        """Make one request to a model within another activity; returns the reply as JSON."""
        model = self._tuned(name, seconds)
        nobody = Listeners(speaker=None, keep=False)
        reply = await self._answer(name, model, list(messages), dict(options), nobody)
        return reply.to_json()

    async def alone(self, entry: Declaration, args: Raw, call_id: str | None) -> Json:
        """Call a quick tool within another activity; None if its own call has to be made."""
        return await self._fuser.alone(entry, args, call_id)

    async def _answer(
        self,
        name: str,
        model: BaseChatModel,
        messages: list[BaseMessage],
        options: dict[str, Raw],
        listeners: Listeners,
    ) -> ModelReply:
        what = f"the reply of model {name!r}"
        await self._pacer.wait(name)
        message, faults = await self._ask(name, model, messages, options, listeners)
        usage = cast("Mapping[str, Json]", message.usage_metadata or {})
        self._report(name, message, usage)
        return ModelReply(
            message=self._codec.encode(message, what=what),
            faults=faults,
            usage=usage,
            chunks=listeners.chunks(self._codec, what),
            servers=self._served(message),
            quick=self._quick(message),
        )

    async def _ask(
        self,
        name: str,
        model: BaseChatModel,
        messages: list[BaseMessage],
        options: dict[str, Raw],
        listeners: Listeners,
    ) -> tuple[AIMessage, tuple[dict[str, Json], ...]]:
        bound = cast("Runnable[Raw, AIMessage]", model.bind(**options) if options else model)
        try:
            async with listeners:
                message = await collect(bound, messages, tell=listeners.tell)
            faults = check(message, options)
        except Exception as error:  # noqa: BLE001 - it is raised again, scrubbed
            verdict = _paced(classify(error, now=datetime.now(UTC), kind="model"), LLM_RETRY)
            if verdict.act == "retry" and verdict.after is not None:
                self._pacer.pause(name, verdict.after)
            code, subject = ModelFailed.code, f"model {name!r}"
            raise self._failure(error, verdict, code, subject) from _cause(error)
        silent = next((f for f in faults if f.kind == "no_stop_reason"), None)
        if silent is not None:
            cut = ConnectionError(silent.text)
            verdict = Verdict(act="retry", reason=silent.text)
            code, subject = ModelFailed.code, f"model {name!r}"
            raise as_application_error(cut, verdict, code=code, subject=subject)
        return message, tuple(fault.to_json() for fault in faults)

    @activity.defn(name=TOOL_ACTIVITY)
    async def tool(self, raw: Raw) -> Raw:
        """Call one tool.

        Raises:
            ApplicationError: As for `model`.
        """
        asked = as_object(raw, what="a tool call")
        subject = f"tool {asked.get('tool')!r}"
        told = about(asked) if activity.info().is_local else None
        token = KEY.set(cast("str | None", asked.get("key")))
        try:
            async with heartbeats():
                call = ToolCall.from_json(await self._resolver.grow(asked))
                tool = self._tool(call)
                outcome = await perform(
                    tool,
                    call,
                    codec=self._codec,
                    table=self._declared,
                    memory=self._memory,
                    sink=self._sink,
                )
        except PerdureError as error:
            raise _final(error) from error
        except Exception as error:  # noqa: BLE001 - it is raised again, scrubbed
            verdict = _paced(classify(error, now=datetime.now(UTC), kind="tool"), TOOL_RETRY)
            code = ToolFailed.code
            raise self._failure(error, verdict, code, subject, call=told) from _cause(error)
        finally:
            KEY.reset(token)
        if told is not None:
            return carried(outcome, told, self._codec, self._resolver.shelf)
        return self._carry(outcome.to_json(), what=f"the result of {subject}")

    def _served(self, message: AIMessage) -> dict[str, ServerTool]:
        found = {c["name"]: self._declared.find("tool", c["name"]) for c in message.tool_calls}
        return {n: e.terms for n, e in found.items() if e and isinstance(e.terms, ServerTool)}

    def _quick(self, message: AIMessage) -> tuple[str, ...]:
        names = dict.fromkeys(call["name"] for call in message.tool_calls)
        found = [self._declared.find("tool", name) for name in names]
        return tuple(e.name for e in found if e and e.override.quick and not e.effect)

    def _tool(self, call: ToolCall) -> BaseTool:
        if call.server is not None and self._servers is not None:
            return self._servers(call)
        return cast("BaseTool", self._find("tool", call.tool).build())

    def _failure(
        self,
        error: Exception,
        verdict: Verdict,
        code: str,
        subject: str,
        *,
        call: JsonObject | None = None,
    ) -> ApplicationError:
        thrown = write_exception(error, self._codec)
        return as_application_error(
            error, verdict, code=code, subject=subject, thrown=thrown, call=call
        )

    def _listeners(self, call: ModelCall) -> Listeners:
        speaker = None
        if call.live is not None and self._sink is not None:
            speaker = Speaker(sink=self._sink, codec=self._codec, live=call.live, mode="messages")
        return Listeners(speaker=speaker, keep=call.chunks)

    def _tune(self, name: str, seconds: float) -> BaseChatModel:
        built = cast("BaseChatModel", self._find("model", name).build())
        return tune(built, timeout=timedelta(seconds=seconds))

    def _find(self, kind: Raw, name: str) -> Declaration:
        entry = self._declared.find(kind, name)
        if entry is not None:
            return entry
        known = ", ".join(self._declared.names(kind)) or "none"
        error = UnknownModel if kind == "model" else UnknownTool
        raise error(
            f"no {kind} {name!r} is declared on this worker; known: {known}. "
            f"Declare it where the app is imported: perdure.{kind}(...)"
        )

    def _carry(self, data: Json, *, what: str) -> Json:
        size = self._codec.size(data)
        if size > self._codec.largest:
            raise _final(
                PayloadTooLarge(
                    f"{what} takes {size:,} bytes; at most {self._codec.largest:,} can be carried. "
                    "Return less, or a reference to where it is stored"
                )
            )
        self._resolver.shelf.learn(data)
        return data

    def _report(self, name: str, message: AIMessage, usage: Mapping[str, Json]) -> None:
        if self._notify is not None:
            metadata = cast("Mapping[str, Json]", message.response_metadata)
            told = metadata.get("model_name") or metadata.get("model") or name
            self._notify(MODEL_ACTIVITY, {"name": name, "model": told, **usage})


def _paced(verdict: Verdict, otherwise: Retry) -> Verdict:
    """Never try again sooner than the call's own backoff says.

    Some servers do not tell an activity its retry policy; `otherwise` stands in for it.
    """
    info = activity.info()
    policy = info.retry_policy
    retry = otherwise
    if policy is not None:
        longest = policy.maximum_interval or policy.initial_interval * 100
        retry = Retry(
            initial=policy.initial_interval,
            backoff=policy.backoff_coefficient,
            maximum=max(longest, policy.initial_interval),
            attempts=max(policy.maximum_attempts, 1),
        )
    return no_sooner(verdict, attempt=info.attempt, retry=retry)


def _cause(error: Exception) -> Exception:
    """Stand in for an error in the history: its class and trace, its text short and scrubbed."""
    try:
        text = text_of(error)
    except Exception:  # noqa: BLE001 - an exception's own code may fail too
        text = words(error)
    kind = cast("type[Exception]", type(type(error).__name__, (Exception,), {}))
    plain = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return kind(plain).with_traceback(error.__traceback__)


def _final(error: PerdureError) -> ApplicationError:
    final = not isinstance(error, NewerWire)
    return ApplicationError(str(error), type=error.code, non_retryable=final)
