"""`perdure.agent_tool`: a tool that runs another registered agent. Workflow side."""

# pyright: reportPrivateUsage=false
# `_run` and `_arun` are the hooks that LangChain documents for its subclasses.

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar, cast

from langchain_core.messages import BaseMessage, ToolMessage
from langchain_core.tools import BaseTool
from pydantic import BaseModel, Field

from perdure.core.ahead import end_here
from perdure.core.approvals import Approve
from perdure.core.declared import DECLARED, Declaration
from perdure.core.jsons import Json, JsonObject, Raw, shorten
from perdure.core.summaries import tool_summary
from perdure.errors import BadOption, NotAllowed, NotInRun
from perdure.workflow.asking import ask_here
from perdure.workflow.bridge import wait_for
from perdure.workflow.current import find_run
from perdure.workflow.subagents import DEPTH, run_agent

Given = dict[str, Raw]


class Request(BaseModel):
    """What the agent is asked for."""

    request: str = Field(description="What to do, with everything that is needed for it.")


@dataclass(frozen=True, kw_only=True)
class Errand:
    """What one agent tool does."""

    agent: str
    input: Callable[[Given], Raw]
    output: Callable[[Raw], Raw]
    approve: Approve | None
    timeout: timedelta | None
    depth: int
    task_queue: str | None


def agent_tool(
    agent: str,
    *,
    description: str,
    name: str | None = None,
    schema: type[BaseModel] | Mapping[str, Raw] = Request,
    input: Callable[[Given], Raw] | None = None,
    output: Callable[[Raw], Raw] | None = None,
    approve: Approve | None = None,
    timeout: timedelta | None = None,
    depth: int = DEPTH,
    task_queue: str | None = None,
) -> BaseTool:
    """Make a tool that runs another registered agent, as a child run with its own history.

    The model gives a `request`, which becomes the agent's first message; it gets back the text
    of the agent's last message. `schema`, `input` (from the arguments to the agent's input) and
    `output` (from the agent's output to the tool's result) change that; both functions run in
    the workflow and must be pure.

    `approve` makes the run ask a person before each call. What the agent itself asks is asked
    by this run. After `timeout` the agent is cancelled. `depth` is how deep agents may call one
    another. With `task_queue` the agent runs on the workers of another queue.

    Raises:
        BadOption: An option cannot work.
        NameTaken: Another tool has that name.
    """
    if not isinstance(cast("Raw", agent), str) or not agent:
        raise BadOption(f"agent={shorten(repr(agent), 60)}: name a registered agent")
    if not description:
        raise BadOption(f"description='': tell the model what agent {agent!r} is for")
    if timeout is not None and not timeout > timedelta(0):
        raise BadOption(f"timeout={timeout!r}: must be a timedelta above 0")
    if isinstance(depth, bool) or depth < 1:
        raise BadOption(f"depth={depth!r}: must be a whole number above 0")
    errand = Errand(
        agent=agent,
        input=input or _messages,
        output=output or last_text,
        approve=approve,
        timeout=timeout,
        depth=depth,
        task_queue=task_queue,
    )
    chosen = name or agent
    DECLARED.add(
        Declaration(
            kind="agent_tool",
            name=chosen,
            identity=("perdure.agent_tool", agent, task_queue),
            build=lambda: agent,
            terms=task_queue,
        )
    )
    return AgentTool(
        name=chosen,
        description=description,
        args_schema=cast("Raw", schema),
        errand=errand,
    )


class AgentTool(BaseTool):
    """A tool that runs an agent."""

    perdure_agent: ClassVar[bool] = True
    errand: Errand = Field(exclude=True, repr=False)

    def run(self, tool_input: str | Given, *args: Raw, **kwargs: Raw) -> Raw:
        """Run the agent from sync code of a node."""
        what = f"agent tool {self.name!r}"
        if find_run() is None:
            end_here(what)
            raise NotInRun(_OUTSIDE.format(what))
        return wait_for(self.arun(tool_input, *args, **kwargs), what=what)

    async def arun(
        self,
        tool_input: str | Given,
        *args: Raw,
        tool_call_id: str | None = None,
        **kwargs: Raw,
    ) -> Raw:
        """Ask a person if the tool says so, then run the agent."""
        run, errand = find_run(), self.errand
        if run is None:
            end_here(f"agent tool {self.name!r}")
            raise NotInRun(_OUTSIDE.format(f"agent tool {self.name!r}"))
        if errand.approve is not None:
            given = tool_input if isinstance(tool_input, dict) else {"request": tool_input}
            decision = await ask_here(
                run,
                tool_summary(self.name, cast("Mapping[str, Json]", given)),
                action=self.name,
                args=cast("Mapping[str, Json]", given),
                terms=errand.approve,
                call_id=tool_call_id,
                schema=_schema(self),
            )
            if decision.type not in ("approve", "edit"):
                why = f": {decision.message}" if decision.message else ""
                text = f"The call of {self.name!r} was not carried out, {decision.type} by "
                return _refused(self.name, f"{text}{decision.by}{why}", tool_call_id)
            if decision.args is not None:
                tool_input = dict(decision.args)
        return await BaseTool.arun(self, tool_input, *args, tool_call_id=tool_call_id, **kwargs)

    def _run(self, **given: Raw) -> Raw:
        return wait_for(self._arun(**given), what=f"agent tool {self.name!r}")

    async def _arun(self, **given: Raw) -> Raw:
        errand = self.errand
        output = await run_agent(
            errand.agent,
            errand.input(given),
            timeout=errand.timeout,
            depth=errand.depth,
            task_queue=errand.task_queue,
        )
        return errand.output(output)


_OUTSIDE = (
    "{} works inside a run only: it starts a run of its own. Start the agent with "
    "`perdure run`, or call the other agent's graph as a node"
)


def _messages(given: Given) -> Raw:
    if "messages" in given:
        return given
    request = given.get("request")
    if isinstance(request, str):
        return {"messages": [{"role": "user", "content": request}]}
    return given


def last_text(output: Raw) -> Raw:
    """Return the text of the last message of an output; the output itself if it has none."""
    if isinstance(output, Mapping):
        messages = cast("Mapping[str, Raw]", output).get("messages")
        if isinstance(messages, list) and messages:
            last = cast("list[Raw]", messages)[-1]
            if isinstance(last, BaseMessage):
                return last.text
    return cast("Raw", output)


def _schema(tool: BaseTool) -> JsonObject:
    kind = cast("Raw", tool.tool_call_schema)
    return cast("JsonObject", kind if isinstance(kind, dict) else kind.model_json_schema())


def _refused(name: str, text: str, call_id: str | None) -> Raw:
    if call_id is None:
        raise NotAllowed(text)
    return ToolMessage(text, tool_call_id=call_id, name=name, status="error")
