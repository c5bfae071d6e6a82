"""Read the calls that an activity made when it ran ahead of its run. Pure."""

from collections.abc import Iterator
from dataclasses import replace
from typing import cast

from perdure.client.timeline import Call
from perdure.core.ahead import Journal, Kept
from perdure.core.jsons import Json, Raw
from perdure.core.summaries import tool_summary


def calls_ahead(ahead: Call, journal: Json) -> Iterator[Call]:
    """Yield the calls of a journal in their order, with the times of the activity."""
    held = Journal.from_json(journal)
    tools = list(held.tools)
    made = replace(ahead, scheduled=ahead.started or ahead.scheduled)
    for kept in held.models:
        reply = cast("dict[str, Raw]", kept.value)
        summary = f"model: {kept.name}"
        yield replace(made, kind="model", name=kept.name, summary=summary, result=kept.value)
        message = cast("dict[str, Raw]", reply.get("message") or {})
        for asked in cast("list[dict[str, Raw]]", message.get("tool_calls") or []):
            found = next((t for t in tools if t.call_id == asked.get("id")), None)
            if found is not None:
                tools.remove(found)
                yield _tool(made, asked, found)


def _tool(made: Call, asked: dict[str, Raw], kept: Kept) -> Call:
    args = cast("dict[str, Json]", asked.get("args") or {})
    return replace(
        made,
        kind="tool",
        name=kept.name,
        summary=tool_summary(kept.name, args),
        args=args,
        call_id=kept.call_id,
        result=kept.value,
        quick=True,
    )
