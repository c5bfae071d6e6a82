"""`deepagents.create_deep_agent`: files, sub-agents, questions, summaries."""

from typing import Any

from deepagents import create_deep_agent
from deepagents.backends import CompositeBackend, StateBackend, StoreBackend
from deepagents.middleware.summarization import SummarizationMiddleware
from langchain.agents import create_agent
from langchain.agents.middleware import TodoListMiddleware
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langgraph.store.memory import InMemoryStore

from conformance.case import Choose, Kit, Plan, case
from conformance.kits import calls

HELLO = {"messages": [{"role": "user", "content": "hello"}]}
WRITE = calls("write_file", {"file_path": "/a.txt", "content": "hello\nworld"})


def sail(q: str) -> str:
    """Sail somewhere."""
    return f"sailed to {q}"


SAIL = calls("sail", {"q": "Rhodes"})


def texts(plan: Plan) -> Plan:
    """Compare the messages only: files carry the time at which they were written."""

    async def told(session: Any) -> Any:
        output = await session.start(plan.input)
        for answer in plan.answers or ():
            output = await session.answer(answer)
        return [(type(m).__name__, m.text) for m in output["messages"]], sorted(
            output.get("files", {})
        )

    plan.scenario = told
    return plan


@case("deep_files", area="Deep agents", feature="All file tools on the state backend")
def deep_files(kit: Kit) -> Plan:
    model = kit.model(
        WRITE,
        calls("read_file", {"file_path": "/a.txt"}, turn=2),
        calls("ls", {"path": "/"}, turn=3),
        calls(
            "edit_file", {"file_path": "/a.txt", "old_string": "world", "new_string": "x"}, turn=4
        ),
        calls("grep", {"pattern": "hello"}, turn=5),
        calls("glob", {"pattern": "*.txt"}, turn=6),
        calls("delete", {"file_path": "/a.txt"}, turn=7),
        "done",
    )
    return texts(Plan(graph=create_deep_agent(model=model), input=HELLO, activities={"model": 8}))


@case("deep_parallel_writes", area="Deep agents", feature="Two files written at once")
def deep_parallel_writes(kit: Kit) -> Plan:
    both = calls(
        "write_file", {"file_path": "/a", "content": "1"}, {"file_path": "/b", "content": "2"}
    )
    graph = create_deep_agent(model=kit.model(both, "done"))
    return texts(Plan(graph=graph, input=HELLO, activities={"model": 2}))


@case("deep_store_backend", area="Deep agents", feature="Files in a Store")
def deep_store_backend(kit: Kit) -> Plan:
    model = kit.model(WRITE, calls("read_file", {"file_path": "/a.txt"}, turn=2), "done")
    backend = StoreBackend(namespace=lambda _: ("deep_store_backend",))
    graph = create_deep_agent(model=model, backend=backend, store=InMemoryStore())
    return texts(Plan(graph=graph, input=HELLO))


@case("deep_composite_backend", area="Deep agents", feature="Files in state and Store by path")
def deep_composite_backend(kit: Kit) -> Plan:
    model = kit.model(
        WRITE,
        calls("write_file", {"file_path": "/memories/m.txt", "content": "kept"}, turn=2),
        calls("read_file", {"file_path": "/memories/m.txt"}, turn=3),
        "done",
    )
    kept = StoreBackend(namespace=lambda _: ("deep_composite_backend",))
    backend = CompositeBackend(default=StateBackend(), routes={"/memories/": kept})
    graph = create_deep_agent(model=model, backend=backend, store=InMemoryStore())
    return texts(Plan(graph=graph, input=HELLO))


@case("deep_own_tool", area="Deep agents", feature="A tool of one's own in a deep agent")
def deep_own_tool(kit: Kit) -> Plan:
    graph = create_deep_agent(model=kit.model(SAIL, "done"), tools=[kit.tool(sail)])
    return Plan(graph=graph, input=HELLO, activities={"model": 2, "tool": 1})


@case("deep_todo", area="Deep agents", feature="A deep agent with TodoListMiddleware")
def deep_todo(kit: Kit) -> Plan:
    todos = [{"content": "sail", "status": "pending"}]
    model = kit.model(calls("write_todos", {"todos": todos}), "done")
    graph = create_deep_agent(model=model, middleware=[TodoListMiddleware()])
    return Plan(graph=graph, input=HELLO, activities={"model": 2})


def captain(*orders: dict[str, Any]) -> Any:
    """Give orders to the mate, who sails; both are one model."""

    def say(messages: list[Any]) -> AIMessage:
        is_over = isinstance(messages[-1], ToolMessage)
        if any("MATE" in m.text for m in messages if isinstance(m, SystemMessage)):
            return AIMessage(f"aye: {messages[-1].text}") if is_over else SAIL
        return AIMessage("done") if is_over else calls("task", *orders)

    return say


ORDER = {"description": "sail to Rhodes", "subagent_type": "mate"}
MATE: Any = {"name": "mate", "description": "sails", "system_prompt": "MATE"}


@case("deep_subagent", area="Deep agents", feature="A sub-agent; its calls are activities too")
def deep_subagent(kit: Kit) -> Plan:
    graph = create_deep_agent(
        model=kit.model(captain(ORDER)), tools=[kit.tool(sail)], subagents=[MATE]
    )
    return Plan(graph=graph, input=HELLO, activities={"model": 4, "tool": 1})


@case("deep_subagents_parallel", area="Deep agents", feature="Two sub-agents at once")
def deep_subagents_parallel(kit: Kit) -> Plan:
    second = {"description": "sail to Crete", "subagent_type": "mate"}
    graph = create_deep_agent(
        model=kit.model(captain(ORDER, second)), tools=[kit.tool(sail)], subagents=[MATE]
    )
    return Plan(graph=graph, input=HELLO, activities={"model": 6, "tool": 2})


