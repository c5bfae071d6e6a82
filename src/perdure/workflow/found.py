"""The models and tools of an app that nobody declared by hand, by the names they got.

Filled when a worker starts (`perdure.worker.discover`), read by runs
(`perdure.workflow.intercept`). Names depend on the app's code only, so every worker of the app
gives the same ones.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import cast

from langchain_core.language_models import BaseChatModel
from langchain_core.tools import BaseTool

from perdure.core.adapters import declare_server
from perdure.core.declared import Declaration, Kind, Table
from perdure.core.recipes import SETTINGS, Recipe, provider_of, read_recipe
from perdure.core.toolservers import ServerTool
from perdure.errors import MissingExtra
from perdure.workflow.marks import (
    digest_of,
    fingerprint,
    label_of,
    likeness_of_tool,
    place_of,
    plain_settings,
)
from perdure.workflow.mcpclients import Clients
from perdure.workflow.model import Intercepted, NamedModel, builder_of, twin
from perdure.workflow.tool import InterceptedTool, twin_of_tool

Part = BaseChatModel | BaseTool


@dataclass(kw_only=True)
class Found:
    """What was found, with the twin of each that calls through activities."""

    table: Table
    """The app's own declarations; those made by hand are in its parent."""
    clients: Clients = field(default_factory=Clients)
    _twins: dict[int, tuple[Part, Part]] = field(default_factory=dict[int, tuple[Part, Part]])
    """By identity, the part itself too, so that no other object gets its id."""
    _alike: dict[object, Part] = field(default_factory=dict[object, Part])
    """By what a copy of a part has in common with it."""

    def add(self, parts: Iterable[Part]) -> None:
        """Name and declare what was found, in the order in which it was."""
        parts = list(parts)
        self._by_hand()
        self._note_listed(parts)
        new = [part for part in parts if id(part) not in self._twins and not is_twin(part)]
        self._add_models([part for part in new if isinstance(part, BaseChatModel)])
        self._add_tools([part for part in new if isinstance(part, BaseTool)])

    def twin_of(self, part: Part) -> Part | None:
        """Return the twin of a part, or of what it is an unchanged copy of."""
        held = self._twins.get(id(part))
        return held[1] if held is not None else self._alike.get(_likeness(part))

    def make(self, kind: Kind, name: str) -> Declaration | None:
        """Make the declaration of a model whose name says how to make it."""
        if kind != "model" or (recipe := read_recipe(name)) is None:
            return None
        return _remaking(recipe)

    def remake(self, model: BaseChatModel) -> BaseChatModel | None:
        """Return the twin of a model that was made in a run, if its name can say it all.

        That is tried: the model which the name stands for must be equal in everything.
        """
        provider = provider_of(type(model).__module__, type(model).__name__)
        label = getattr(model, "model_name", None) or getattr(model, "model", None)
        if provider is None or not isinstance(label, str):
            return None
        short = label.removeprefix("models/")  # as Google's classes write it
        try:
            bare = cast("BaseChatModel", _remaking(Recipe(provider=provider, model=short)).build())
            usual = plain_settings(bare, SETTINGS)
            own = plain_settings(model, SETTINGS)
            changed = {name: value for name, value in own.items() if usual.get(name) != value}
            entry = _remaking(Recipe(provider=provider, model=short, settings=changed))
            remade = cast("BaseChatModel", entry.build())
        except (MissingExtra, ValueError, TypeError):
            return None
        likeness = fingerprint(model)
        if fingerprint(remade) != likeness:
            return None
        made = _twin_in_run(self.table.add(entry), remade)
        self._alike[likeness] = made
        return cast("BaseChatModel", made)

    def _by_hand(self) -> None:
        """Know the objects behind declarations made by hand, so that they keep those names."""
        above = self.table.parent
        for entry in above.all() if above is not None else []:
            part = entry.part
            if isinstance(part, Part):
                self._keep(part, _twin_in_run(entry, part))

    def _note_listed(self, parts: list[Part]) -> None:
        """Know the tools of MCP servers that were listed before a graph was built."""
        for part in parts:
            entry = cast("object", getattr(part, "perdure_declared", None))
            if not isinstance(entry, Declaration) or not isinstance(entry.terms, ServerTool):
                continue
            if self.table.find("tool", entry.name) is None:
                self.table.add(entry)

    def _keep(self, part: Part, made: Part) -> None:
        self._twins[id(part)] = (part, made)
        self._alike.setdefault(_likeness(part), made)

    def _add_models(self, models: list[BaseChatModel]) -> None:
        fresh: dict[object, BaseChatModel] = {}
        for model in models:
            known = self._alike.get(likeness := fingerprint(model))
            if known is not None:
                self._twins[id(model)] = (model, known)
            else:
                fresh.setdefault(likeness, model)
        labels = Counter(label_of(model) for model in fresh.values())
        for model in fresh.values():
            name = label_of(model)
            if labels[name] > 1 or self.table.find("model", name) is not None:
                name = f"{name}#{digest_of(model)}"
            self._declare("model", name, model)
        for model in models:
            self._twins.setdefault(id(model), (model, self._alike[fingerprint(model)]))

    def _add_tools(self, tools: list[BaseTool]) -> None:
        fresh: dict[object, BaseTool] = {}
        for tool in tools:
            fresh.setdefault(likeness_of_tool(tool), tool)
        names = Counter(tool.name for tool in fresh.values())
        for likeness, tool in fresh.items():
            if likeness in self._alike:
                continue
            name = tool.name
            if names[name] > 1 or self.table.find("tool", name) is not None:
                name = f"{name} ({place_of(tool)})"
            self._declare("tool", name, tool)
        for tool in tools:
            self._twins.setdefault(id(tool), (tool, self._alike[likeness_of_tool(tool)]))

    def _declare(self, kind: Kind, name: str, part: Part) -> None:
        chosen, number = name, 1
        while self.table.find(kind, chosen) is not None:
            number += 1
            chosen = f"{name}.{number}"
        at = declare_server(self.table, part) if kind == "tool" else None
        entry = Declaration(
            kind=kind,
            name=chosen,
            identity=("found", id(part)),
            build=lambda: part,
            part=part,
            terms=at,
            where=None if at is None else "activity",
        )
        self._keep(part, _twin_in_run(self.table.add(entry), part))


def is_twin(part: object) -> bool:
    """Tell whether a model or a tool calls through activities already."""
    if getattr(part, "perdure_agent", False):
        return True  # it runs an agent as a child, in the workflow itself
    return isinstance(part, Intercepted | InterceptedTool) or issubclass(type(part), NamedModel)


def bare_twin(model: BaseChatModel) -> BaseChatModel:
    """Return a twin whose cache and rate limiter are left to the activity.

    Both are I/O or go by the clock; a run must ask neither.
    """
    if isinstance(model, Intercepted) and (model.cache is not False or model.rate_limiter):
        return model.model_copy(update={"cache": False, "rate_limiter": None})
    return model


def _twin_in_run(entry: Declaration, part: Part) -> Part:
    if isinstance(part, BaseChatModel):
        return bare_twin(twin(entry, part))
    return twin_of_tool(entry, part)


def _likeness(part: Part) -> object:
    return fingerprint(part) if isinstance(part, BaseChatModel) else likeness_of_tool(part)


def _remaking(recipe: Recipe) -> Declaration:
    build = builder_of(f"{recipe.provider}:{recipe.model}", dict(recipe.settings))
    return Declaration(kind="model", name=recipe.name, identity=recipe.name, build=build)
