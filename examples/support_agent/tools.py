"""The agent's three tools, as plain functions. They run on the worker, one activity per call."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any

import perdure

from .desk import Desk
from .kb import KnowledgeBase
from .mail import Mailer


@dataclass(frozen=True, kw_only=True)
class Tools:
    """The functions, ready for `perdure.tool`."""

    search_kb: Callable[[str], Awaitable[list[dict[str, Any]]]]
    create_ticket: Callable[[str, str, str], Awaitable[dict[str, Any]]]
    send_email: Callable[[str, str, str], Awaitable[dict[str, Any]]]


def make_tools(kb: KnowledgeBase, desk: Desk, mailer: Mailer) -> Tools:
    """Bind the functions to a knowledge base, a ticket desk and a mail server."""

    async def search_kb(query: str) -> list[dict[str, Any]]:
        """Find the help articles that answer a question, best first."""
        found = await asyncio.to_thread(kb.search, query)
        return [asdict(article) for article in found]

    async def create_ticket(title: str, body: str, customer: str) -> dict[str, Any]:
        """Open a ticket for a colleague about a customer's message."""
        key = perdure.effect_key()
        return asdict(await desk.create(title, body, customer, key))

    async def send_email(to: str, subject: str, body: str) -> dict[str, Any]:
        """Send a plain-text e-mail to a customer."""
        key = perdure.effect_key()
        return {"message_id": await mailer.send(to, subject, body, key)}

    return Tools(search_kb=search_kb, create_ticket=create_ticket, send_email=send_email)
