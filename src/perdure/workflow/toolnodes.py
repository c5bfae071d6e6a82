"""Let a run call a tool of an MCP server that its graph no longer holds. Workflow side.

A graph that took a server's tools when it was built has those that the server listed then. On
another worker, built later, a tool may be missing that a model of the run has called: the reply
that called it says which server has it, and the call is made there, or replayed.
"""

from typing import cast

from langchain_core.tools import BaseTool
from langgraph.prebuilt.tool_node import ToolNode

from perdure.core.declared import Declaration
from perdure.core.jsons import Raw
from perdure.core.toolservers import ServerTool, ToolCard
from perdure.workflow.current import Run, find_run
from perdure.workflow.mcptool import Terms, make_tool

_MARK = "__perdure_tool_node__"


def install() -> None:
    """Put the wrapper in place, once per process. Runs on the worker."""
    kind = cast("Raw", ToolNode)
    original = cast("property", kind.tools_by_name)
    if getattr(original.fget, _MARK, False):
        return

    def tools_by_name(self: Raw) -> dict[str, BaseTool]:
        held: dict[str, BaseTool] = original.__get__(self)
        run = find_run()
        if run is None or not run.tool_lists.called:
            return held
        gone = {name: at for name, at in run.tool_lists.called.items() if name not in held}
        return {**held, **_missing(run, gone)} if gone else held

    setattr(tools_by_name, _MARK, True)
    kind.tools_by_name = property(tools_by_name, doc=original.__doc__)


def _missing(run: Run, gone: dict[str, ServerTool]) -> dict[str, BaseTool]:
    """Make stand-ins for tools that nothing of this worker's app has; the others stay unknown."""
    table = run.host.declared
    return {name: _stand_in(name, at) for name, at in gone.items() if not table.find("tool", name)}


def _stand_in(name: str, at: ServerTool) -> BaseTool:
    nowhere = Declaration(kind="mcp", name=at.server, identity=at, build=dict[str, Raw])
    return make_tool(name, at, ToolCard(name=at.tool), Terms(), nowhere)
