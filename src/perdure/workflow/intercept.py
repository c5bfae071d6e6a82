"""Send calls of plain models and tools through activities, while in a run only.

The app's code makes `ChatOpenAI(...)` and `@tool` functions as for plain LangGraph. LangChain's
own methods are wrapped at the level where one request begins: callbacks, bound tools and
structured output are the provider's code, as ever. In a run the wrapped method goes on with
the twin of the object (`perdure.workflow.found`); outside of one the wrappers do nothing.
"""

from collections.abc import Callable
from functools import wraps
from typing import cast

from langchain_core.globals import get_llm_cache
from langchain_core.language_models import BaseChatModel
from langchain_core.tools import BaseTool, StructuredTool, Tool
from temporalio import workflow

from perdure.core.ahead import AHEAD, end_here
from perdure.core.jsons import Raw
from perdure.errors import UnknownModel, UnknownTool
from perdure.workflow.backends import reaches_out
from perdure.workflow.current import find_run
from perdure.workflow.found import Found, bare_twin, is_twin
from perdure.workflow.marks import function_of, label_of
from perdure.workflow.privates import MODEL_METHODS

_MARK = "__perdure_intercept__"
_GATE = "perdure-intercept"
"""Histories from before have calls of plain models and tools in the workflow itself."""
_AT_HOME = frozenset({"langgraph", "langchain", "deepagents", "langgraph_supervisor",
                      "langgraph_swarm"})  # fmt: skip
"""Libraries whose tool functions belong to the graph: they write state, lists of things to do
and hand-overs, and stay in the workflow."""
_WORLDLY = ("file_search", "shell_tool")
"""Modules of theirs that touch files and processes all the same."""


def install() -> None:
    """Put the wrappers in place, once per process. Runs on the worker."""
    for name in MODEL_METHODS:
        _wrap(BaseChatModel, name, _model_in_run)
    for name in ("run", "arun"):
        _wrap(BaseTool, name, _tool_in_run, again=True)
    for kind in (StructuredTool, Tool):
        _wrap(kind, "ainvoke", _tool_in_run, again=True)


def _wrap(owner: type, name: str, choose: Callable[[Raw], Raw], *, again: bool = False) -> None:
    """Replace a method by one that goes on with another object; `again` by its own method."""
    original = getattr(owner, name)
    if getattr(original, _MARK, False):
        return

    @wraps(original)
    def call(self: Raw, *args: Raw, **kwargs: Raw) -> Raw:
        inside = workflow.in_workflow() or AHEAD.get() is not None
        chosen = choose(self) if inside else self
        if again and chosen is not self:
            return getattr(chosen, name)(*args, **kwargs)
        return original(chosen, *args, **kwargs)

    setattr(call, _MARK, True)
    setattr(owner, name, call)


def _model_in_run(model: BaseChatModel) -> BaseChatModel:
    """Return what a run calls instead of a model.

    Raises:
        UnknownModel: Nobody declared it, and it was not found when the worker started.
    """
    run, guide = find_run(), AHEAD.get()
    if run is None and guide is None:
        return model
    if is_twin(model):
        needless = model.cache is None and get_llm_cache() is None and model.rate_limiter is None
        return model if needless else bare_twin(model)
    if run is not None and not workflow.patched(_GATE):
        return model
    held = run.host.found if run is not None else guide.found if guide is not None else None
    found = cast("Found | None", held)
    made = None
    if found is not None:
        made = cast("BaseChatModel | None", found.twin_of(model)) or found.remake(model)
    if made is None:
        end_here("a model that nobody declared")
        raise UnknownModel(_unknown_model(model, on=found is not None))
    return made


def _tool_in_run(tool: BaseTool) -> BaseTool:
    """Return what a run calls instead of a tool.

    Raises:
        UnknownTool: Nobody declared it, and it was not found when the worker started.
    """
    run, guide = find_run(), AHEAD.get()
    if (run is None and guide is None) or is_twin(tool) or _is_at_home(tool):
        return tool
    held = run.host.found if run is not None else guide.found if guide is not None else None
    found = cast("Found | None", held)
    if found is None or (run is not None and not workflow.patched(_GATE)):
        return tool
    made = found.twin_of(tool)
    if made is None:
        end_here(f"tool {tool.name!r}")
        raise UnknownTool(
            f"tool {tool.name!r} was made while the run goes on, so other workers cannot know it. "
            "Make it where the app is imported, where the agent's function or module can see it, "
            f"or declare it there: {tool.name} = perdure.tool({tool.name})"
        )
    return cast("BaseTool", made)


def _is_at_home(tool: BaseTool) -> bool:
    root, _, rest = str(getattr(function_of(tool), "__module__", None) or "").partition(".")
    if root not in _AT_HOME or rest.endswith(_WORLDLY):
        return False
    return not reaches_out(function_of(tool))


def _unknown_model(model: BaseChatModel, *, on: bool) -> str:
    kind, _, label = label_of(model).partition(":")
    line = f'model = perdure.model({kind}(model="{label or "..."}"))'
    if not on:
        return (
            f"the run called {label_of(model)!r}, a plain model, and this app does not have plain "
            f"models intercepted. Declare it where the app is imported: {line}; or let Perdure "
            "find it: perdure.Agents(intercept=True)"
        )
    return (
        f"the run called {label_of(model)!r}, a model that was made while the run goes on with "
        "settings that cannot be told to other workers (a key, an address, a client of its own). "
        f"Declare it where the app is imported: {line}"
    )
