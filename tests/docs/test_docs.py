"""The documentation is true: its code runs, its links lead somewhere, its lists are complete."""

import asyncio
import importlib.util
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
from typer.testing import CliRunner

import perdure
from perdure import testing, workflow
from perdure.cli.main import COMMANDS, app
from perdure.core.options import LLM_RETRY, MODEL_OPTIONS, TOOL_OPTIONS, TOOL_RETRY
from perdure.core.wire import PAYLOAD_LIMIT
from perdure.worker import factory, plugin

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md"), *ROOT.glob("examples/*/README.md")])
LEARNING = [page for page in PAGES if page.parent.name in ("tutorial", "howto")]
BLOCK = re.compile(
    r"(?:^<!--(?P<note>[^>]*)-->\n)?^```python\n(?P<code>.*?)^```", re.MULTILINE | re.DOTALL
)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
MACHINE = re.compile(r"/(?:tmp|root|home)/\w")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@dataclass(frozen=True, kw_only=True)
class Block:
    """A block of Python in a page."""

    page: Path
    code: str
    line: int
    note: str

    @property
    def file(self) -> str | None:
        found = re.search(r"file: ([\w.]+)", self.note)
        return found[1] if found else None

    @property
    def runs(self) -> bool:
        return "not run" not in self.note

    def compile(self) -> object:
        """Compile with the line numbers of the page."""
        return compile("\n" * self.line + self.code, name_of(self.page), "exec")


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text("utf-8")
    for found in BLOCK.finditer(text):
        line = text.count("\n", 0, found.start("code"))
        note = (found["note"] or "").strip()
        yield Block(page=page, code=found["code"], line=line, note=note)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_python_block_compiles(page: Path) -> None:
    for block in blocks(page):
        block.compile()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_block_that_is_not_run_says_why(page: Path) -> None:
    silent = [b.line for b in blocks(page) if not b.runs and not re.search(r"run.*: \w", b.note)]
    assert silent == []


@pytest.fixture
def bench(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_declarations: None
) -> Iterator[Path]:
    """An empty folder to run a page in; the modules that it writes are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None)
        if file is None or str(tmp_path) in file:
            del sys.modules[name]


def run_page(page: Path, folder: Path) -> ModuleType:
    """Run the blocks of a page one after the other, in one module."""
    module = ModuleType(f"page_{page.stem.replace('-', '_')}")
    sys.modules[module.__name__] = module
    for block in blocks(page):
        if block.file is not None:
            (folder / block.file).write_text(block.code, "utf-8")
        if block.runs and block.file is not None:
            made = importlib.import_module(block.file.removesuffix(".py"))
            vars(module).update({k: v for k, v in vars(made).items() if not k.startswith("__")})
        elif block.runs:
            exec(block.compile(), vars(module))  # noqa: S102 - our own pages
    return module


@pytest.mark.parametrize("page", LEARNING, ids=name_of)
async def test_the_blocks_of_a_page_run(page: Path, bench: Path) -> None:
    module = await asyncio.to_thread(run_page, page, bench)
    for name, value in vars(module).items():
        if name.startswith("test_") and inspect.iscoroutinefunction(value):
            await value()


def test_the_tutorial_runs_as_plain_langgraph(bench: Path) -> None:
    page = DOCS / "tutorial" / "first-agent.md"
    for block in blocks(page):
        if block.file is not None:
            code = block.code.replace("time.sleep(5)", "time.sleep(0)")
            (bench / block.file).write_text(code, "utf-8")
    done = subprocess.run(
        [sys.executable, "plain.py"], cwd=bench, capture_output=True, text=True, check=True
    )
    assert done.stdout in page.read_text("utf-8")
    assert (bench / "refunds.txt").read_text().endswith(" A-17 42\n")


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    broken = []
    for link in LINK.findall(text):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_page_tells_where_it_was_written(page: Path) -> None:
    assert MACHINE.findall(page.read_text("utf-8")) == []


def test_every_page_of_the_documentation_is_linked() -> None:
    linked = {
        (page.parent / link.partition("#")[0]).resolve()
        for page in PAGES
        for link in LINK.findall(page.read_text("utf-8"))
    }
    pages = {page for page in DOCS.rglob("*.md") if page.name != "index.md"}
    assert sorted(name_of(page) for page in pages - linked) == []


def test_the_command_reference_is_what_the_commands_say() -> None:
    place = DOCS / "reference" / "make_cli.py"
    spec = importlib.util.spec_from_file_location("make_cli", place)
    assert spec is not None
    assert spec.loader is not None
    make_cli = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make_cli)
    written = (DOCS / "reference" / "cli.md").read_text("utf-8")
    assert written == make_cli.page(), "python docs/reference/make_cli.py"


@pytest.mark.parametrize("command", list(COMMANDS))
def test_the_command_reference_has_every_option_of_the_help(command: str) -> None:
    shown = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"}).output
    text = (DOCS / "reference" / "cli.md").read_text("utf-8")
    section = text.partition(f"## perdure {command}\n")[2].partition("\n## ")[0]
    options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", shown)) - {"--help"}
    assert options <= set(re.findall(r"--[a-z][a-z-]*", section))
    assert options


NAMES = [*(f"perdure.{name}" for name in perdure.__all__), *workflow.__all__, *testing.__all__]


@pytest.mark.parametrize("name", NAMES)
def test_the_api_reference_has_every_name(name: str) -> None:
    text = (DOCS / "reference" / "api.md").read_text("utf-8")
    assert re.search(rf"{re.escape(name)}\b", text)


def seconds(value: object) -> str:
    return f"{getattr(value, 'total_seconds', lambda: value)():g} s"


DEFAULTS = {
    "longest attempt": (seconds(MODEL_OPTIONS.timeout), seconds(TOOL_OPTIONS.timeout)),
    "heartbeat limit": (seconds(MODEL_OPTIONS.heartbeat), seconds(TOOL_OPTIONS.heartbeat)),
    "attempts in all": (f"{LLM_RETRY.attempts} ", f"{TOOL_RETRY.attempts} "),
    "wait before the second": (seconds(LLM_RETRY.initial), seconds(TOOL_RETRY.initial)),
    "growth of the wait": (f"x{LLM_RETRY.backoff:g}", f"x{TOOL_RETRY.backoff:g}"),
    "| longest wait | 30": (seconds(LLM_RETRY.maximum), seconds(TOOL_RETRY.maximum)),
    "repairs |": (f"{MODEL_OPTIONS.repairs} ",),
    "a run's input or output": (f"{PAYLOAD_LIMIT:,} bytes",),
    "calls may finish after a stop": (seconds(factory.GRACE),),
    "(sticky)": (seconds(plugin.STICKY),),
}


@pytest.mark.parametrize(("row", "values"), DEFAULTS.items(), ids=list(DEFAULTS))
def test_the_table_of_defaults_agrees_with_the_code(row: str, values: tuple[str, ...]) -> None:
    lines = (DOCS / "reference" / "defaults.md").read_text("utf-8").splitlines()
    (line,) = [line for line in lines if row in line]
    assert all(value in line for value in values), line
