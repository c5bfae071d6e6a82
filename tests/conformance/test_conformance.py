"""Every feature of LangGraph, on plain LangGraph and on Perdure: the same result."""

import pytest

from conformance.case import Case, all_cases
from conformance.world import World

pytestmark = pytest.mark.timeout(120)


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in all_cases()])
async def test_a_graph_runs_as_on_plain_langgraph(world: World, case: Case) -> None:
    if case.unsupported is None:
        await world.check(case)
        return
    with pytest.raises(Exception):  # noqa: B017, PT011 - the difference may be of any kind
        await world.check(case)
