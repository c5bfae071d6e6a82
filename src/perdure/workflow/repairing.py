"""Tell a model what is wrong with its answer. Workflow side."""

from collections.abc import Sequence

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

from perdure.core.jsons import JsonObject


def tell(message: AIMessage, faults: Sequence[JsonObject]) -> list[BaseMessage]:
    """Say to the model what is wrong, in the form that providers demand.

    Every tool call of a message needs an answer before the next turn, the good ones too.
    """
    ids = [c["id"] for c in (*message.tool_calls, *message.invalid_tool_calls) if c["id"]]
    if not ids:
        return [message, HumanMessage("\n".join(str(f.get("text")) for f in faults))]
    said: dict[str, list[str]] = {}
    for fault in faults:
        call_id = fault.get("tool_call_id")
        said.setdefault(str(call_id) if call_id in ids else ids[0], []).append(str(fault["text"]))
    other = "Not executed, because another call of the same message was invalid. Call it again."
    answers = [
        ToolMessage("\n".join(said.get(i, [other])), tool_call_id=i, status="error") for i in ids
    ]
    return [message, *answers]