@case("deep_subagent_compiled", area="Deep agents", feature="A compiled graph as sub-agent")
def deep_subagent_compiled(kit: Kit) -> Plan:
    inner = create_agent(kit.model(SAIL, "aye", name="mate"), [kit.tool(sail)])
    mate: Any = {"name": "mate", "description": "sails", "runnable": inner}
    graph = create_deep_agent(model=kit.model(captain(ORDER)), subagents=[mate])
    return Plan(graph=graph, input=HELLO, activities={"model": 4, "tool": 1})


@case("deep_subagent_model", area="Deep agents", feature="A sub-agent with a model of its own")
def deep_subagent_model(kit: Kit) -> Plan:
    mate: Any = {**MATE, "model": kit.model(SAIL, "aye", name="mate"), "tools": [kit.tool(sail)]}
    graph = create_deep_agent(model=kit.model(captain(ORDER)), subagents=[mate])
    return Plan(graph=graph, input=HELLO, activities={"model": 4, "tool": 1})


@case("deep_subagent_files", area="Deep agents", feature="A sub-agent's files reach the main agent")
def deep_subagent_files(kit: Kit) -> Plan:
    read = calls("read_file", {"file_path": "/a.txt"}, turn=2)

    def say(messages: list[Any]) -> AIMessage:
        tools = sum(isinstance(message, ToolMessage) for message in messages)
        if any("MATE" in m.text for m in messages if isinstance(m, SystemMessage)):
            return AIMessage("aye") if tools else WRITE
        return (calls("task", ORDER), read, AIMessage("done"))[tools]

    graph = create_deep_agent(model=kit.model(say), subagents=[MATE])
    return texts(Plan(graph=graph, input=HELLO, activities={"model": 5}))


@case("deep_hitl", area="Deep agents", feature="interrupt_on for a file tool")
def deep_hitl(kit: Kit) -> Plan:
    graph = create_deep_agent(model=kit.model(WRITE, "done"), interrupt_on={"write_file": True})
    plan = Plan(graph=graph, input=HELLO, activities={"model": 2})
    plan.answers = [Choose(type="approve")]
    return texts(plan)


@case("deep_subagent_hitl", area="Deep agents", feature="A question asked inside a sub-agent")
def deep_subagent_hitl(kit: Kit) -> Plan:
    graph = create_deep_agent(
        model=kit.model(captain(ORDER)),
        tools=[kit.tool(sail)],
        subagents=[MATE],
        interrupt_on={"sail": True},
    )
    plan = Plan(graph=graph, input=HELLO, activities={"model": 4, "tool": 1})
    plan.answers = [Choose(type="edit", args={"q": "Kos"}, name="sail")]
    return plan


def shortening(messages: list[Any]) -> AIMessage:
    """Sail until a summary is there."""
    if "summar" in messages[-1].text.lower() and len(messages) == 1:
        return AIMessage("SUMMARY")
    has_summary = any("SUMMARY" in m.text for m in messages if isinstance(m, HumanMessage))
    if has_summary and isinstance(messages[-1], ToolMessage):
        return AIMessage("done")
    return calls("sail", {"q": f"q{len(messages)}"}, turn=len(messages))


@case(
    "deep_summarization",
    area="Deep agents",
    feature="SummarizationMiddleware that keeps the history as a file",
)
def deep_summarization(kit: Kit) -> Plan:
    middleware = SummarizationMiddleware(
        model=kit.model(shortening, name="s"),
        backend=StateBackend(),
        trigger=("messages", 4),
        keep=("messages", 2),
    )
    graph = create_agent(kit.model(shortening), [kit.tool(sail)], middleware=[middleware])
    plan = Plan(graph=graph, input=HELLO)

    async def told(session: Any) -> Any:
        output = await session.start(plan.input)
        return [(type(m).__name__, m.text) for m in output["messages"]]

    plan.scenario = told
    return plan


@case("deep_memory", area="Deep agents", feature="memory= read from a file of the state")
def deep_memory(kit: Kit) -> Plan:
    def say(messages: list[Any]) -> AIMessage:
        return AIMessage(str(any("likes tea" in m.text for m in messages)))

    graph = create_deep_agent(model=kit.model(say), memory=["/AGENTS.md"])
    files = {"/AGENTS.md": {"content": "Ann likes tea", "encoding": "utf-8"}}
    return Plan(graph=graph, input={**HELLO, "files": files}, activities={"model": 1})


SKILL = "---\nname: sailing\ndescription: How to sail\n---\nHoist the sail."


@case("deep_skills", area="Deep agents", feature="skills= read from files of the state")
def deep_skills(kit: Kit) -> Plan:
    def say(messages: list[Any]) -> AIMessage:
        return AIMessage(str(any("How to sail" in m.text for m in messages)))

    graph = create_deep_agent(model=kit.model(say), skills=["/skills/"])
    files = {"/skills/sailing/SKILL.md": {"content": SKILL, "encoding": "utf-8"}}
    return Plan(graph=graph, input={**HELLO, "files": files}, activities={"model": 1})


@case("deep_large_result", area="Deep agents", feature="A large tool result is moved to a file")
def deep_large_result(kit: Kit) -> Plan:
    model = kit.model(calls("chart", {"size": 90_000}), "done")
    graph = create_deep_agent(model=model, tools=[kit.tool(chart)])
    return texts(Plan(graph=graph, input=HELLO, activities={"model": 2, "tool": 1}))


def chart(size: int) -> str:
    """Draw a chart."""
    return "~" * size
