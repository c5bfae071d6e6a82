"""Identity of an effect: the key under which the outside world knows it."""


def effect_key(*, workflow_id: str, first_run_id: str, position: int, call_id: str | None) -> str:
    """Make the idempotency key of one tool call.

    The same on every attempt, every worker, after a reset and after continue-as-new (Temporal
    keeps the first execution's run id through both); different for two deliberate calls with
    the same arguments, and for a later run that re-uses the workflow id.
    """
    tail = f":{call_id}" if call_id else ""
    return f"{workflow_id}:{first_run_id[:8]}:{position}{tail}"
