"""Keep what was read last, within a bound of bytes. Worker and caller side."""

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock


class Shelf:
    """The values used last; safe for several threads, none of which waits for long."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: OrderedDict[Hashable, bytes] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def get(self, key: Hashable) -> bytes | None:
        """Return a value, which is now the one used last."""
        with self._lock:
            found = self._held.get(key)
            if found is not None:
                self._held.move_to_end(key)
            return found

    def put(self, key: Hashable, value: bytes) -> None:
        """Keep a value; those not used for longest make room. One over the bound is not kept."""
        if len(value) > self._most:
            return
        with self._lock:
            old = self._held.pop(key, b"")
            self._held[key] = value
            self._bytes += len(value) - len(old)
            while self._bytes > self._most:
                _, gone = self._held.popitem(last=False)
                self._bytes -= len(gone)

    @property
    def size(self) -> int:
        """Bytes that are kept."""
        return self._bytes
