"""Put together what starts a run, and start it. Caller side."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from json import dumps
from uuid import uuid4

import temporalio.client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from perdure.client.inbox import agent_of
from perdure.client.index import at_start
from perdure.client.records import status_of
from perdure.core.jsons import Json, Raw, shorten
from perdure.core.names import AGENT_MEMO, AGENT_WORKFLOW
from perdure.core.payloads import in_order
from perdure.core.wire import PAYLOAD_LIMIT, STREAM_MODES, RunInput, run_input
from perdure.errors import BadInput, BadOption, PayloadTooLarge, RunExists, Unserializable

LONGEST_ID = 200
_SHOWN = 2000
_CONFIG: Mapping[str, type] = {
    "configurable": dict,
    "tags": list,
    "metadata": dict,
    "recursion_limit": int,
}
_WORDS: Mapping[type, str] = {dict: "an object", list: "a list of texts", int: "a whole number"}
"""Characters of the input that the run's details show in Temporal's UI."""


def make_input(
    agent: str,
    value: Json,
    *,
    tenant: str | None,
    options: Mapping[str, Json],
    parts: Mapping[str, Raw],
    context: Json = None,
    largest: int = PAYLOAD_LIMIT,
) -> RunInput:
    """Check what starts a run, before anything is sent.

    Raises:
        BadInput: The agent's name cannot be one.
        BadOption: An option is unknown or has a wrong value.
        Unserializable: The input is no JSON.
        PayloadTooLarge: The input is larger than what the server takes.
    """
    if not agent or _unprintable(agent):
        raise BadInput(f"agent={agent!r}: give the name that the agent is registered under")
    data = RunInput(
        agent=agent,
        input=value,
        tenant=tenant,
        raw_options=options,
        context=context,
        refer=True,
        **parts,
    )
    check_size(data, largest)
    run_input(data.to_json())
    return data


def read_config(config: Mapping[str, Json], *, recursion_limit: int | None) -> dict[str, Raw]:
    """Read a config of LangGraph's; `recursion_limit`, if given, goes before its own.

    Raises:
        BadOption: A key that does not travel, or a value of another type.
    """
    if unknown := sorted(set(config) - set(_CONFIG)):
        raise BadOption(
            f"config key {unknown[0]!r} does not go with a run: known are {', '.join(_CONFIG)}"
        )
    parts: dict[str, Raw] = {}
    for name, kind in _CONFIG.items():
        value = config.get(name)
        if value is None:
            continue
        fits = isinstance(value, list | tuple if kind is list else kind)
        if not fits or isinstance(value, bool):
            raise BadOption(f"config[{name!r}]={shorten(repr(value))}: must be {_WORDS[kind]}")
        parts[name] = value
    parts["tags"] = check_nodes(parts.get("tags", ()), "config['tags']")
    if "thread_id" in parts.get("configurable", {}):
        raise BadOption(
            "config['configurable']['thread_id'] is the run's id, or its thread: write thread=..."
        )
    if recursion_limit is not None:
        parts["recursion_limit"] = recursion_limit
    return parts


def check_nodes(names: Sequence[str], what: str) -> tuple[str, ...]:
    """Return names as a tuple; one name alone is that name, not its letters.

    Raises:
        BadOption: One of them is no text.
    """
    given = (names,) if isinstance(names, str) else tuple(names)
    if wrong := [name for name in given if not isinstance(name, str)]:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise BadOption(f"{what}: {wrong[0]!r} is no text")
    return given


def check_size(data: RunInput, largest: int = PAYLOAD_LIMIT) -> None:
    """Refuse what cannot be carried.

    Raises:
        Unserializable: The input is no JSON.
        PayloadTooLarge: It is larger than that.
    """
    try:
        size = len(dumps(data.to_json(), allow_nan=False, separators=(",", ":")).encode())
    except (TypeError, ValueError) as error:
        raise Unserializable(f"the input of a run must be JSON: {error}") from error
    if size > largest:
        raise PayloadTooLarge(
            f"the input takes {size:,} bytes as JSON; at most {largest:,} can be carried. "
            "Store large texts elsewhere and pass a reference"
        )


def check_stream(modes: Sequence[str] | str) -> tuple[str, ...]:
    """Return the stream modes of a run.

    Raises:
        BadInput: One of them is none of LangGraph's.
    """
    found = (modes,) if isinstance(modes, str) else tuple(modes)
    for mode in found:
        if mode not in STREAM_MODES:
            raise BadInput(f"stream mode {mode!r}: choose of {', '.join(STREAM_MODES)}")
    return found


def preview(data: RunInput) -> str:
    """Write the details that Temporal's UI shows of a new run, in Markdown."""
    text = shorten(dumps(data.input, ensure_ascii=False), _SHOWN).replace("```", "'''")
    return f"Input of agent **{data.agent}**:\n\n```json\n{text}\n```"


def make_run_id(agent: str) -> str:
    """Make a readable, unique run id, e.g. `support-3f9c2a1b7d40`."""
    slug = re.sub(r"[^\w.-]+", "-", agent)[:60].strip("-.") or "run"
    return f"{slug}-{uuid4().hex[:12]}"


def check_run_id(run_id: str) -> str:
    """Return a run id that Temporal, its UI and a shell can all carry.

    Raises:
        BadInput: It is empty, too long, or has a slash or characters that cannot be seen.
    """
    if not run_id or run_id != run_id.strip():
        raise BadInput(f"run id {run_id!r}: must not be empty, nor begin or end with a space")
    if len(run_id) > LONGEST_ID:
        raise BadInput(f"run id of {len(run_id)} characters: at most {LONGEST_ID}")
    if "/" in run_id or _unprintable(run_id):
        raise BadInput(f"run id {run_id!r}: leave out '/' and characters that cannot be seen")
    return run_id


def _unprintable(text: str) -> bool:
    return any(not char.isprintable() for char in text)


async def start(
    client: temporalio.client.Client,
    data: RunInput,
    *,
    run_id: str,
    task_queue: str,
    reuse: WorkflowIDReusePolicy = WorkflowIDReusePolicy.REJECT_DUPLICATE,
) -> None:
    """Start the agent workflow.

    Raises:
        RunExists: The text says what exists.
    """
    try:
        await client.start_workflow(
            AGENT_WORKFLOW,
            in_order(data.to_json()),
            id=run_id,
            task_queue=task_queue,
            id_reuse_policy=reuse,
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
            memo={AGENT_MEMO: data.agent},
            search_attributes=at_start(data.agent, data.tenant) if data.index else None,
            static_summary=shorten(f"agent {data.agent}", 100),
            static_details=preview(data),
        )
    except WorkflowAlreadyStartedError as error:
        raise await _exists(client, run_id) from error
    except RPCError as error:
        refused = error.status == RPCStatusCode.INVALID_ARGUMENT
        if not (data.index and refused and "search attribute" in error.message.lower()):
            raise
        # A new attribute is known to the operator service before the rest of the server.
        await start(
            client, replace(data, index=False), run_id=run_id, task_queue=task_queue, reuse=reuse
        )


async def _exists(client: temporalio.client.Client, run_id: str) -> RunExists:
    try:
        execution = await client.get_workflow_handle(run_id).describe()
        agent = await agent_of(execution)
    except RPCError:
        return RunExists(f"a run {run_id!r} exists already; choose another id")
    started = execution.start_time.isoformat(timespec="seconds")
    return RunExists(
        f"run {run_id!r} exists already: agent {agent!r}, {status_of(execution)}, started "
        f"{started}. See it with `perdure show {run_id}`, or choose another id"
    )
