"""The two kits, and the chat model that both have: it says what a case wants."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.tools import BaseTool
from langchain_core.tools import tool as make_tool
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import ConfigDict

import perdure

Say = Callable[[list[BaseMessage]], AIMessage]


class Scripted(BaseChatModel):
    """Answer with whatever `say` makes of the conversation."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    say: Say
    model_name: str = "scripted"

    @property
    def _llm_type(self) -> str:
        return "scripted"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model_name": self.model_name}

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Any:
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **kwargs)

    def _answer(self, messages: list[BaseMessage]) -> AIMessage:
        return self.say(messages).model_copy()  # LangChain writes an id on what it is given

    def _generate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **_: Any
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self._answer(messages))])

    def _stream(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **_: Any
    ) -> Iterator[ChatGenerationChunk]:
        """Give the text word by word, then the calls."""
        answer = self._answer(messages)
        words = answer.text.split(" ") if answer.text else []
        for number, word in enumerate(words):
            text = word if number == 0 else f" {word}"
            chunk = ChatGenerationChunk(message=AIMessageChunk(text))
            if run_manager is not None:
                run_manager.on_llm_new_token(text, chunk=chunk)
            yield chunk
        if answer.tool_calls:
            pieces: Any = [
                {
                    "name": call["name"],
                    "args": _json(call["args"]),
                    "id": call["id"],
                    "index": number,
                    "type": "tool_call_chunk",
                }
                for number, call in enumerate(answer.tool_calls)
            ]
            yield ChatGenerationChunk(message=AIMessageChunk("", tool_call_chunks=pieces))
        yield ChatGenerationChunk(message=AIMessageChunk("", chunk_position="last"))


def _json(value: Any) -> str:
    from json import dumps  # noqa: PLC0415 - for this line only

    return dumps(value)


def lines(*answers: Any) -> Say:
    """Answer number n when n answers of the model are in the conversation already."""
    if len(answers) == 1 and callable(answers[0]):
        speak = answers[0]

        def spoken(messages: list[BaseMessage]) -> AIMessage:
            said = speak(messages)
            return AIMessage(said) if isinstance(said, str) else said

        return spoken

    def say(messages: list[BaseMessage]) -> AIMessage:
        number = sum(isinstance(m, AIMessage) for m in messages)
        answer = answers[min(number, len(answers) - 1)]
        if isinstance(answer, Exception):
            raise answer
        return AIMessage(answer) if isinstance(answer, str) else answer

    return say


def calls(name: str, *arguments: dict[str, Any], turn: int = 1) -> AIMessage:
    """Call one tool once or several times in parallel."""
    return AIMessage(
        "",
        tool_calls=[
            {"name": name, "args": args, "id": f"{name}-{turn}.{number}", "type": "tool_call"}
            for number, args in enumerate(arguments, 1)
        ],
    )


@dataclass
class PlainKit:
    """Parts as LangChain makes them."""

    case: str
    durable: bool = False

    def model(self, *answers: Any, name: str = "m", **_: Any) -> Any:
        return Scripted(say=lines(*answers), model_name=f"{self.case}.{name}")

    def tool(self, function: Any, **_: Any) -> Any:
        return function if isinstance(function, BaseTool) else make_tool(function)

    def node(self, function: Any, **_: Any) -> Any:
        return function


@dataclass
class DurableKit:
    """The same parts, declared."""

    case: str
    durable: bool = True
    _tools: dict[str, int] = field(default_factory=dict)

    def model(self, *answers: Any, name: str = "m", **options: Any) -> Any:
        chosen = f"{self.case}.{name}"
        inner = Scripted(say=lines(*answers), model_name=chosen)
        return perdure.model(inner, name=chosen, **options)

    def tool(self, function: Any, **options: Any) -> Any:
        return perdure.tool(function, **options)

    def node(self, function: Any, **options: Any) -> Any:
        return perdure.node(function, **options)
