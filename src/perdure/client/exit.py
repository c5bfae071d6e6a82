"""End an asyncio program that used Temporal, without losing its exit code."""

import asyncio
import gc
from collections.abc import Coroutine
from typing import TypeVar

from perdure.core.jsons import Raw

T = TypeVar("T")


def run_main(main: Coroutine[Raw, Raw, T]) -> T:
    """Run `main` to its end, as `asyncio.run` does, and leave nothing of the SDK behind.

    Use it as the last call of a program. Temporal's SDK can abort the interpreter at exit
    (exit code 134, after all work has succeeded) while its objects still wait for the
    garbage collector; collecting them here avoids that.
    """
    try:
        return asyncio.run(main)
    finally:
        gc.collect()
