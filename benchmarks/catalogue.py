"""The peers by the names of the tables: what runs them, with which options, against what."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Store = Literal["temporal", "none", "postgresql"]


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One row of the tables."""

    module: str
    """In `benchmarks/peers/`."""
    about: str
    options: tuple[str, ...] = ()
    store: Store = "temporal"
    url: str = ""
    """Of the database; {port} is PostgreSQL's."""
    requirements: str | None = None
    """The file in `benchmarks/requirements/`; without one the project's own environment does."""


PLAIN_PG = "postgresql://benchmark@127.0.0.1:{port}/saver"
SQLALCHEMY_PG = "postgresql+psycopg://benchmark@127.0.0.1:{port}/dbos"

SUBJECTS: Mapping[str, Subject] = {
    "perdure": Subject(module="perdureagent", about="Perdure, durability sync"),
    "perdure-quick": Subject(
        module="perdureagent",
        options=("quick=1",),
        about="Perdure, sync, the tool is quick: a local activity",
    ),
    "perdure-fused": Subject(
        module="perdureagent",
        options=("quick=1", "fused=1"),
        about="Perdure, sync, quick tools carried out with the model's reply",
    ),
    "perdure-async": Subject(
        module="perdureagent",
        options=("quick=1", "durability=async"),
        about="Perdure, durability async: several turns in one activity",
    ),
    "raw": Subject(
        module="raw", about="a loop of temporalio's alone; sends the whole list each call"
    ),
    "raw-delta": Subject(
        module="raw",
        options=("delta=1",),
        about="the same, but sends nothing twice: the bound",
    ),
    "raw-nosandbox": Subject(
        module="raw", options=("sandbox=0",), about="raw without the workflow sandbox"
    ),
    "plugin": Subject(module="plugin", about="temporalio-langgraph, the official plugin"),
    "lgtemporal": Subject(
        module="lgtemporal", about="langgraph-temporal", requirements="langgraph-temporal"
    ),
    "deepagents-react": Subject(
        module="deeploop",
        options=("kind=react",),
        about="temporalio-deepagents' model and tool in create_agent",
        requirements="temporalio-deepagents",
    ),
    "pydai": Subject(
        module="pydai", about="pydantic-ai's durability on Temporal", requirements="pydantic-ai"
    ),
    "saver-sqlite": Subject(
        module="saver",
        options=("store=sqlite",),
        store="none",
        about="LangGraph alone, checkpoints in SQLite",
    ),
    "saver-postgres": Subject(
        module="saver",
        options=("store=postgres",),
        store="postgresql",
        url=PLAIN_PG,
        about="LangGraph alone, checkpoints in PostgreSQL",
    ),
    "dbos-sqlite": Subject(
        module="dbosloop",
        options=("store=sqlite",),
        store="none",
        about="DBOS on SQLite",
        requirements="dbos",
    ),
    "dbos-postgres": Subject(
        module="dbosloop",
        options=("store=postgres",),
        store="postgresql",
        url=SQLALCHEMY_PG,
        about="DBOS on PostgreSQL",
        requirements="dbos",
    ),
}
OWN = tuple(name for name, subject in SUBJECTS.items() if subject.requirements is None)
