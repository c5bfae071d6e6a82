"""Delete items of long-term memory that have outlived their time to live. Worker side."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from langgraph.store.base import TTLConfig

from perdure.core.jsons import Raw

NO_TTL: TTLConfig = {"refresh_on_read": False}
"""What a store is given when nothing is said. LangGraph's stores sweep only with a setting, and
an item may have a time to live of its own."""


@asynccontextmanager
async def sweeping(store: Raw) -> AsyncGenerator[None]:
    """Sweep in the background, as often as the store's setting says, until the block is left."""
    await store.start_ttl_sweeper()
    try:
        yield
    finally:
        await store.stop_ttl_sweeper(timeout=1)
