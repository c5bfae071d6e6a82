"""`perdure.model`: a chat model whose every call inside a run is one activity."""

# pyright: reportPrivateUsage=false
# `_generate`, `_stream` and their twins are the hooks that LangChain documents.

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import timedelta
from functools import cache
from typing import ClassVar, cast

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from pydantic import BaseModel, PrivateAttr

from perdure.core.ahead import AHEAD
from perdure.core.declared import DECLARED, Declaration
from perdure.core.jsons import Raw, shorten
from perdure.core.options import Override, Retry
from perdure.core.recipes import imported_class
from perdure.errors import BadOption, MissingExtra, UnknownModel
from perdure.workflow.bridge import wait_for
from perdure.workflow.calls import call_model
from perdure.workflow.current import current_run, is_inside
from perdure.workflow.identity import identity_of

_EXTRAS = ("anthropic", "openai")


def model(
    spec: str | BaseChatModel,
    *,
    name: str | None = None,
    timeout: timedelta | None = None,
    heartbeat: timedelta | None = None,
    retry: Retry | None = None,
    repairs: int | None = None,
    **settings: Raw,
) -> BaseChatModel:
    """Declare a chat model; inside a run each of its calls is one recorded activity.

    `spec` is a name that LangChain's `init_chat_model` knows ("anthropic:claude-sonnet-4-6",
    with `settings` passed on to it) or a chat model of your own, which is not changed. Runs
    where the app is imported. Outside a run the model is called straight through.

    The call crosses the wire by `name` only, never as an object, so every worker must declare
    the same models. `timeout` limits one attempt, `repairs` how often the model is told what is
    wrong with its answer.

    Raises:
        NameTaken: Another model, or the same with other options, has that name.
        BadOption: `settings` were given with a model object, or `spec` is no model.
    """
    if not isinstance(cast("Raw", spec), str | BaseChatModel) or not spec:
        raise BadOption(
            f"{shorten(repr(spec), 60)}: a model is a name like 'anthropic:claude-sonnet-4-6' or a "
            "chat model; bind tools and settings to what perdure.model() returns"
        )
    override = Override(timeout=timeout, heartbeat=heartbeat, retry=retry, repairs=repairs)
    if isinstance(spec, str):
        chosen = name or spec
        told = tuple(sorted((k, repr(v)) for k, v in settings.items()))
        identity: object = (spec, told, override)
        build = builder_of(spec, settings)
        DECLARED.add(
            Declaration(
                kind="model", name=chosen, identity=identity, build=build, override=override
            )
        )
        return NamedModel.of(chosen, spec)
    if settings:
        raise BadOption(
            f"{', '.join(settings)}: settings go with a model's name; set them on the object"
        )
    inner = spec
    chosen = name or _default_name(inner)
    if isinstance(inner, Intercepted | NamedModel):
        raise BadOption(f"model {chosen!r} is a perdure.model already; use it as it is")
    entry = Declaration(
        kind="model",
        name=chosen,
        identity=(identity_of(inner), override),
        build=lambda: inner,
        override=override,
        part=inner,
    )
    return twin(DECLARED.add(entry), inner)


def _class_of(named: "NamedModel") -> type:
    """Return the class that a model known by name passes for."""
    made = cast("dict[str, Raw] | None", object.__getattribute__(named, "__pydantic_private__"))
    spec = cast("str | None", made.get("_spec")) if made else None
    kind = imported_class(spec) if spec is not None else None
    return kind or type(named)


