"""Know the pieces that a run's history holds, and put them in place of references. Pure."""

from dataclasses import dataclass, field

from perdure.core.jsons import Json, JsonObject, Raw, shorten
from perdure.core.pieces import REFERENCES, is_result
from perdure.core.reading import Reading
from perdure.core.scenes import join_config
from perdure.core.shelf import Shelf
from perdure.errors import PiecesLost

_ALL = 2**62


@dataclass
class Book:
    """The pieces of one run. Feed it the events of all executions, oldest first."""

    seal: bytes = b""
    shelf: Shelf = field(init=False)

    def __post_init__(self) -> None:
        self.shelf = Shelf(seal=self.seal, capacity=_ALL)

    def learn(self, value: Json) -> None:
        """Take a value that the history holds as it is: an input, a result."""
        self.shelf.learn(value)

    def take(self, call: JsonObject, *, shown: tuple[str, ...] = ()) -> JsonObject:
        """Take what a call brought along; returns it with some parts as they were meant."""
        if REFERENCES not in call:
            self.learn(call)
            return call
        blind = Reading(self.shelf, blind=True)
        for value in call.values():
            blind.read(value)
        read = {name: self.show(call[name]) for name in shown if name in call}
        return {**call, **read}

    def whole(self, call: JsonObject) -> tuple[JsonObject, tuple[str, ...]]:
        """Return a call that was taken as its activity got it, and what is not known, by digest.

        A part of which something is not known stays as it was sent.
        """
        if REFERENCES not in call:
            return call, ()
        read: JsonObject = {}
        missing: list[str] = []
        for name, value in call.items():
            if name == REFERENCES:
                continue
            reading = Reading(self.shelf)
            found = reading.read(value)
            read[name] = value if reading.lost else found
            missing += reading.lost
        if isinstance(scene := read.get("scene"), dict) and "spot" in scene:
            scene["config"] = join_config(scene.get("config"), scene.pop("spot"))
        return read, tuple(dict.fromkeys(missing))

    def show(self, value: Json) -> Json:
        """Return a value as it was meant; what is not known stays a reference."""
        reading = Reading(self.shelf)
        read = reading.read(value)
        return value if reading.lost else read

    def result(self, value: Raw) -> Json:
        """Return a run's result as it was meant.

        Raises:
            PiecesLost: The history lacks what it refers to.
        """
        if not is_result(value):
            return value
        reading = Reading(self.shelf)
        read = reading.read(value["v"])
        if reading.lost:
            missing = shorten(", ".join(reading.lost))
            raise PiecesLost(
                f"the result refers to parts of the history that are not there: {missing}"
            )
        return read
