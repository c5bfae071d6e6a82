"""The stand-ins for clock and chance, and whether the installed libraries need others."""

import ast
import importlib
import pickle
import random
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest
from pydantic import TypeAdapter

from perdure.workflow.chance import CLOCKS, DRAWS, PACKAGES, RunDatetime, StandIn, install

KNOWN = {
    "time": {*CLOCKS, "time_ns", "sleep"},
    "random": {*DRAWS, "Random"},
    "secrets": {"token_hex", "token_bytes", "token_urlsafe", "choice", "randbelow", "randbits"},
}
"""`sleep` is sent to a timer by `perdure.workflow.redirects`."""


def uses(path: Path) -> Iterator[tuple[str, str]]:
    nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
    modules = {a.name for node in nodes if isinstance(node, ast.Import) for a in node.names}
    for node in nodes:
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield from [(node.value.id, node.attr)] if node.value.id in modules else []
        if isinstance(node, ast.ImportFrom) and node.module in KNOWN:
            yield from ((node.module, alias.name) for alias in node.names)


def folder(package: str) -> Path | None:
    spec = find_spec(package)
    places = list(spec.submodule_search_locations or []) if spec else []
    return Path(places[0]) if places else None


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_a_library_draws_from_nothing_that_has_no_stand_in(package: str) -> None:
    root = folder(package)
    if root is None:
        pytest.skip("not installed")
    drawn = {use for path in root.rglob("*.py") for use in uses(path) if use[0] in KNOWN}

    assert {(module, name) for module, name in drawn if name not in KNOWN[module]} == set()


@pytest.fixture
def library() -> Iterator[ModuleType]:
    """A module of a library that holds clock and chance under names of its own."""
    module = ModuleType("deepagents.made_up")
    code = (
        "import time, random, secrets, datetime as dates\n"
        "from datetime import datetime\nfrom time import monotonic\nfrom uuid import uuid4\n"
    )
    exec(code, vars(module))  # noqa: S102 - as an import does
    sys.modules[module.__name__] = module
    install()
    yield module
    del sys.modules[module.__name__]


def test_the_names_of_a_loaded_module_are_replaced(library: ModuleType) -> None:
    assert isinstance(library.time, StandIn)
    assert isinstance(library.random, StandIn)
    assert isinstance(library.secrets, StandIn)
    assert library.datetime is RunDatetime
    assert library.dates.datetime is RunDatetime
    assert library.monotonic is not time.monotonic


def test_a_module_of_the_app_is_left_alone() -> None:
    install()

    assert sys.modules[__name__].time is importlib.import_module("time")
    assert datetime is not RunDatetime


def test_a_second_install_changes_nothing(library: ModuleType) -> None:
    held = library.datetime
    install()

    assert library.datetime is held


def test_outside_of_a_run_a_seed_still_rules(library: ModuleType) -> None:
    random.seed(7)
    expected = random.uniform(0, 1)  # noqa: S311
    random.seed(7)

    assert library.random.uniform(0, 1) == expected


def test_what_is_not_replaced_is_the_modules_own(library: ModuleType) -> None:
    assert library.time.strftime is time.strftime
    assert library.random.Random is random.Random


def test_a_stand_in_can_be_patched_like_a_module(
    library: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library.time, "time", lambda: 3.0)

    assert library.time.time() == 3.0
    assert time.time() != 3.0


def test_the_dates_it_makes_are_plain_dates() -> None:
    made = [RunDatetime(2024, 1, 2), RunDatetime.now(UTC), RunDatetime.fromisoformat("2024-01-02")]

    assert {type(one) for one in made} == {datetime}
    assert pickle.loads(pickle.dumps(made)) == made  # noqa: S301 - its own


def test_every_date_is_one_of_its_dates() -> None:
    assert isinstance(datetime(2024, 1, 2), RunDatetime)  # noqa: DTZ001
    assert issubclass(datetime, RunDatetime)


def test_pydantic_takes_it_for_a_date() -> None:
    read = TypeAdapter(RunDatetime).validate_python("2024-01-02T03:04:05Z")

    assert read == datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_utcnow_has_no_zone() -> None:
    now = RunDatetime.utcnow()

    assert now.tzinfo is None
    assert abs(now - datetime.now(UTC).replace(tzinfo=None)) < timedelta(minutes=1)
