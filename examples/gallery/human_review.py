"""Human review: nothing leaves before a person has approved, edited or rejected it.

START -> write -> review -> (send | END)
"""

from pathlib import Path
from typing import Any

from langchain.chat_models import init_chat_model
from langchain_core.tools import tool
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt
from typing_extensions import TypedDict

OUTBOX = Path("outbox")


@tool
def send_email(to: str, body: str) -> str:
    """Send an e-mail: here, a file in the outbox."""
    OUTBOX.mkdir(exist_ok=True)
    (OUTBOX / f"{to}.txt").write_text(body, "utf-8")
    return f"sent to {to}"


class State(TypedDict):
    """A complaint, and what becomes of it."""

    customer: str
    complaint: str
    draft: str
    outcome: str


model = init_chat_model("anthropic:claude-sonnet-4-6")


def write(state: State) -> dict[str, Any]:
    """Draft a reply."""
    reply = model.invoke(f"Reply to this complaint in two sentences: {state['complaint']}")
    return {"draft": reply.text}


def review(state: State) -> Command[str]:
    """Ask a person, in the form that LangChain's agents ask; the node runs again to answer."""
    request = {
        "name": "send_email",
        "args": {"to": state["customer"], "body": state["draft"]},
        "description": "This reply is about to leave.",
    }
    allowed = {"action_name": "send_email", "allowed_decisions": ["approve", "edit", "reject"]}
    answer = interrupt({"action_requests": [request], "review_configs": [allowed]})
    decision = answer["decisions"][0]
    if decision["type"] == "reject":
        return Command(goto=END, update={"outcome": f"rejected: {decision.get('message', '')}"})
    if decision["type"] == "edit":
        args = decision["edited_action"]["args"]
        return Command(goto="send", update={"customer": args["to"], "draft": args["body"]})
    return Command(goto="send")


async def send(state: State) -> dict[str, Any]:
    """Send what was approved."""
    return {"outcome": await send_email.ainvoke({"to": state["customer"], "body": state["draft"]})}


builder = StateGraph(State)
builder.add_node(write)
builder.add_node(review, destinations=("send", END))
builder.add_node(send)
builder.add_edge(START, "write")
builder.add_edge("write", "review")
builder.add_edge("send", END)
graph = builder.compile()
