"""The idempotency key of the effect that is being carried out."""

from contextvars import ContextVar
from uuid import uuid4

from temporalio import activity

from perdure.errors import NotInRun

KEY: ContextVar[str | None] = ContextVar("perdure_effect_key", default=None)


def effect_key() -> str:
    """Return the idempotency key of the tool call that is being carried out.

    Call it inside a tool declared with `effect=True` and hand it to the system that the tool
    changes. Activity side. The key is the same on every attempt, on every worker and after a
    reset; two calls that the model makes on purpose have different keys. Outside Temporal,
    where nothing is retried, it is a fresh random one.

    Raises:
        NotInRun: Called in a run by a tool that was not declared as an effect.
    """
    key = KEY.get()
    if key is not None:
        return key
    if activity.in_activity():
        raise NotInRun(
            "perdure.effect_key() was called by a tool that is no effect; "
            "declare it with perdure.tool(..., effect=True)"
        )
    return f"local:{uuid4()}"
