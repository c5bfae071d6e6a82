"""The workload that every peer runs: a tool loop of N turns with a payload in each result.

The scripted model asks for one tool call per turn for N turns, then answers. The tool returns
`payload` bytes of text that does not compress well. One turn is one model call and one tool call,
so a finished agent has made N+1 model calls and N tool calls, and its conversation holds 2N+2
messages. No network, no sleeping.
"""

import base64
import functools
import random
import time

MODEL_TEXT = "I need one more observation before I can answer, so I call the tool again."


def request(turns: int, payload: int) -> str:
    return f"toolloop {turns} {payload}"


def parse(text: str) -> tuple[int, int]:
    _, turns, payload = text.split()
    return int(turns), int(payload)


@functools.lru_cache(maxsize=1024)
def observation(step: int, payload: int) -> str:
    """Return `payload` bytes of base64 text, the same for the same step on every machine."""
    raw = random.Random(f"toolloop/{step}").randbytes(payload * 3 // 4 + 3)
    return base64.b64encode(raw).decode()[:payload]


class Counters:
    """How often a body of the model or of the tool really ran in this process."""

    model = 0
    tool = 0
    first_done: float | None = None

    @classmethod
    def hit(cls, kind: str) -> None:
        setattr(cls, kind, getattr(cls, kind) + 1)
        if cls.first_done is None:
            cls.first_done = time.time()

    @classmethod
    def reset(cls) -> None:
        cls.model = cls.tool = 0
