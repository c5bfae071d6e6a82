"""What the demo says of a history, whichever way its replay went."""

from types import SimpleNamespace

import pytest

from perdure.cli import demo
from perdure.errors import ReplayFailed

STAGE = SimpleNamespace(agents=lambda: None, client=SimpleNamespace(temporal=None))


async def test_a_history_that_does_not_replay_is_told(monkeypatch, capsys):
    async def fail(*_):
        raise ReplayFailed("another call than the one recorded")

    monkeypatch.setattr(demo, "assert_run_replays", fail)

    assert await demo._replays(STAGE, "run-1") is False
    assert "another call than the one recorded" in capsys.readouterr().err


async def test_a_history_that_replays_is_told(monkeypatch):
    async def succeed(*_):
        pass

    monkeypatch.setattr(demo, "assert_run_replays", succeed)

    assert await demo._replays(STAGE, "run-1") is True


@pytest.mark.parametrize(("number", "words"), [(0, "no e-mail"), (1, "1 e-mail"), (2, "2 e-mails")])
def test_things_are_counted_in_words(number, words):
    assert demo._count(number, "e-mail") == words
