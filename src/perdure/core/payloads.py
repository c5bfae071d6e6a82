"""Write a value as Temporal's own JSON payload, with the keys in their order.

Temporal's converter sorts them. Where a tool's result becomes a text, or a model fills in the
fields of a schema one by one, the order is part of the value.
"""

import json

from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.converter import AdvancedJSONEncoder

from perdure.core.jsons import Raw


def in_order(value: Raw) -> Raw:
    """Write a JSON object or list for another process; any codec still applies to it.

    Everything else is returned as it is: it has no keys, or a form of Temporal's own, as the
    metadata of a workflow have.
    """
    if not isinstance(value, dict | list | tuple):
        return value
    return RawValue(Payload(metadata={"encoding": b"json/plain"}, data=_written(value)))


def _written(value: Raw) -> bytes:
    """Write as UTF-8, which is what `Codec.size` counts; escapes would take up to three times."""
    try:
        return _dumps(value, escape=False).encode("utf-8")
    except UnicodeEncodeError:  # a lone surrogate
        return _dumps(value, escape=True).encode("ascii")


def _dumps(value: Raw, *, escape: bool) -> str:
    return json.dumps(value, cls=AdvancedJSONEncoder, separators=(",", ":"), ensure_ascii=escape)
