"""A hand-written workflow, sandboxed."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    import perdure.workflow


@workflow.defn
class Errand:
    """Ask a person, then run an agent."""

    def __init__(self) -> None:
        perdure.workflow.open_doors("errand")

    @workflow.run
    async def run(self, agent: str) -> str:
        decision = await perdure.workflow.ask("go?")
        if decision.type != "approve":
            return decision.type
        output = await perdure.workflow.run_graph(
            agent, {"messages": [{"role": "user", "content": "hello"}]}
        )
        return output["messages"][-1].text
