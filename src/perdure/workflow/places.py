"""Run a tool's body in the workflow, if that is its place."""

# pyright: reportPrivateUsage=false
# `_run` and `_arun` are the hooks that LangChain documents for its subclasses.

from collections.abc import Callable
from inspect import signature
from types import UnionType
from typing import Union, cast, get_args, get_origin, get_type_hints

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool
from temporalio import workflow

from perdure.core.declared import Declaration
from perdure.core.jsons import Raw
from perdure.workflow.current import Run
from perdure.workflow.reading import runs_in_workflow

_GATE = "perdure-tool-in-workflow"
"""Histories from before have an activity for every tool."""


def stays(run: Run, declared: Declaration, tool: BaseTool) -> bool:
    """Tell whether a tool's body runs in the workflow rather than in an activity."""
    if declared.where is not None or declared.effect:
        return declared.where == "workflow"
    known = run.places.get(declared.name)
    if known is None:
        intercepted = run.host.found is not None
        inside = runs_in_workflow(tool, intercepted=intercepted)
        known = run.places[declared.name] = inside and workflow.patched(_GATE)
    return known


async def run_here(
    tool: BaseTool,
    inner: type[BaseTool],
    args: tuple[Raw, ...],
    kwargs: dict[str, Raw],
    *,
    config: RunnableConfig | None,
) -> Raw:
    """Run a tool's body; a sync one on a strand, where it may wait for models and graphs.

    `tool` calls the methods of `inner`, the tool's own class. LangChain looks at the twin's
    method and sees no parameter for the config, so it is given here.
    """
    sync = inner._arun is BaseTool._arun  # noqa: SLF001
    body = inner._run if sync else inner._arun  # noqa: SLF001
    wanted = _config_parameter(body)
    if wanted is not None:
        kwargs[wanted] = config
    return await tool._arun(*args, **kwargs)  # noqa: SLF001


def _config_parameter(body: Callable[..., Raw]) -> str | None:
    try:
        hints = get_type_hints(body)
    except (NameError, TypeError):  # an annotation that only a type checker can read
        hints = {}
    for name in signature(body).parameters:
        hint = hints.get(name)
        if hint is RunnableConfig or (
            get_origin(hint) in (Union, UnionType) and RunnableConfig in get_args(cast("Raw", hint))
        ):
            return name
    return None
