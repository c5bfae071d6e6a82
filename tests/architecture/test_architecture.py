"""The shape of the code, where no linter looks."""

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "perdure"
CODE = sorted([*SOURCE.rglob("*.py"), *(ROOT / "examples").rglob("*.py")])
PRIVATES = SOURCE / "workflow" / "privates.py"
LONGEST_FILE, LONGEST_BODY = 400, 60
MOST_ANY = 10
"""Per 1000 lines."""
PRIVATE_ROOTS = ("langgraph", "langchain", "langchain_core", "langsmith", "temporalio")
MUTABLE = (ast.Dict, ast.List, ast.Set, ast.DictComp, ast.ListComp, ast.SetComp, ast.Call)
VALUE_MAKERS = frozenset({
    "ContextVar", "frozenset", "get_args", "timedelta", "TypeVar", "SearchAttributeKey.for_keyword",
    "SearchAttributeKey.for_int",
})  # fmt: skip
"""Calls whose result cannot be changed, or belongs to its context."""
TEXT = {
    ".py",
    ".md",
    ".toml",
    ".txt",
    ".json",
    ".yaml",
    ".yml",
    ".cfg",
    ".sh",
    ".html",
    ".lock",
    "",
}
HOSTS = re.compile(r"://[\w.-]*(?:pypi|pythonhosted|npmjs|registry)[\w.-]*|index-url\s*=")
MACHINE = re.compile(r"(?<![\w.:/-])/(?:root|home/\w+|Users/\w+|tmp)/(?=\w)")


def short(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def lines(path: Path) -> int:
    return len(path.read_text("utf-8").splitlines())


every_file = pytest.mark.parametrize("path", CODE, ids=short)


# Size


@every_file
def test_a_file_is_short(path):
    assert lines(path) <= LONGEST_FILE


def bodies(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            if body:
                yield node.name, (body[-1].end_lineno or 0) - body[0].lineno + 1


@every_file
def test_a_function_is_short(path):
    assert [(name, count) for name, count in bodies(path) if count > LONGEST_BODY] == []


# State


def is_mapping(annotation: ast.expr) -> bool:
    return ast.unparse(annotation).partition("[")[0] in ("Mapping", "Final", "tuple")


def is_changeable(value: ast.expr | None) -> bool:
    if isinstance(value, ast.Call):
        return ast.unparse(value.func).partition("[")[0] not in VALUE_MAKERS
    return isinstance(value, MUTABLE)


def module_state(path: Path) -> Iterator[str]:
    for node in tree(path).body:
        if isinstance(node, ast.Assign) and is_changeable(node.value):
            names = [ast.unparse(target) for target in node.targets]
            yield from (name for name in names if name != "__all__")
        if isinstance(node, ast.AnnAssign) and is_changeable(node.value):
            if ast.unparse(node.annotation).startswith("ContextVar"):
                continue
            if not is_mapping(node.annotation):
                yield ast.unparse(node.target)


@pytest.mark.parametrize("path", sorted((SOURCE / "workflow").glob("*.py")), ids=short)
def test_a_workflow_module_holds_no_state(path):
    """All runs of a process share its modules."""
    assert list(module_state(path)) == []


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("x = {}", ["x"]),
        ("x = y = []", ["x", "y"]),
        ("x = {1}", ["x"]),
        ("x = dict[str, int]()", ["x"]),
        ("x = defaultdict(list)", ["x"]),
        ("x: dict[str, int] = {}", ["x"]),
        ("x = [n for n in y]", ["x"]),
        ("x: Mapping[str, int] = {}", []),
        ("x = (1, 2)", []),
        ("x = frozenset({1})", []),
        ("x = 'text'", []),
        ("x = Callable[..., int]", []),
        ("__all__ = ['x']", []),
        ("def f():\n    x = {}", []),
    ],
)
def test_state_is_recognised(tmp_path, code, names):
    path = tmp_path / "module.py"
    path.write_text(code)

    assert list(module_state(path)) == names


# Types


def count(path: Path, name: str) -> int:
    return sum(isinstance(node, ast.Name) and node.id == name for node in ast.walk(tree(path)))


def density(name: str) -> float:
    files = sorted(SOURCE.rglob("*.py"))
    return 1000 * sum(count(f, name) for f in files) / sum(lines(f) for f in files)


def test_any_is_an_exception(record_testsuite_property):
    """`Raw` is the one place where `Any` has a name; how often it is used is recorded."""
    record_testsuite_property("Any per 1000 lines", f"{density('Any'):.1f}")
    record_testsuite_property("Raw per 1000 lines", f"{density('Raw'):.1f}")

    assert density("Any") <= MOST_ANY


# Names of other libraries


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """Yield each imported module with a name that is taken from it, if any."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from ((node.module, alias.name) for alias in node.names)


def is_private(module: str, name: str) -> bool:
    parts = [*module.split("."), name]
    return parts[0] in PRIVATE_ROOTS and any(
        part.startswith("_") and not part.startswith("__") for part in parts
    )


def quoted(path: Path) -> Iterator[str]:
    """Yield texts that are a private module path, as `import_module` takes them."""
    for node in ast.walk(tree(path)):
        text = node.value if isinstance(node, ast.Constant) else None
        if isinstance(text, str) and re.fullmatch(r"\w+(\.\w+)+", text) and is_private(text, ""):
            yield text


@pytest.mark.parametrize("path", [path for path in CODE if path != PRIVATES], ids=short)
def test_private_names_of_other_libraries_stay_in_one_module(path):
    found = [f"{m}.{n}" for m, n in imports(path) if is_private(m, n)]

    assert found + list(quoted(path)) == []


def test_the_one_module_with_private_names_is_there():
    assert list(quoted(PRIVATES))


# The world outside


def may_not_read_the_environment() -> list[Path]:
    """A worker process of the test kit inherits the environment whole, unread."""
    inherits = SOURCE / "testing" / "process.py"
    return [p for p in SOURCE.rglob("*.py") if SOURCE / "cli" not in p.parents and p != inherits]


@pytest.mark.parametrize("path", sorted(may_not_read_the_environment()), ids=short)
def test_the_environment_is_read_by_the_command_line_only(path):
    read = [
        ast.unparse(node)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute | ast.Name)
        and ast.unparse(node) in ("os.environ", "os.getenv", "environ", "getenv")
    ]

    assert read == []


@every_file
def test_a_file_is_named_after_what_it_does(path):
    assert path.stem not in ("utils", "util", "helpers", "helper", "misc", "common")


@cache
def committed() -> tuple[Path, ...]:
    """List what git tracks or would add."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    names = [name for name in done.stdout.split("\0") if name]
    if done.returncode or not names:
        pytest.skip("not a git checkout")
    paths = [ROOT / name for name in names]
    return tuple(p for p in paths if p.is_file() and p.suffix in TEXT and p != Path(__file__))


@pytest.mark.parametrize("what", [HOSTS, MACHINE], ids=["registry", "machine"])
def test_no_file_names_a_registry_or_a_machine(what):
    found = [
        f"{short(path)}:{number}: {line.strip()[:80]}"
        for path in committed()
        for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), 1)
        if what.search(line)
    ]

    assert found == []
