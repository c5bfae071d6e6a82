"""Say what is wrong with a model's answer, in words for the model. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast, get_args

from perdure.core.jsons import JsonObject, Raw, as_object, shorten
from perdure.core.verdicts import Verdict
from perdure.errors import BadInput

FaultKind: TypeAlias = Literal[
    "no_stop_reason",
    "bad_arguments",
    "cut_arguments",
    "unknown_tool",
    "unparsable",
    "no_tool_call",
]
FAULT_KINDS: tuple[str, ...] = get_args(FaultKind)
FOR_THE_GRAPH = frozenset({"bad_arguments", "unknown_tool"})
"""What LangGraph's tool nodes answer by themselves, where no repairs are wanted. Arguments cut off
by the token limit are not among them: they may look whole."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One reason why an answer cannot be used."""

    kind: FaultKind
    text: str
    """What is wrong and what to do, written for the model."""
    tool_call_id: str | None = None
    """The tool call that is wrong; None if the whole answer is."""
    tool: str | None = None
    """The name that the model called."""

    @property
    def passing(self) -> bool:
        """Whether the same request may well be answered properly next time."""
        return self.kind == "no_stop_reason"

    def to_json(self) -> JsonObject:
        """Write the fault for another process; what is not known is left out."""
        data: JsonObject = {"kind": self.kind, "text": self.text}
        if self.tool_call_id is not None:
            data["tool_call_id"] = self.tool_call_id
        if self.tool is not None:
            data["tool"] = self.tool
        return data

    @classmethod
    def from_json(cls, raw: Raw) -> "Fault":
        """Read a fault from JSON; unknown keys are ignored.

        Raises:
            BadInput: The kind is unknown or a value has the wrong type.
        """
        data = as_object(raw, what="fault")
        kind, text = data.get("kind"), data.get("text")
        if kind not in FAULT_KINDS or not isinstance(text, str):
            raise BadInput(f"not a fault: kind={kind!r}, text={text!r}")
        return cls(
            kind=cast("FaultKind", kind),
            text=text,
            tool_call_id=_text_or_none(data, "tool_call_id"),
            tool=_text_or_none(data, "tool"),
        )


def judge_faults(faults: Sequence[Fault]) -> Verdict | None:
    """Judge an answer by its faults; None if there are none.

    An answer that was cut off in transport is asked for again as it was; everything else
    goes back to the model.
    """
    if not faults:
        return None
    if any(fault.passing for fault in faults):
        return Verdict(act="retry", reason="the answer ended without a stop reason")
    kinds = ", ".join(dict.fromkeys(fault.kind for fault in faults))
    return Verdict(act="back_to_model", reason=f"the answer cannot be used: {kinds}")


def no_stop_reason() -> Fault:
    """Say that the answer broke off."""
    return Fault(kind="no_stop_reason", text="The answer broke off before its end.")


def bad_arguments(tool: str, *, tool_call_id: str | None, problems: Sequence[str]) -> Fault:
    """Say that arguments do not fit the tool's schema; `problems` name the paths."""
    return Fault(
        kind="bad_arguments",
        text=(
            f"Tool {tool!r} was called with arguments that do not fit its schema: "
            f"{'; '.join(problems)}. Call it again with corrected arguments."
        ),
        tool_call_id=tool_call_id,
        tool=tool,
    )


def broken_arguments(tool: str, *, tool_call_id: str | None, raw: str | None) -> Fault:
    """Say that the arguments are no JSON object; `raw` is what the model wrote."""
    wrote = f" ({shorten(raw)})" if raw else ""
    return Fault(
        kind="bad_arguments",
        text=(
            f"Tool {tool!r} was called with arguments that are not a complete JSON object{wrote}. "
            "Call it again with complete arguments."
        ),
        tool_call_id=tool_call_id,
        tool=tool,
    )


def cut_arguments(tool: str, *, tool_call_id: str | None) -> Fault:
    """Say that the token limit fell into a tool call."""
    return Fault(
        kind="cut_arguments",
        text=(
            f"The answer reached its token limit while calling tool {tool!r}, so its arguments "
            "may be incomplete. Call it again with shorter arguments."
        ),
        tool_call_id=tool_call_id,
        tool=tool,
    )


def unknown_tool(tool: str, *, tool_call_id: str | None, known: Sequence[str]) -> Fault:
    """Say that no such tool is offered."""
    offered = ", ".join(repr(name) for name in known) or "none"
    return Fault(
        kind="unknown_tool",
        text=f"There is no tool {tool!r}. The tools are: {offered}. Call one of them instead.",
        tool_call_id=tool_call_id,
        tool=tool,
    )


def unparsable(problems: Sequence[str]) -> Fault:
    """Say that the answer is not the JSON that was asked for."""
    return Fault(
        kind="unparsable",
        text=(
            f"The answer must be JSON of the required schema, but: {'; '.join(problems)}. "
            "Answer again with only that JSON."
        ),
    )


def no_tool_call(tool: str | None) -> Fault:
    """Say that a tool had to be called; None stands for any tool."""
    which = "one of the tools" if tool is None else f"tool {tool!r}"
    return Fault(
        kind="no_tool_call",
        text=f"The answer must be a call of {which}, but it was plain text. Call it now.",
        tool=tool,
    )


def _text_or_none(data: JsonObject, key: str) -> str | None:
    value = data.get(key)
    if value is not None and not isinstance(value, str):
        raise BadInput(f"not a fault: {key}={value!r} must be text")
    return value
