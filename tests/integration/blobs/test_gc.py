"""`gc` removes what no run refers to, and nothing else; runs are deleted with what they used."""

import asyncio
import json
import os
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import uuid4

import pytest
import pytest_asyncio
from google.protobuf.duration_pb2 import Duration
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Schedule, ScheduleActionStartWorkflow, ScheduleSpec
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Worker
from typer.testing import CliRunner

from integration.blobs.backends import Folder
from integration.blobs.offloading import (
    ALL,
    Beating,
    Everywhere,
    Simple,
    large,
    name_of,
    offloading,
)
from perdure.cli.main import app
from perdure.client import connect
from perdure.client.poll import until
from perdure.errors import BadInput, RunBusy, RunNotFound, ServerUnavailable, StorageUnavailable
from perdure.testing import DevServer

NOW = timedelta(0)
SOON = timedelta(seconds=20)
STRAY = "f" * 32


@pytest_asyncio.fixture(loop_scope="session")
async def server():
    """A server of its own for each test: gc reads all of its runs."""
    async with DevServer() as server:
        yield server


@pytest_asyncio.fixture(loop_scope="session")
async def place(server, tmp_path):
    """A store, a client whose large values go there, and a worker."""
    backend = Folder(tmp_path)
    async with working(server, backend) as made:
        yield made


class Place:
    def __init__(self, backend, blobs, client, queue):
        self.backend, self.blobs, self.client, self.queue = backend, blobs, client, queue

    async def start(self, kind, *args, **more):
        run_id = more.pop("id", f"run-{uuid4().hex[:8]}")
        handle = await self.client.temporal.start_workflow(
            kind, args=args, id=run_id, task_queue=self.queue, **more
        )
        await self.listed(run_id)
        return handle

    async def listed(self, run_id, count=1):
        async def look():
            query = f"WorkflowId = '{run_id}'"
            found = [e async for e in self.client.temporal.list_workflows(query)]
            return found if len(found) >= count else None

        assert await until(look, within=SOON)

    async def names(self):
        return {info.name async for info in self.blobs.list()}

    def age(self):
        """Make every blob two hours old."""
        for file in self.backend.folder.glob("??/*"):
            then = file.stat().st_mtime - 7200
            os.utime(file, (then, then))


@asynccontextmanager
async def working(server, backend):
    blobs = backend.open()
    connected = await connect(server.address, data_converter=offloading(blobs))
    queue = uuid4().hex
    async with Worker(connected.temporal, task_queue=queue, **ALL):
        yield Place(backend, blobs, connected, queue)
    await blobs.close()


async def test_what_a_run_refers_to_stays_wherever_it_stands(place):
    handle = await place.start(
        Everywhere.run, large("i"), 3, memo={"first": large("o")}, static_summary=large("y")
    )
    await place.listed(handle.id, 3)
    await handle.signal(Everywhere.tell, large("g"))
    await handle.execute_update(Everywhere.ask, large("u"))
    assert await handle.result() == large("r")
    await place.listed(f"{handle.id}:child-1")
    await place.blobs.put(STRAY, b"x")
    place.age()
    sweep = await place.client.gc(place.blobs)
    assert sweep.names == (STRAY,)
    assert sweep.missing == ()
    # Each letter stands at another kind of place.
    assert {name_of(letter) for letter in "inasflmcguvroy"} <= await place.names()


@pytest.mark.parametrize("failing", [False, True], ids=["heartbeat", "last failure"])
async def test_what_only_a_call_under_way_refers_to_stays(place, failing):
    handle = await place.start(Beating.run, large("b"), failing)

    async def beaten():
        raw = (await handle.describe()).raw_description.pending_activities
        return True if raw and (raw[0].ByteSize() > 100) and raw[0].attempt >= 1 + failing else None

    assert await until(beaten, within=SOON)
    place.age()
    sweep = await place.client.gc(place.blobs)
    assert (sweep.names, name_of("b") in await place.names()) == ((), True)
    await handle.terminate()


async def test_what_a_schedule_will_start_with_stays(place):
    action = ScheduleActionStartWorkflow(
        Simple.run, args=[large("p")], id="planned", task_queue=place.queue
    )
    made = await place.client.temporal.create_schedule("plan", Schedule(action, ScheduleSpec()))
    await place.start(Simple.run, "other")

    async def listed():
        listing = await place.client.temporal.list_schedules()
        return [entry.id async for entry in listing] or None

    assert await until(listed, within=SOON)
    place.age()
    assert (await place.client.gc(place.blobs)).names == ()
    await made.delete()


