"""A codec that hands over what it cannot write as a reference into this process."""

from collections.abc import Iterable
from itertools import count

from perdure.core.jsons import Json, JsonObject
from perdure.core.ports import Memo
from perdure.errors import Unserializable
from perdure.storage.values import TAG, ValueCodec

_LIVE = "live"


class LiveCodec(ValueCodec):
    """Write plain values as JSON, and any other object as its number in a table.

    Only for tests whose worker lives in the test's own process: a test may keep anything in a
    graph's state, and must get the very same object back.
    """

    def __init__(self, types: Iterable[type] = ()) -> None:
        super().__init__(types)
        self._objects: dict[str, object] = {}
        self._numbers = count()

    def encode(self, value: object, *, what: str, memo: Memo | None = None) -> Json:
        """Write a value; what contains itself becomes a reference as a whole."""
        try:
            return super().encode(value, what=what, memo=memo)
        except Unserializable:
            return self._keep(value)

    def _write_other(self, value: object, path: str) -> Json:
        try:
            return super()._write_other(value, path)
        except Unserializable:
            return self._keep(value)

    def _typed(self, tag: str, value: object, inner: object, path: str) -> JsonObject:  # noqa: ARG002
        return self._keep(value)

    def _read(self, tag: str, data: JsonObject) -> object:
        if tag == _LIVE:
            return self._objects[str(data["v"])]
        return super()._read(tag, data)

    def _keep(self, value: object) -> JsonObject:
        number = str(next(self._numbers))
        self._objects[number] = value
        return {TAG: _LIVE, "v": number}
