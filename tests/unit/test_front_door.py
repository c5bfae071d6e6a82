import ast
import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

import perdure
import perdure.workflow

SOURCE = Path(perdure.__file__).parent
HEAVY = ("temporalio", "langgraph", "langchain", "langchain_core", "pydantic", "asyncio")


@pytest.fixture(scope="module")
def loaded() -> list[str]:
    """What a fresh interpreter has loaded after `import perdure` and nothing else."""
    code = "import sys, json, perdure; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def exports(module: Path) -> list[str]:
    """Read `__all__` of a file without importing it."""
    for node in ast.parse(module.read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return ast.literal_eval(node.value)
    return []


DOORS = {
    ".".join(("perdure", *path.parent.relative_to(SOURCE).parts)): names
    for path in SOURCE.rglob("__init__.py")
    if "_examples" not in path.parts and (names := exports(path))
}
PUBLIC = [(door, name) for door, names in sorted(DOORS.items()) for name in names]


@pytest.mark.parametrize("library", HEAVY)
def test_importing_perdure_does_not_load(loaded, library):
    assert not [name for name in loaded if name.partition(".")[0] == library]


def test_importing_perdure_loads_values_and_errors_only(loaded):
    rooms = {name.split(".")[1] for name in loaded if name.startswith("perdure.")}

    assert rooms == {"core", "errors"}


@pytest.mark.parametrize("name", perdure.__all__)
def test_each_name_of_the_front_door_is_there(name):
    assert getattr(perdure, name) is not None


def test_the_front_door_has_no_other_public_names():
    for name in perdure.__all__:
        getattr(perdure, name)
    own = {n for n, v in vars(perdure).items() if not n.startswith("_") and not inspect.ismodule(v)}

    assert own - {"import_module", "TYPE_CHECKING"} == set(perdure.__all__)


def test_each_name_that_loads_its_room_late_is_public():
    assert set(perdure._ROOMS) < set(perdure.__all__)


def test_a_name_is_loaded_once():
    assert perdure.Agents is vars(perdure)["Agents"]


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'perdure' has no attribute 'agent'"):
        perdure.agent  # noqa: B018


def test_the_version_is_that_of_the_package():
    assert perdure.__version__.count(".") == 2


@pytest.mark.parametrize("door", sorted(DOORS))
def test_public_names_are_sorted(door):
    names = DOORS[door]
    constants = sorted(n for n in names if n.isupper())
    classes = sorted(n for n in names if n[0].isupper() and not n.isupper())

    assert names == [*constants, *classes, *sorted(n for n in names if n[0].islower())]


def test_a_public_thing_has_one_public_path():
    """`ask` is two functions: one for a node, one for a hand-written workflow."""
    seen: dict[str, list[str]] = {}
    for door, name in PUBLIC:
        seen.setdefault(name, []).append(door)

    assert {name: doors for name, doors in seen.items() if len(doors) > 1} == {
        "ask": ["perdure", "perdure.workflow"]
    }


def test_the_two_asks_are_different():
    assert perdure.ask is not perdure.workflow.ask


@pytest.mark.parametrize(("door", "name"), PUBLIC, ids=lambda v: v)
def test_each_public_function_and_class_is_described(door, name):
    value = getattr(__import__(door, fromlist=[name]), name)
    if inspect.isroutine(value) or inspect.isclass(value):
        assert value.__doc__


def methods() -> list[tuple[str, object]]:
    found = []
    for door, name in PUBLIC:
        value = getattr(__import__(door, fromlist=[name]), name)
        if inspect.isclass(value):
            found += [
                (f"{name}.{n}", m)
                for n, m in vars(value).items()
                if not n.startswith("_") and (inspect.isroutine(m) or isinstance(m, property))
            ]
    return found


@pytest.mark.parametrize(
    ("name", "method"), methods(), ids=lambda v: v if isinstance(v, str) else ""
)
def test_each_public_method_is_described(name, method):
    assert method.__doc__
