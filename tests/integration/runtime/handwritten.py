"""Workflows as people write them: sandboxed, with parts of Perdure in them."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    import perdure
    import perdure.workflow
    from integration.runtime.fakes import model

DIRECT = model("from the model", name="direct")
HELLO = {"messages": [{"role": "user", "content": "hello"}]}


@workflow.defn
class Errand:
    """Ask a person, then run an agent."""

    def __init__(self) -> None:
        perdure.workflow.open_doors("errand")

    @workflow.run
    async def run(self, agent: str) -> str:
        terms = perdure.Approve(within=timedelta(hours=1), on_deadline="expire")
        decision = await perdure.workflow.ask("go?", action="go", args={"to": agent}, terms=terms)
        if decision.type != "approve":
            return decision.type
        output = await perdure.workflow.run_graph(agent, HELLO)
        return output["messages"][-1].text


@workflow.defn
class Straight:
    """Run an agent and nothing else."""

    @workflow.run
    async def run(self, agent: str) -> str:
        output = await perdure.workflow.run_graph(agent, HELLO)
        return output["messages"][-1].text


@workflow.defn
class Direct:
    """Call a model without any graph."""

    @workflow.run
    async def run(self) -> str:
        answer = await DIRECT.ainvoke("hello")
        return answer.text


WORKFLOWS = (Errand, Straight, Direct)
