"""The gallery's offline model, asked by LangChain's own client; and the gallery on a terminal."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.tools import tool

from gallery.offline.answers import LOST
from integration.gallery.shapes import GALLERY
from integration.gallery.stage import Asked, Stage
from perdure.testing import DevServer


@tool
def temperature(city: str) -> str:
    """Tell the temperature."""
    return city


WEATHER = [("system", "You are a weather service."), ("user", "Is Oslo warm?")]


@pytest.fixture
def model(asked: Asked) -> ChatAnthropic:
    environment = asked.server.environment
    return ChatAnthropic(
        model_name="claude-sonnet-4-6",
        base_url=environment["ANTHROPIC_BASE_URL"],
        api_key=environment["ANTHROPIC_API_KEY"],  # type: ignore[arg-type]
        timeout=20,
        stop=None,
    )


async def gathered(model: Any, prompt: Any) -> Any:
    """Add the pieces of a stream up."""
    whole: Any = None
    async for piece in model.astream(prompt):
        whole = piece if whole is None else whole + piece
    return whole


async def test_a_stream_says_what_the_answer_says(model: ChatAnthropic):
    asked = "Tell a joke of one sentence about owls."
    streamed, whole = await gathered(model, asked), await model.ainvoke(asked)
    assert streamed.text == whole.text


async def test_a_stream_brings_the_tool_calls_of_the_answer(model: ChatAnthropic):
    knows = model.bind_tools([temperature])
    (streamed,) = (await gathered(knows, WEATHER)).tool_calls
    assert (streamed["name"], streamed["args"]) == ("temperature", {"city": "Oslo"})


async def test_the_same_question_gets_the_same_ids(model: ChatAnthropic):
    knows = model.bind_tools([temperature])
    first, second = await knows.ainvoke(WEATHER), await knows.ainvoke(WEATHER)
    assert first.tool_calls == second.tool_calls


async def test_it_says_so_when_it_does_not_know_a_prompt(model: ChatAnthropic):
    assert (await model.ainvoke("What is the meaning of life?")).text == LOST


def offline(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "offline", *command],
        cwd=GALLERY,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_command_is_run_with_the_offline_model():
    script = "import os; print(os.environ['ANTHROPIC_BASE_URL'])"
    assert offline(sys.executable, "-c", script).stdout.startswith("http://127.0.0.1:")


def test_the_exit_code_of_the_command_is_passed_on():
    assert offline(sys.executable, "-c", "raise SystemExit(3)").returncode == 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_alone_it_tells_its_address_and_ends_when_told_to(number: int):
    with subprocess.Popen(
        [sys.executable, "-m", "offline"], cwd=GALLERY, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        told = [process.stdout.readline(), process.stdout.readline()]
        process.send_signal(number)
        assert process.wait(20) == 0
    assert told[0] == "export ANTHROPIC_API_KEY=offline\n"


Perdure = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def perdure(server: DevServer, stage: Stage) -> Perdure:
    def run(*arguments: str, said: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "perdure", *arguments, "--task-queue", stage.queue],
            env={**os.environ, "TEMPORAL_ADDRESS": server.address},
            input=said,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_the_shapes_can_be_talked_with(perdure: Perdure):
    said = "Book a flight to Rome on 1 June.\nAnd a hotel for three nights.\n"
    told = perdure("chat", "swarm", said=said)
    assert told.stdout.splitlines() == [
        "Done: flight to Rome on 1 June is booked.",
        "Done: 3 nights in Rome are booked.",
    ]
