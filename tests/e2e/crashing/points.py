"""Where the support agent can be killed: `call:moment`, as in `send_email:accepted`.

A moment is `before` the work starts, in the middle of it, or `after` it is done and before
Temporal is told. The middle has a name of its own for each kind of work.
"""

import os
import signal
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial, wraps
from types import SimpleNamespace
from typing import Any

import aiosmtplib
from langchain_core.messages import BaseMessage

from support_agent import desk, graph, kb, offline, tools

TOOLS = ("search_kb", "create_ticket", "send_email")
MODEL_TASKS = ("classify", "draft")


def die() -> None:
    """End this process as a power cut would."""
    os.kill(os.getpid(), signal.SIGKILL)


def arm(point: str) -> None:
    """Put the one crash in place that `point` names."""
    name, _, moment = point.partition(":")
    match name, moment:
        case tool, "before" | "after" if tool in TOOLS:
            _around_tool(tool, moment)
        case task, "before" | "journalled" | "after" if task in MODEL_TASKS:
            _around_model(task, moment)
        case "search_kb", "indexed":
            kb.KnowledgeBase._fresh_index = _then_die(kb.KnowledgeBase._fresh_index)
        case "create_ticket", "uncommitted":
            desk.sqlite3 = SimpleNamespace(connect=partial(sqlite3.connect, factory=_TornDatabase))
        case "send_email", "addressed":
            aiosmtplib.SMTP.data = _die_first(aiosmtplib.SMTP.data)
        case "send_email", "accepted":
            aiosmtplib.SMTP.data = _die_next(aiosmtplib.SMTP.data)
        case "workflow", "decided":
            graph.Nodes.after_approve = _then_die(graph.Nodes.after_approve)
        case "workflow", "sent":
            graph.Nodes.deliver = _die_next(graph.Nodes.deliver)
        case _:
            raise ValueError(f"CRASH_AT={point!r} is no crash point")


def _around_tool(name: str, moment: str) -> None:
    make = tools.make_tools

    def make_armed(*args: Any) -> tools.Tools:
        made = make(*args)
        wrap = _die_first if moment == "before" else _die_next
        return replace(made, **{name: wrap(getattr(made, name))})

    tools.make_tools = make_armed


def _around_model(task: str, moment: str) -> None:
    model = offline.OfflineModel
    note, generate = model._note, model._agenerate

    def armed_note(self: offline.OfflineModel, messages: Sequence[BaseMessage]) -> str:
        kind = note(self, messages)
        if kind == task:
            die()
        return kind

    async def armed_generate(
        self: offline.OfflineModel, messages: list[BaseMessage], *args: Any, **kwargs: Any
    ) -> Any:
        hit = offline._kind(messages) == task
        if hit and moment == "before":
            die()
        result = await generate(self, messages, *args, **kwargs)
        if hit:
            die()
        return result

    if moment == "journalled":
        model._note = armed_note
    else:
        model._agenerate = armed_generate


def _die_first(call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @wraps(call)
    async def armed(*args: Any, **kwargs: Any) -> Any:
        die()
        return await call(*args, **kwargs)

    return armed


def _die_next(call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @wraps(call)
    async def armed(*args: Any, **kwargs: Any) -> Any:
        result = await call(*args, **kwargs)
        die()
        return result

    return armed


def _then_die(call: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(call)
    def armed(*args: Any, **kwargs: Any) -> Any:
        result = call(*args, **kwargs)
        die()
        return result

    return armed


class _TornDatabase(sqlite3.Connection):
    """Dies with the ticket written and not committed: the desk reads it back before that."""

    def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
        if sql.startswith("SELECT"):
            die()
        return super().execute(sql, *args)