async def test_a_dry_run_tells_and_removes_nothing(place):
    await place.start(Simple.run, large("i"))
    await place.blobs.put(STRAY, b"x" * 100)
    place.age()
    sweep = await place.client.gc(place.blobs, dry_run=True)
    assert (sweep.removed.blobs, sweep.removed.bytes, sweep.names) == (1, 100, (STRAY,))
    assert STRAY in await place.names()


async def test_what_is_young_stays(place):
    await place.start(Simple.run, large("i"))
    await place.blobs.put(STRAY, b"x")
    sweep = await place.client.gc(place.blobs)
    assert (sweep.removed.blobs, sweep.young.blobs, sweep.reached.blobs) == (0, 1, 1)
    assert (await place.client.gc(place.blobs, grace=NOW)).names == (STRAY,)


async def test_what_is_asked_for_while_gc_reads_stays(place):
    """A run that starts meanwhile may come to use an old value that nobody needed."""
    await place.start(Simple.run, large("i"))
    await place.blobs.put(STRAY, b"x")
    place.age()

    class Asked:
        def __getattr__(self, name):
            return getattr(place.blobs, name)

        async def delete(self, name, **more):
            assert await place.blobs.has(name)
            return await place.blobs.delete(name, **more)

    sweep = await place.client.gc(Asked())
    assert (sweep.names, sweep.young.blobs, STRAY in await place.names()) == ((), 1, True)


async def test_a_value_that_two_runs_share_is_stored_once_and_stays_for_the_other(place):
    one = await place.start(Simple.run, large("i"))
    other = await place.start(Simple.run, large("i"))
    assert await place.names() == {name_of("i")}
    await one.result()
    await other.result()
    deleted = await place.client.delete(one.id)
    place.age()
    assert (await place.client.gc(place.blobs, without=deleted)).names == ()
    assert await place.names() == {name_of("i")}


async def test_a_missing_blob_is_reported(place):
    await place.start(Simple.run, large("i"))
    await place.start(Simple.run, large("k"))
    await place.blobs.delete(name_of("i"))
    assert (await place.client.gc(place.blobs)).missing == (name_of("i"),)


async def test_a_store_of_another_server_is_left_alone(place, tmp_path):
    other = Folder(tmp_path / "other").open()
    await other.put(STRAY, b"x")
    with pytest.raises(BadInput, match=r"there are no runs.*--force"):
        await place.client.gc(other, grace=NOW)
    await place.start(Simple.run, large("i"))
    with pytest.raises(BadInput, match=r"none of them is in this store.*--force"):
        await place.client.gc(other, grace=NOW)
    assert [info.name async for info in other.list()] == [STRAY]
    assert (await place.client.gc(other, grace=NOW, force=True)).names == (STRAY,)
    await other.close()


async def test_a_run_of_another_namespace_keeps_its_values(server, place):
    await place.start(Simple.run, large("k"))
    await place.client.temporal.workflow_service.register_namespace(
        RegisterNamespaceRequest(
            namespace="elsewhere", workflow_execution_retention_period=Duration(seconds=86400)
        )
    )

    async def there():
        try:
            other = await connect(
                server.address, namespace="elsewhere", data_converter=offloading(place.blobs)
            )
            await other.temporal.start_workflow(
                "Simple", large("i"), id="far", task_queue=place.queue
            )
            return [e async for e in other.temporal.list_workflows()] or None
        except RPCError as error:
            if error.status in (RPCStatusCode.NOT_FOUND, RPCStatusCode.ALREADY_EXISTS):
                return None
            raise

    assert await until(there, within=SOON)
    place.age()
    sweep = await place.client.gc(place.blobs, namespaces=["elsewhere"])
    assert (sweep.names, sweep.reached.blobs) == ((), 2)
    assert (await place.client.gc(place.blobs)).names == (name_of("i"),)


async def test_a_server_that_dies_half_way_leaves_everything(place, server, monkeypatch):
    await place.start(Simple.run, large("i"))
    await place.blobs.put(STRAY, b"x")
    place.age()

    class Dying:
        def __getattr__(self, name):
            return getattr(place.blobs, name)

        async def list(self):
            async for info in place.blobs.list():
                yield info
            server.kill()

    with pytest.raises(ServerUnavailable):
        await place.client.gc(Dying())
    assert await place.names() == {STRAY, name_of("i")}


async def test_a_store_that_fails_half_way_says_so(place):
    await place.start(Simple.run, large("i"))
    await place.blobs.put(STRAY, b"x")

    class Failing:
        async def list(self):
            async for info in place.blobs.list():
                yield info
            raise StorageUnavailable("the store is gone")

    with pytest.raises(StorageUnavailable, match="gone"):
        await place.client.gc(Failing(), grace=NOW)


