"""What Perdure uses of other libraries' insides is there, or the worker does not start."""

from typing import Any

import langgraph.pregel._checkpoint as checkpoints
import pytest
from langchain_core.callbacks import manager
from temporalio.worker import Worker

from integration.runtime.fakes import paying, searching
from integration.runtime.harness import Lab
from perdure.core.approvals import Approve
from perdure.errors import Incompatible
from perdure.worker.plugin import Plugin
from perdure.workflow import privates

pytestmark = pytest.mark.timeout(60)


def test_every_private_name_is_there() -> None:
    privates.check()


NAMES = [(checkpoints, "uuid6"), (manager, "uuid7")]


@pytest.mark.parametrize(("module", "name"), NAMES, ids=["uuid6", "uuid7"])
def test_a_missing_name_is_named(monkeypatch: Any, module: Any, name: str) -> None:
    monkeypatch.delattr(module, name)
    with pytest.raises(Incompatible, match=f"lacks {module.__name__}.{name};"):
        privates.check()


async def test_a_worker_does_not_start_without_them(lab: Lab, monkeypatch: Any) -> None:
    monkeypatch.delattr(checkpoints, "uuid6")
    plugin = Plugin(searching("hats"))
    with pytest.raises(Incompatible, match=r"constraints\.txt"):
        Worker(lab.client, task_queue="none", plugins=[plugin])


async def test_a_stopped_worker_keeps_no_run_in_memory(lab: Lab) -> None:
    agents = paying(1, approve=Approve())
    async with lab.worker(agents) as runs:
        inner: Any = runs.worker._workflow_worker
        await (await runs.start("payer")).question()
        held = list(inner._running_workflows.values())
    assert all(not running.instance._tasks for running in held)
