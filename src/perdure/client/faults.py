"""Turn what Temporal's client raises into errors that say what to do."""

from collections.abc import Generator
from contextlib import contextmanager

from temporalio.service import RPCError, RPCStatusCode

from perdure.core.jsons import shorten
from perdure.errors import (
    BadOption,
    PayloadTooLarge,
    PerdureError,
    RunNotFound,
    ServerUnavailable,
    Unavailable,
)

_GONE = (RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED)
_DENIED = (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED)


@contextmanager
def translated(*, target: str, run_id: str | None = None) -> Generator[None]:
    """Raise Perdure's errors for what fails inside; `target` names the server in the text."""
    try:
        yield
    except RPCError as error:
        raise as_perdure(error, target=target, run_id=run_id) from error


def as_perdure(error: RPCError, *, target: str, run_id: str | None = None) -> PerdureError:
    """Return the error that tells a caller of Perdure what an RPC error means."""
    said = shorten(error.message, 300)
    if error.status in _GONE:
        return ServerUnavailable(
            f"the Temporal server at {target} does not answer ({said}); "
            "start one with `perdure dev`, or name another with --address"
        )
    if error.status in _DENIED:
        return ServerUnavailable(
            f"the Temporal server at {target} does not let us in ({said}); "
            "check the API key, the certificate and the namespace of your profile"
        )
    if error.status == RPCStatusCode.NOT_FOUND:
        if "namespace" in said.lower():
            return ServerUnavailable(f"{said} (server {target}); name one that exists: --namespace")
        if run_id is not None:
            return not_found(run_id)
    return _refused(error, said) or Unavailable(
        f"the Temporal server at {target} failed ({error.status.name}): {said}"
    )


def _refused(error: RPCError, said: str) -> PerdureError | None:
    if error.status == RPCStatusCode.INVALID_ARGUMENT:
        return BadOption(f"Temporal's server refused the request: {said}")
    if error.status == RPCStatusCode.RESOURCE_EXHAUSTED and "larger than max" in said:
        return PayloadTooLarge(f"the message is larger than the server takes: {said}")
    return None


def not_found(run_id: str) -> RunNotFound:
    """Say that there is no such run."""
    return RunNotFound(f"there is no run {run_id!r}; `perdure ls` lists the runs")