class NamedModel(BaseChatModel):
    """A model known by name; the provider's class is loaded when it is first needed.

    Code that asks `isinstance(model, ChatAnthropic)` has imported that class, so only then is
    there something to answer: the model passes for the provider's class from the moment that
    somebody has imported it, and importing the app loads no provider.
    """

    declared: str
    _spec: str | None = PrivateAttr(default=None)
    """What LangChain calls the model; None while the object is being made."""

    __class__ = property(_class_of)  # type: ignore[assignment]

    @classmethod
    def of(cls, declared: str, spec: str | None = None) -> "NamedModel":
        """Make a stand-in for a declared model; `spec` is what LangChain calls it."""
        made = cls(declared=declared)
        made._spec = spec or declared
        return made

    def __getattr__(self, name: str) -> Raw:
        # A setting of the provider's class, which whoever takes the model for one may read.
        if name.startswith("_") or self._spec is None:
            return super().__getattr__(name)  # type: ignore[misc]
        return getattr(self._twin(), name)

    def __getattribute__(self, name: str) -> Raw:
        # LangChain reads the profile while it makes a model, which must not load the provider.
        if name == "profile" and self._spec is not None:
            return self._twin().profile
        return super().__getattribute__(name)

    @property
    def _llm_type(self) -> str:
        return "perdure"

    def _twin(self) -> BaseChatModel:
        return twin_of(self.declared)

    def bind_tools(
        self,
        tools: Sequence[dict[str, Raw] | type | Callable[..., Raw] | BaseTool],
        **kwargs: Raw,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Bind tools in the provider's own format."""
        return self._twin().bind_tools(tools, **kwargs)

    def with_structured_output(
        self, schema: dict[str, Raw] | type, **kwargs: Raw
    ) -> Runnable[LanguageModelInput, dict[str, Raw] | BaseModel]:
        """Ask for structured output in the provider's own way."""
        return self._twin().with_structured_output(schema, **kwargs)

    def get_num_tokens(self, text: str) -> int:
        """Count tokens as the provider's class does."""
        return self._twin().get_num_tokens(text)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Raw,
    ) -> ChatResult:
        return self._twin()._generate(messages, stop, run_manager, **kwargs)  # noqa: SLF001

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Raw,
    ) -> ChatResult:
        if is_inside():
            return await _call(self.declared, messages, stop, kwargs)
        return await self._twin()._agenerate(messages, stop, run_manager, **kwargs)  # noqa: SLF001

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Raw,
    ) -> Iterator[ChatGenerationChunk]:
        twin = self._twin()
        if isinstance(twin, InterceptedStream):
            yield from twin._stream(messages, stop, run_manager, **kwargs)  # noqa: SLF001
        else:
            yield _chunk(twin._generate(messages, stop, run_manager, **kwargs))  # noqa: SLF001

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Raw,
    ) -> AsyncIterator[ChatGenerationChunk]:
        if is_inside():
            for chunk in await _call_streamed(self.declared, messages, stop, kwargs):
                yield chunk
            return
        twin = self._twin()
        if isinstance(twin, InterceptedStream):
            async for chunk in twin._astream(messages, stop, run_manager, **kwargs):  # noqa: SLF001
                yield chunk
        else:
            yield _chunk(await twin._agenerate(messages, stop, run_manager, **kwargs))  # noqa: SLF001


class Intercepted:
    """What a twin overrides of its provider's class: the methods that do the call."""

    perdure_name: ClassVar[str]

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Raw,
    ) -> ChatResult:
        if not is_inside():
            return _parent(self)._generate(messages, stop, run_manager, **kwargs)  # noqa: SLF001
        return _wait(self.perdure_name, messages, stop, kwargs)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Raw,
    ) -> ChatResult:
        if not is_inside():
            return await _parent(self)._agenerate(messages, stop, run_manager, **kwargs)  # noqa: SLF001
        return await _call(self.perdure_name, messages, stop, kwargs)


class InterceptedStream(Intercepted):
    """The same for a class that streams: inside a run the reply comes as one chunk.

    It is recorded whole before the graph sees it. Readers get the tokens beside the history.
    """

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Raw,
    ) -> Iterator[ChatGenerationChunk]:
        if not is_inside():
            yield from _parent(self)._stream(messages, stop, run_manager, **kwargs)  # noqa: SLF001
            return
        streamed = _call_streamed(self.perdure_name, messages, stop, kwargs)
        yield from wait_for(streamed, what=f"model {self.perdure_name!r}")

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Raw,
    ) -> AsyncIterator[ChatGenerationChunk]:
        if not is_inside():
            parent = _parent(self)._astream(messages, stop, run_manager, **kwargs)  # noqa: SLF001
            async for chunk in parent:
                yield chunk
            return
        for chunk in await _call_streamed(self.perdure_name, messages, stop, kwargs):
            yield chunk


def twin(entry: Declaration, inner: BaseChatModel) -> BaseChatModel:
    """Make a copy of a chat model, of a subclass of its class, that calls through activities.

    Everything that does no I/O (binding tools, structured output, profile, type checks by
    middleware) stays the provider's own code.
    """
    kind = _twin_class(type(inner), entry.name)
    copy = kind.__new__(kind)
    for attribute in ("__dict__", "__pydantic_extra__", "__pydantic_private__"):
        value = cast("dict[str, Raw] | None", getattr(inner, attribute))
        object.__setattr__(copy, attribute, dict(value) if value is not None else None)
    object.__setattr__(copy, "__pydantic_fields_set__", set(inner.model_fields_set))
    return copy


