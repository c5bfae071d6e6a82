"""The support agent as a LangGraph graph.

    check -> look_up -> sort -+-> compose -> approve -+-> deliver -> (sent)
                              |                       +-> (rejected)
                              +-----> open_ticket <---+    (escalated, expired)

Nodes run inside a workflow: they decide, and leave every contact with the world to the
model and the three tools they are given.
"""

# LangGraph ships without py.typed, and add_node has a parameter that is only partly typed.
# pyright: reportUnknownMemberType=false, reportMissingTypeStubs=false

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.tools import BaseTool
from langgraph.graph import END, START, StateGraph

import perdure

from . import prompts
from .state import Found, Report, Request, State, blank

Graph = StateGraph[State, None, Request, Report]


@dataclass(frozen=True, kw_only=True)
class Nodes:
    """The nodes and routers, bound to a model and tools."""

    model: BaseChatModel
    search: BaseTool
    ticket: BaseTool
    send: BaseTool
    within: timedelta
    label: str

    def check(self, state: Request) -> State:
        """Refuse what cannot be answered, and clean what can."""
        message, customer = prompts.check_request(state.get("message"), state.get("customer"))
        return blank(message, customer)

    async def look_up(self, state: State) -> dict[str, Any]:
        """Search the knowledge base."""
        found: list[Found] = await self.search.ainvoke({"query": state["message"]})
        articles = [{"id": one["id"], "title": one["title"]} for one in found]
        return {"found": found, "articles": articles}

    async def sort(self, state: State) -> dict[str, Any]:
        """Classify; an answer outside the set goes back to the model, at most twice."""
        chat = prompts.classify_chat(state["message"], state["found"])
        answers: list[str] = []
        while True:
            reply = await self.model.ainvoke(chat)
            said = {"model": self._label(reply)}
            answers.append(str(reply.text))
            category = prompts.parse_category(answers[-1])
            if category == "escalate":
                return {**said, "category": category, "reason": "The classifier chose to escalate."}
            if category is not None:
                return {**said, "category": category}
            if len(answers) > prompts.MAX_REPAIRS:
                wrong = f"No valid category in {len(answers)} answers: {repr(answers)[:500]}"
                return {**said, "category": "escalate", "reason": wrong}
            chat = prompts.repair_chat(chat, answers[-1])

    async def compose(self, state: State) -> dict[str, Any]:
        """Write the draft; silence from the model is a reason to escalate."""
        chat = prompts.draft_chat(state["message"], state["category"], state["found"])
        draft = prompts.clean(str((await self.model.ainvoke(chat)).text))
        if not draft:
            return {"category": "escalate", "reason": "The model returned an empty draft."}
        return {"draft": draft, "subject": prompts.subject(state["message"])}

    def approve(self, state: State) -> dict[str, Any]:
        """Wait for a person. The node runs again on resume, so it does nothing else."""
        decision = perdure.ask(
            f"Send this reply to {state['customer']}?",
            action="send_email",
            args={"to": state["customer"], "subject": state["subject"], "body": state["draft"]},
            text=prompts.approval_text(
                state["message"], state["category"], state["found"], problem=state["problem"]
            ),
            within=self.within,
            on_deadline="expire",
        )
        said: dict[str, Any] = {"decided_by": decision.by, "problem": ""}
        match decision.type:
            case "approve":
                return {**said, "reply": state["draft"]}
            case "reject":
                reason = decision.message or "No reason was given."
                return {**said, "outcome": "rejected", "reason": reason}
            case "expire":
                hours = self.within.total_seconds() / 3600
                reason = f"Nobody decided on the draft within {hours:g} hours."
                return {**said, "outcome": "expired", "reason": reason}
            case "edit":
                subject, body, problem = prompts.edited_text(
                    decision.args,
                    to=state["customer"],
                    subject=state["subject"],
                    body=state["draft"],
                )
                if not problem:
                    return {**said, "subject": subject, "reply": body}
            case other:
                problem = f"{other!r} is not a decision here; approve, edit or reject."
        return {"problem": problem}

    async def deliver(self, state: State) -> dict[str, Any]:
        """Send the reply that a person released."""
        mail = {"to": state["customer"], "subject": state["subject"], "body": state["reply"]}
        sent = await self.send.ainvoke(mail)
        return {"outcome": "sent", "message_id": sent["message_id"]}

    async def open_ticket(self, state: State) -> dict[str, Any]:
        """Hand over to a person, with everything known so far."""
        outcome = state["outcome"] or "escalated"
        made = await self.ticket.ainvoke(
            {
                "title": prompts.ticket_title(state["message"], outcome),
                "body": prompts.ticket_body(
                    state["message"],
                    state["customer"],
                    state["reason"],
                    state["found"],
                    draft=state["draft"],
                ),
                "customer": state["customer"],
            }
        )
        return {"outcome": outcome, "ticket_id": made["id"]}

    def after_sort(self, state: State) -> Literal["compose", "open_ticket"]:
        """Draft a reply unless the message is for a person."""
        return "open_ticket" if state["category"] == "escalate" else "compose"

    def after_compose(self, state: State) -> Literal["approve", "open_ticket"]:
        """Ask for approval when there is something to approve."""
        return "approve" if state["draft"] else "open_ticket"

    def after_approve(
        self, state: State
    ) -> Literal["approve", "deliver", "open_ticket", "__end__"]:
        """Carry out the decision; ask again when that is not possible."""
        if state["problem"]:
            return "approve"
        if state["reply"]:
            return "deliver"
        return "open_ticket" if state["outcome"] == "expired" else "__end__"

    def _label(self, reply: AIMessage) -> str:
        """Name the model as the app did, else as the provider did in its reply."""
        named: dict[str, Any] = reply.response_metadata
        return self.label or str(named.get("model_name") or named.get("model") or "unknown")


def build(
    model: BaseChatModel,
    search: BaseTool,
    ticket: BaseTool,
    send: BaseTool,
    *,
    within: timedelta,
    label: str = "",
) -> Graph:
    """Put the graph together; `within` is how long it waits for a person."""
    nodes = Nodes(model=model, search=search, ticket=ticket, send=send, within=within, label=label)
    graph = StateGraph(State, input_schema=Request, output_schema=Report)
    graph.add_node("check", nodes.check, input_schema=Request)
    graph.add_node("look_up", nodes.look_up)
    graph.add_node("sort", nodes.sort)
    graph.add_node("compose", nodes.compose)
    graph.add_node("approve", nodes.approve)
    graph.add_node("deliver", nodes.deliver)
    graph.add_node("open_ticket", nodes.open_ticket)
    graph.add_edge(START, "check")
    graph.add_edge("check", "look_up")
    graph.add_edge("look_up", "sort")
    graph.add_conditional_edges("sort", nodes.after_sort)
    graph.add_conditional_edges("compose", nodes.after_compose)
    graph.add_conditional_edges("approve", nodes.after_approve)
    graph.add_edge("deliver", END)
    graph.add_edge("open_ticket", END)
    return graph
