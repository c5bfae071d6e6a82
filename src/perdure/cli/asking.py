"""Show open questions, and the commands that answer them."""

from collections.abc import Iterable

from perdure.cli.output import clean, moment_text, one_line, until_text
from perdure.client import Waiting
from perdure.core.jsons import Json

_LONGEST = 4000


def lines_of(question: Waiting, *, commands: bool = True, several: bool = False) -> Iterable[str]:
    """Describe a question completely enough to decide on it."""
    yield f"{one_line(question.title, 200)}"
    yield f"  run       {clean(question.run_id)} (agent {one_line(question.agent)})"
    yield f"  question  {clean(question.id)}"
    left = until_text(question.deadline)
    yield f"  deadline  {moment_text(question.deadline)} ({left}), then: {question.on_deadline}"
    if question.approvers:
        yield f"  only by   {one_line(', '.join(question.approvers))}"
    for name, value in (question.args or {}).items():
        yield from _argument(name, value)
    yield from _text(question)
    if commands:
        yield "  answer with one of:"
        yield from (f"    {row}" for row in commands_for(question, several=several))


def short_lines_of(question: Waiting) -> Iterable[str]:
    """Describe a question to the person who talks with the run that asks it."""
    yield f"? {one_line(question.title, 200)}"
    for name, value in (question.args or {}).items():
        if f"{name}={value!r}" not in question.title:
            yield from _argument(name, value)
    yield from _text(question)
    if question.approvers:
        yield f"  only by {one_line(', '.join(question.approvers))}"
    yield f"  ({until_text(question.deadline)}, then: {question.on_deadline})"


def _text(question: Waiting) -> Iterable[str]:
    if question.text and question.text.strip() != question.title.strip():
        yield from (f"  | {row}" for row in clean(question.text[:_LONGEST]).splitlines())
    if not question.complete:
        yield "  (long arguments and texts are left out: no worker answers for this run)"


def _argument(name: str, value: Json) -> Iterable[str]:
    text = clean(value if isinstance(value, str) else repr(value))[:_LONGEST]
    first, *rest = text.splitlines() or [""]
    yield f"  {one_line(name)} = {first}"
    yield from (f"      {row}" for row in rest)


def commands_for(question: Waiting, *, several: bool = False) -> list[str]:
    """Write the commands that answer a question."""
    target = _quoted(question.run_id)
    if several:
        target += f" --question {_quoted(question.id)}"
    field = next(iter(question.args or {}), None)
    shown = {
        "approve": f"perdure approve {target}",
        "reject": f'perdure reject {target} -m "why not"',
        "edit": f"perdure edit {target}" + (f' --set {field}="..."' if field else " --args @file"),
        "respond": f'perdure respond {target} "your answer"',
    }
    return [shown[choice] for choice in question.allowed if choice in shown]


def _quoted(text: str) -> str:
    plain = all(char.isalnum() or char in "-_.:@" for char in text)
    return text if plain else "'" + text.replace("'", "'\\''") + "'"
