"""What goes in, what comes out, and what the graph carries between nodes. JSON values only."""

from typing_extensions import TypedDict


class Request(TypedDict):
    """One message from one customer."""

    message: str
    customer: str
    """The e-mail address the answer goes to."""


class Found(TypedDict):
    """An article as the knowledge base returns it."""

    id: str
    title: str
    score: float
    snippet: str
    text: str


class Reference(TypedDict):
    """An article as the report names it."""

    id: str
    title: str


class Report(TypedDict):
    """How a run ended. Every key is present; what did not happen is None or empty."""

    outcome: str
    """sent, rejected, escalated or expired."""
    category: str
    articles: list[Reference]
    draft: str
    """What the model wrote."""
    reply: str
    """What was sent; empty when nothing was."""
    reason: str
    """Why the run was rejected, escalated or expired."""
    ticket_id: str | None
    message_id: str | None
    model: str
    decided_by: str | None


class State(Request, Report):
    """The report in the making, and what only the nodes need."""

    found: list[Found]
    subject: str
    problem: str
    """Why the last decision could not be carried out; shown when the person is asked again."""


def blank(message: str, customer: str) -> State:
    """Return the state at the start: everything there, nothing decided."""
    return State(
        message=message,
        customer=customer,
        outcome="",
        category="",
        articles=[],
        draft="",
        reply="",
        reason="",
        ticket_id=None,
        message_id=None,
        model="",
        decided_by=None,
        found=[],
        subject="",
        problem="",
    )
