"""Go on in a new execution of the run. Workflow side."""

from dataclasses import replace

from temporalio import workflow

from perdure.core.continuing import pack
from perdure.core.jsons import JsonObject
from perdure.core.names import STARTED_MEMO
from perdure.core.payloads import in_order
from perdure.core.wire import PAYLOAD_LIMIT
from perdure.errors import Unserializable
from perdure.workflow.carrying import write_carry
from perdure.workflow.current import Run
from perdure.workflow.leaving import Leaving


def go_on(run: Run) -> None:
    """End this execution and begin the next; returns only if the carry is too large for it."""
    leaving: Leaving = run.leaving
    info = workflow.info()
    try:
        data = _next(run, thread=run.start.thread or info.workflow_id)
    except Unserializable as error:
        leaving.give_up(str(error))
        return
    size = run.host.codec.size(data)
    if size > PAYLOAD_LIMIT:
        leaving.give_up(
            f"what it must take along takes {size:,} bytes; at most {PAYLOAD_LIMIT:,} can be "
            "carried. Trim the state, or keep large texts outside of it"
        )
        return
    started = workflow.memo_value(STARTED_MEMO, default=info.workflow_start_time.isoformat())
    workflow.continue_as_new(args=[in_order(data)], memo={**workflow.memo(), STARTED_MEMO: started})


def _next(run: Run, *, thread: str) -> JsonObject:
    carry = write_carry(run, thread=thread)
    start = replace(run.start, input=None, seed=None, turn=False, carry=carry)
    data = start.to_json()
    if run.host.codec.size(data) > PAYLOAD_LIMIT:
        data = replace(start, carry=pack(carry)).to_json()
    return data
