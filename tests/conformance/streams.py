"""Tell the parts of a stream without what is drawn or timed, so that two sides can be compared."""

from collections.abc import Iterable, Mapping
from typing import Any

from langchain_core.messages import BaseMessage

from conformance.telling import tell

_DRAWN = {
    "id", "checkpoint_id", "checkpoint_ns", "thread_id", "timestamp", "created_at", "parents",
    "config", "parent_config", "run_id", "ls_integration", "checkpoint", "state", "checkpointer",
    "versions",
}  # fmt: skip


def tell_parts(parts: Iterable[tuple[int, str, Any]]) -> dict[str, Any]:
    """Tell the parts of each mode; those of different modes come in no order."""
    told: dict[str, Any] = {}
    chunks: list[Any] = []
    for depth, mode, data in parts:
        if mode == "messages":
            _add_chunk(chunks, depth, data)
        else:
            told.setdefault(mode, []).append([depth, tell(_still(data))])
    if chunks:
        told["messages"] = [[depth, node, name, text] for depth, node, name, text, _ in chunks]
    return told


def _add_chunk(chunks: list[Any], depth: int, data: Any) -> None:
    """Put the text of one message together, however many chunks it came in."""
    message, metadata = data
    node = metadata.get("langgraph_node")
    name = type(message).__name__.removesuffix("Chunk")
    text = str(message.text)
    for held in chunks:
        if held[4] == message.id and held[:3] == [depth, node, name]:
            held[3] += text
            return
    chunks.append([depth, node, name, text, message.id])


def _still(value: Any) -> Any:
    if isinstance(value, BaseMessage) or not isinstance(value, (Mapping, list, tuple)):
        return value
    if isinstance(value, Mapping):
        return {key: _still(item) for key, item in value.items() if key not in _DRAWN}
    return [_still(item) for item in value]
