"""A request for an answer, read: what was said, by whom, and which tools there are."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_NO_NAMES = frozenset({"Is", "It", "What", "Which", "How", "Where", "The", "And", "Who", "Tell"})


@dataclass(frozen=True, kw_only=True)
class Call:
    """The call of a tool that the model asks for."""

    name: str
    args: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a tool said to a call."""

    tool: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """What the model is asked."""

    system: str
    said: tuple[str, ...]
    """What people said in the whole conversation."""
    results: tuple[Result, ...]
    """What the tools said since a person spoke last."""
    tools: tuple[str, ...]
    forced: str | None
    """The tool that must be called; structured output is asked for so."""

    @property
    def last(self) -> str:
        """What a person said last."""
        return self.said[-1] if self.said else ""

    def results_of(self, tool: str) -> list[str]:
        """List what one tool said since a person spoke last."""
        return [result.text for result in self.results if result.tool == tool]


def read_prompt(body: Mapping[str, Any]) -> Prompt:
    """Read the body of a request as Anthropic's Messages API takes it."""
    said: list[str] = []
    results: list[Result] = []
    names: dict[str, str] = {}
    for message in body["messages"]:
        for block in _blocks(message["content"]):
            if block["type"] == "tool_use":
                names[block["id"]] = block["name"]
            elif block["type"] == "tool_result":
                name = names.get(block["tool_use_id"], "")
                results.append(Result(tool=name, text=_text(block.get("content") or "")))
            elif block["type"] == "text" and message["role"] == "user":
                said.append(block["text"])
                results = []
    tools = tuple(tool["name"] for tool in body.get("tools") or ())
    choice: dict[str, Any] = body.get("tool_choice") or {}
    return Prompt(
        system=_text(body.get("system") or ""),
        said=tuple(said),
        results=tuple(results),
        tools=tools,
        forced=tools[0] if choice.get("type") == "any" else choice.get("name"),
    )


def names_in(text: str) -> list[str]:
    """List the names in a text: words with a capital letter, such as "Big Ben"."""
    words = [word for word in text.split(" ") if word not in _NO_NAMES]
    found = re.findall(r"\b[A-Z][a-z]+(?: [A-Z][a-z]+)*", " ".join(words))
    return list(dict.fromkeys(found))


def numbers_in(text: str) -> list[float]:
    """List the numbers in a text."""
    return [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", text)]


def _blocks(content: Any) -> list[dict[str, Any]]:  # noqa: ANN401 (JSON)
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _text(content: Any) -> str:  # noqa: ANN401 (JSON)
    return "\n".join(block["text"] for block in _blocks(content) if block["type"] == "text")
