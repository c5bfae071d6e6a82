"""Chat models that say what a test wants, and the tools and agents that many tests use."""

from collections.abc import Callable, Sequence
from typing import Any

from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.utils.function_calling import convert_to_openai_tool
from langgraph.graph import START, MessagesState, StateGraph
from pydantic import ConfigDict

import perdure

Say = Callable[[list[BaseMessage]], AIMessage]


class Scripted(BaseChatModel):
    """Answer with whatever `say` makes of the conversation."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    say: Say

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Any:
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **kwargs)

    def _generate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **_: Any
    ) -> ChatResult:
        answer = self.say(messages).model_copy()  # LangChain writes an id on what it is given
        return ChatResult(generations=[ChatGeneration(message=answer)])


def lines(*answers: AIMessage | str) -> Say:
    """Answer number n when n answers of the model are in the conversation already."""

    def say(messages: list[BaseMessage]) -> AIMessage:
        answer = answers[sum(isinstance(m, AIMessage) for m in messages)]
        return AIMessage(answer) if isinstance(answer, str) else answer

    return say


def calls(name: str, *arguments: dict[str, Any], turn: int = 1) -> AIMessage:
    """Call one tool once or several times in parallel."""
    return AIMessage(
        "",
        tool_calls=[
            {"name": name, "args": args, "id": f"call-{turn}.{number}", "type": "tool_call"}
            for number, args in enumerate(arguments, 1)
        ],
    )


def model(*answers: AIMessage | str, name: str = "m", **options: Any) -> BaseChatModel:
    """Declare a model that gives these answers in turn."""
    return perdure.model(Scripted(say=lines(*answers)), name=name, **options)


def search(q: str) -> str:
    """Search the shelf."""
    return f"found {q}"


def pay(amount: int) -> str:
    """Pay somebody."""
    return f"paid {amount} under {perdure.effect_key()}"


def sole(graph: Any, name: str = "graph") -> perdure.Agents:
    """Register one graph."""
    agents = perdure.Agents()
    agents.add(name, graph)
    return agents


def chain(*nodes: Callable[..., Any], schema: Any = MessagesState) -> perdure.Agents:
    """Make an agent "graph" whose nodes run one after the other."""
    graph = StateGraph(schema)
    graph.add_sequence(list(nodes))
    return sole(graph.add_edge(START, nodes[0].__name__))


def searching(*queries: str) -> perdure.Agents:
    """Make one agent that searches for all of these at once, then answers."""
    first = calls("search", *({"q": query} for query in queries))
    return sole(create_agent(model(first, "done"), [perdure.tool(search)]), "searcher")


def paying(*amounts: int, tool: Callable[..., Any] = pay, **options: Any) -> perdure.Agents:
    """Make one agent that pays each of these amounts at once, then answers."""
    first = calls(tool.__name__, *({"amount": amount} for amount in amounts))
    declared = perdure.tool(tool, **{"effect": True, **options})
    return sole(create_agent(model(first, "done"), [declared]), "payer")