def twin_of(name: str) -> BaseChatModel:
    """Return the twin of a declared model, building the provider's object if need be.

    Raises:
        UnknownModel: No model of that name is declared in this process.
        MissingExtra: The provider's package is not installed.
    """
    entry = DECLARED.find("model", name)
    if entry is None:
        known = ", ".join(DECLARED.names("model")) or "none"
        raise UnknownModel(f"no model {name!r} is declared in this process; known: {known}")
    return twin(entry, cast("BaseChatModel", entry.build()))


async def _call(
    name: str,
    messages: list[BaseMessage],
    stop: list[str] | None,
    options: dict[str, Raw],
    *,
    chunks: list[AIMessageChunk] | None = None,
) -> ChatResult:
    run, guide = current_run(), AHEAD.get()
    bound = {**options, "stop": stop} if stop else options
    if run is None and guide is not None:
        told = await guide.model(name, messages, bound)
        return ChatResult(generations=[ChatGeneration(message=told)])
    entry = run.host.declared.find("model", name) if run is not None else None
    if run is None or entry is None:
        raise UnknownModel(f"no model {name!r} is declared on this worker")
    message = await call_model(run, entry, messages, bound, chunks=chunks)
    return ChatResult(generations=[ChatGeneration(message=message)])


async def _call_streamed(
    name: str, messages: list[BaseMessage], stop: list[str] | None, options: dict[str, Raw]
) -> list[ChatGenerationChunk]:
    """Call a model; returns its whole reply as one chunk, or the provider's if the run says so."""
    run = current_run()
    if run is None or not run.start.chunks:
        return [_chunk(await _call(name, messages, stop, options))]
    chunks: list[AIMessageChunk] = []
    result = await _call(name, messages, stop, options, chunks=chunks)
    if not chunks or "parsed" in result.generations[0].message.additional_kwargs:
        return [_chunk(result)]
    return [ChatGenerationChunk(message=chunk) for chunk in chunks]


def _wait(
    name: str, messages: list[BaseMessage], stop: list[str] | None, options: dict[str, Raw]
) -> ChatResult:
    return wait_for(_call(name, messages, stop, options), what=f"model {name!r}")


def _chunk(result: ChatResult) -> ChatGenerationChunk:
    """Write a whole reply as the one chunk of a stream."""
    message = result.generations[0].message
    whole = AIMessageChunk(**message.model_dump(exclude={"type"}), chunk_position="last")
    return ChatGenerationChunk(message=whole)


def _parent(self: Intercepted) -> BaseChatModel:
    """Return the provider's own methods of a twin."""
    return cast("BaseChatModel", super(Intercepted, self))


@cache
def _twin_class(kind: type[BaseChatModel], name: str) -> type[BaseChatModel]:
    streams = (
        kind._astream is not BaseChatModel._astream  # noqa: SLF001
        or kind._stream is not BaseChatModel._stream  # noqa: SLF001
    )
    mixin = InterceptedStream if streams else Intercepted
    body: dict[str, Raw] = {
        "__module__": kind.__module__,
        "__qualname__": kind.__qualname__,
        "__annotations__": {"perdure_name": ClassVar[str]},
        "perdure_name": name,
    }
    return cast("Raw", type(kind))(kind.__name__, (mixin, kind), body)


def builder_of(spec: str, settings: dict[str, Raw]) -> Callable[[], BaseChatModel]:
    """Return what makes a model, once, of a name that LangChain's `init_chat_model` knows."""

    @cache
    def build() -> BaseChatModel:
        from langchain.chat_models import init_chat_model  # noqa: PLC0415 - slow, and only here

        try:
            return cast("BaseChatModel", init_chat_model(spec, **settings))
        except ImportError as error:
            extra = spec.partition(":")[0]
            mend = f"; try: pip install 'perdure[{extra}]'" if extra in _EXTRAS else ""
            raise MissingExtra(
                f"model {spec!r} needs a package that is not installed ({error}){mend}"
            ) from error

    return build


def _default_name(inner: BaseChatModel) -> str:
    label = getattr(inner, "model_name", None) or getattr(inner, "model", None)
    kind = type(inner).__name__
    return f"{kind}:{label}" if isinstance(label, str) else kind
