"""An agent that talks word by word, offline; the word "gate" waits for a file named by the test."""

import os
import threading
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, TypedDict

from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.utils.function_calling import convert_to_openai_tool
from langgraph.graph import START, StateGraph

import perdure

GATE = "TALKERS_GATE"
"""The variable that names the file which the word "gate" waits for."""


class Talker(BaseChatModel):
    """Count the turns and repeat what was said."""

    @property
    def _llm_type(self) -> str:
        return "talker"

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Any:
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **kwargs)

    def _say(self, messages: list[BaseMessage]) -> AIMessage:
        last = messages[-1]
        turn = sum(message.type == "human" for message in messages)
        called = {c["id"] for m in messages if isinstance(m, AIMessage) for c in m.tool_calls}
        if called - {m.tool_call_id for m in messages if isinstance(m, ToolMessage)}:
            raise ValueError("a call has no result")  # as providers refuse it
        if last.type == "tool":
            return AIMessage(f"the tool said: {last.text}")
        if last.text.startswith("send"):
            call = {"name": "send", "args": {"to": "ann"}, "id": f"c{turn}", "type": "tool_call"}
            return AIMessage("I shall.", tool_calls=[call])
        return AIMessage(f"turn {turn}: you said {last.text} indeed")

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self._say(messages))])

    def _stream(
        self, messages: list[BaseMessage], *_: Any, **__: Any
    ) -> Iterator[ChatGenerationChunk]:
        whole = self._say(messages)
        for number, word in enumerate(whole.text.split(" ")):
            if word == "gate" and not Path(os.environ[GATE]).exists():
                yield ChatGenerationChunk(message=AIMessageChunk(" before-the-gate"))
                threading.Event().wait()
            text = word if number == 0 else f" {word}"
            yield ChatGenerationChunk(message=AIMessageChunk(text))
        for call in whole.tool_calls:
            part: Any = {"name": call["name"], "args": '{"to": "ann"}', "id": call["id"]}
            chunk = AIMessageChunk("", tool_call_chunks=[{**part, "index": 0}])
            yield ChatGenerationChunk(message=chunk)


def send(to: str) -> str:
    """Send a mail."""
    return f"sent to {to}"


agents = perdure.Agents()
model = perdure.model(Talker(), name="talker", heartbeat=timedelta(seconds=2))
sending = perdure.tool(send, effect=True, approve=perdure.Approve(within=timedelta(hours=1)))


@agents.register("talker")
def talker() -> Any:
    """Talk."""
    return create_agent(model, [sending])


class Count(TypedDict):
    n: int


@agents.register("counter")
def counter() -> Any:
    """Count; it does not talk."""
    return StateGraph(Count).add_node("one", lambda _: {"n": 1}).add_edge(START, "one")
