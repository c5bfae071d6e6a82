"""What a quick attempt leaves in the history: a local activity's input is not recorded there."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import cast

from temporalio import activity

from perdure.core.jsons import Json, JsonObject
from perdure.core.options import QUICK_RESULT
from perdure.core.ports import Codec
from perdure.core.scenes import Outcome
from perdure.core.shelf import Shelf

_MOST = 4096
"""Characters of arguments that are kept to be shown."""


def about(call: JsonObject) -> JsonObject:
    """Describe a call for those who read the history. Activity side."""
    told: JsonObject = {name: call[name] for name in ("tool", "call_id") if name in call}
    args = call.get("args")
    return told if len(str(args)) > _MOST else {**told, "args": args}


def carried(outcome: Outcome, told: Mapping[str, Json], codec: Codec, shelf: Shelf) -> Json:
    """Write a quick attempt's outcome; a large one is left to an ordinary call. Activity side."""
    spent = datetime.now(UTC) - activity.info().started_time
    call: JsonObject = {**told, "ms": round(spent.total_seconds() * 1000)}
    data = replace(outcome, call=call).to_json()
    size = codec.size(data)
    if size <= QUICK_RESULT:
        shelf.learn(data)
        return data
    return cast("JsonObject", Outcome(call=call, large=size).to_json())
