"""Take a model's own retries and endless waits away: Temporal does both. Activity side."""

import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import TypeVar, cast

from langchain_core.language_models import BaseChatModel

from perdure.core.jsons import Raw

_logger = logging.getLogger(__name__)
_TIMEOUTS = ("default_request_timeout", "request_timeout", "timeout")
_SHARE = 0.1
_LARGEST_MARGIN = timedelta(seconds=10)
_PROXIES = ("openai_proxy", "anthropic_proxy")

ModelT = TypeVar("ModelT", bound=BaseChatModel)


def tune(model: ModelT, *, timeout: timedelta) -> ModelT:
    """Return a copy of a model that makes one HTTP request per call and gives up in time.

    `timeout` is the activity's: the request gets up to a tenth (at most 10 s) less, so that the
    client fails before Temporal does. A shorter one of the user's stays. The copy is built by
    the class itself, since clients are made at construction. A class without `max_retries` (a
    fake, a local model) has nothing to tune and comes back as it is; so does one that cannot be
    rebuilt, with a warning in the log.
    """
    fields = type(model).model_fields
    if "max_retries" not in fields:
        return model
    values: dict[str, Raw] = dict(_given(model))
    values["max_retries"] = 0
    for name in _TIMEOUTS:
        if name in fields:
            limit = (timeout - min(timeout * _SHARE, _LARGEST_MARGIN)).total_seconds()
            values[name] = _shorter(cast("object", getattr(model, name)), limit)
            break
    try:
        return type(model)(**{_argument(model, name): value for name, value in values.items()})
    except Exception:
        _logger.warning(
            "%s cannot be rebuilt without its own retries: set max_retries=0 and a timeout on it",
            type(model).__name__,
            exc_info=True,
        )
        return model


def _given(model: BaseChatModel) -> Iterator[tuple[str, object]]:
    """Walk the fields that the user set, without the clients that the class built of them.

    A client counts as the user's own if it came as `http_...`, or if its root, from which the
    class would have built it, is missing.
    """
    proxied = any(getattr(model, name, None) for name in _PROXIES)
    for name in model.model_fields_set:
        value = cast("object", getattr(model, name))
        if "client" in name and type(model).model_fields[name].exclude:
            http = name.startswith("http_")
            built = proxied if http else _built(model, name)
            if built or value is None:
                continue
        yield name, value


def _built(model: BaseChatModel, name: str) -> bool:
    """Tell whether the class made a client by itself.

    OpenAI's classes keep the root beside it; others give no sign, and theirs is made anew.
    """
    if name.startswith("root_"):
        return True
    root = f"root_{name}"
    return root not in type(model).model_fields or getattr(model, root) is not None


def _argument(model: BaseChatModel, name: str) -> str:
    """Return the name by which a field is passed to the class."""
    alias = type(model).model_fields[name].alias
    by_name = type(model).model_config.get("populate_by_name", False)
    return name if alias is None or by_name else alias


def _shorter(own: object, limit: float) -> object:
    """Return the user's own timeout if it is a real limit below ours, else ours.

    It is seconds, or (connect, read) in seconds, or an `httpx.Timeout`. What is not
    understood, zero and None, which mean "for ever", give way.
    """
    if isinstance(own, bool):
        return limit
    if isinstance(own, int | float):
        return min(float(own), limit) if own > 0 else limit
    if isinstance(own, tuple):
        return tuple(_shorter(part, limit) for part in cast("tuple[object, ...]", own))
    read = cast("object", getattr(own, "read", None))
    return own if isinstance(read, int | float) and 0 < read <= limit else limit
