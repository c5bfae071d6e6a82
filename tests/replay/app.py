"""The agents whose histories are stored beside this file. Only ever add to them."""

from datetime import timedelta
from typing import Any

from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.utils.function_calling import convert_to_openai_tool
from langgraph.graph import START, MessagesState, StateGraph

import perdure
from replay.errand import Errand


class Clerk(BaseChatModel):
    """Call the first tool twice in parallel, then answer."""

    @property
    def _llm_type(self) -> str:
        return "clerk"

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **kwargs)

    def _generate(self, messages: Any, *_: Any, **kwargs: Any) -> ChatResult:
        answer = AIMessage("all done")
        if not any(isinstance(message, AIMessage) for message in messages) and kwargs.get("tools"):
            name = kwargs["tools"][0]["function"]["name"]
            answer = AIMessage(
                "",
                tool_calls=[
                    {"name": name, "args": {"amount": n}, "id": f"call-{n}", "type": "tool_call"}
                    for n in (1, 2)
                ],
            )
        return ChatResult(generations=[ChatGeneration(message=answer)])


def count(amount: int) -> str:
    """Count to an amount."""
    return f"counted to {amount}"


def pay(amount: int) -> str:
    """Pay an amount."""
    return f"paid {amount} under {perdure.effect_key()}"


def _ask(state: dict[str, Any]) -> dict[str, Any]:
    hour = timedelta(hours=1)
    decision = perdure.ask("send it?", action="send", args={"to": "bob"}, reminders=(hour,))
    return {"messages": [HumanMessage(f"{decision.type} by {decision.by}")]}


def _fail(state: dict[str, Any]) -> None:
    raise KeyError("no such customer")


def make_agents() -> perdure.Agents:
    """Declare everything anew; another suite may have cleared the declarations."""
    clerk = perdure.model(Clerk(), name="clerk")
    agents = perdure.Agents(workflows=[Errand])
    agents.add("counter", create_agent(clerk, [perdure.tool(count)], system_prompt="count"))
    paying = perdure.tool(pay, effect=True, approve=perdure.Approve())
    agents.add("payer", create_agent(clerk, [paying]))
    for name, node in (("asker", _ask), ("failer", _fail)):
        graph = StateGraph(MessagesState).add_sequence(
            [("before", lambda state: None), ("it", node)]
        )
        agents.add(name, graph.add_edge(START, "before"))
    return agents