# Runs


async def test_a_deleted_run_is_gone_with_all_of_its_parts_and_children(place):
    handle = await place.start(Everywhere.run, large("i"), 3)
    await place.listed(handle.id, 3)
    for _ in range(2):
        await handle.signal(Everywhere.tell, "x")
    await handle.result()
    deleted = await place.client.delete(handle.id)
    assert len(deleted.executions) == 4
    assert {name_of("i"), name_of("c")} <= deleted.blobs

    async def gone():
        return None if [e async for e in place.client.temporal.list_workflows()] else True

    # The server deletes in the background.
    assert await until(gone, within=timedelta(seconds=100))
    with pytest.raises(RunNotFound):
        await place.client.describe(handle.id)


async def test_a_run_with_a_longer_name_is_left_alone(place):
    short = await place.start(Simple.run, "x", id="order-1")
    longer = await place.start(Simple.run, "x", id="order-12")
    await short.result()
    await longer.result()
    deleted = await place.client.delete("order-1")
    assert [name.partition("/")[0] for name in deleted.executions] == ["order-1"]


async def test_a_run_under_way_is_not_deleted_unless_forced(place):
    handle = await place.start(Everywhere.run, large("i"), 1)
    with pytest.raises(RunBusy, match=r"cancel it first.*--force"):
        await place.client.delete(handle.id)
    await place.client.delete(handle.id, force=True)

    async def ended():
        try:
            return (await place.client.describe(handle.id)).close_time
        except RunNotFound:
            return True

    assert await until(ended, within=SOON)


async def test_an_unknown_run_cannot_be_deleted(place):
    with pytest.raises(RunNotFound, match="perdure ls"):
        await place.client.delete("nobody")


# The commands


@pytest.fixture
def perdure(server, place):
    async def call(*arguments):
        env = {
            "TEMPORAL_ADDRESS": server.address,
            "PERDURE_BLOBS": f"file://{place.backend.folder}",
        }
        return await asyncio.to_thread(CliRunner().invoke, app, list(arguments), env=env)

    return call


async def test_the_command_tells_what_would_go(place, perdure):
    await place.start(Simple.run, large("i"))
    await place.blobs.put(STRAY, b"x" * 1234)
    told = await perdure("gc", "--dry-run", "--grace", "0", "-v")
    assert told.exit_code == 0
    assert "would remove 1 blob (1,234 bytes)" in told.stderr
    assert STRAY in told.stderr


async def test_the_command_removes_and_tells_as_json(place, perdure):
    await place.start(Simple.run, large("i"))
    await place.blobs.put(STRAY, b"x" * 12)
    told = await perdure("gc", "--grace", "0s", "--json")
    assert json.loads(told.stdout)["removed"] == {"blobs": 1, "bytes": 12}
    assert await place.names() == {name_of("i")}


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["gc", "--grace", "soon"], 2, "bad_option"),
        (["gc", "--blobs", "ftp://x"], 2, "bad_option"),
        (["gc", "--address", "127.0.0.1:1"], 1, "server_unavailable"),
        (["gc", "--blobs", "postgresql://x@127.0.0.1:1/x?within=1"], 1, "storage_unavailable"),
        (["rm", "nobody"], 1, "run_not_found"),
    ],
)
async def test_a_command_that_fails_leaves_with_a_stable_code(perdure, arguments, code, word):
    told = await perdure(*arguments, "--json")
    assert (told.exit_code, json.loads(told.stdout)["error"]["code"]) == (code, word)


async def test_deleting_a_run_by_command_takes_along_what_only_it_used(place, perdure):
    one = await place.start(Simple.run, large("i"), id="first")
    other = await place.start(Simple.run, large("k"), id="second")
    await one.result()
    await other.result()
    await place.blobs.put(STRAY, b"x")
    told = await perdure("rm", "first", "--gc", "--grace", "0", "--json")
    assert told.exit_code == 0, told.stdout
    data = json.loads(told.stdout)
    assert (data["run_id"], data["gc"]["names"]) == ("first", [name_of("i")])
    assert await place.names() == {name_of("k"), STRAY}


async def test_deleting_a_run_by_command_leaves_its_values_to_the_next_gc(place, perdure):
    handle = await place.start(Simple.run, large("i"), id="first")
    await handle.result()
    told = await perdure("rm", "first")
    assert (told.exit_code, "deleted first; the server" in told.stderr) == (0, True)
    assert await place.names() == {name_of("i")}
