"""The support agent a second time, as a hand-written workflow that calls the same parts."""

from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    import perdure
    from perdure.workflow import ask, open_doors

    from . import prompts
    from .parts import PARTS
    from .settings import settings
    from .state import State, blank


@workflow.defn(name="support.handmade", failure_exception_types=[ValueError])
class SupportByHand:
    """Answer one message; the same steps and results as the graph, without LangGraph."""

    def __init__(self) -> None:
        self._view = open_doors("support.handmade")

    @workflow.run
    async def run(self, request: dict[str, str]) -> State:
        """Run the agent; `request` has `message` and `customer`."""
        state = blank(*prompts.check_request(request.get("message"), request.get("customer")))
        state["found"] = await PARTS.search.ainvoke({"query": state["message"]})
        state["articles"] = [{"id": one["id"], "title": one["title"]} for one in state["found"]]
        state["model"] = settings.label
        state["category"] = await self._classify(state)
        if state["category"] == "escalate":
            return await self._hand_over(state, "escalated", "The classifier chose to escalate.")
        chat = prompts.draft_chat(state["message"], state["category"], state["found"])
        state["draft"] = prompts.clean(str((await PARTS.model.ainvoke(chat)).text))
        state["subject"] = prompts.subject(state["message"])
        mail: dict[str, Any] = {"to": state["customer"], "subject": state["subject"]}
        decision = await ask(
            f"Send this reply to {state['customer']}?",
            action="send_email",
            args={**mail, "body": state["draft"]},
            text=prompts.approval_text(state["message"], state["category"], state["found"]),
            terms=perdure.Approve(
                within=settings.within,
                allowed=("approve", "edit", "reject"),
                on_deadline="expire",
            ),
        )
        state["decided_by"] = decision.by
        if decision.type == "expire":
            return await self._hand_over(state, "expired", decision.message or "")
        if decision.type == "reject":
            state["outcome"], state["reason"] = "rejected", decision.message or ""
            return state
        mail |= {"body": state["draft"], **(decision.args or {}), "to": state["customer"]}
        state["reply"], state["outcome"] = mail["body"], "sent"
        state["message_id"] = (await PARTS.send.ainvoke(mail))["message_id"]
        return state

    async def _classify(self, state: State) -> str:
        chat = prompts.classify_chat(state["message"], state["found"])
        for _ in range(prompts.MAX_REPAIRS + 1):
            answer = str((await PARTS.model.ainvoke(chat)).text)
            if (category := prompts.parse_category(answer)) is not None:
                return category
            chat = prompts.repair_chat(chat, answer)
        return "escalate"

    async def _hand_over(self, state: State, outcome: str, reason: str) -> State:
        state["outcome"], state["reason"] = outcome, reason
        title = prompts.ticket_title(state["message"], outcome)
        body = prompts.ticket_body(state["message"], state["customer"], reason, state["found"])
        ticket = {"title": title, "body": body, "customer": state["customer"]}
        state["ticket_id"] = (await PARTS.ticket.ainvoke(ticket))["id"]
        return state
