"""Get along with blockbuster, by which a test-suite finds calls that block an event loop.

A worker beside the test talks to a server and waits for the test, and nodes that plain
LangGraph would run in threads run on the workflow's own loop. None of that blocks the test's.
"""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import cast

from perdure.core.jsons import Raw

_MODULE = "blockbuster.blockbuster"


def let_block() -> None:
    """Let this thread block from now on."""
    skip = _skip()
    if skip is not None:
        skip.value = True


@contextmanager
def may_block() -> Generator[None]:
    """Let this thread block for a while."""
    skip = _skip()
    if skip is None:
        yield
        return
    held = skip.value
    skip.value = True
    try:
        yield
    finally:
        skip.value = held


def _skip() -> Raw:
    """Return what tells blockbuster, for each thread, to look away; None where it is not used."""
    return cast("Raw", getattr(sys.modules.get(_MODULE), "_skip", None))
