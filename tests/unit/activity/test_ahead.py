"""A second attempt goes on with what the first one had."""

from typing import Any

from langchain_core.messages import AIMessage, HumanMessage

from perdure.activity.ahead import Guide
from perdure.core.ahead import AHEAD, Journal
from perdure.storage.values import ValueCodec

CODEC = ValueCodec()


class Asked:
    def __init__(self) -> None:
        self.texts: list[str] = []

    async def __call__(self, name: str, seconds: float, messages: Any, options: Any) -> Any:
        self.texts.append(messages[-1].text)
        reply = AIMessage(f"re {messages[-1].text}")
        return {"message": CODEC.encode(reply, what="it")}


async def nothing(*_: Any) -> Any:
    return None


def guide(ask: Any, *, earlier: Journal | None = None, keep: Any = None) -> Guide:
    return Guide(
        codec=CODEC,
        ask=ask,
        perform=nothing,
        found=None,
        keep=keep,
        limits={},
        seal=b"",
        earlier=earlier or Journal(),
    )


async def two_questions() -> None:
    made: Any = AHEAD.get()
    first = await made.model("m", [HumanMessage("one")], {})
    await made.model("m", [first], {})


async def test_what_an_earlier_attempt_had_is_not_asked_again():
    first = guide(Asked())
    await first.follow(two_questions())
    kept = Journal.from_json(first.journal.to_json())
    del kept.models[1:]
    ask = Asked()
    second = guide(ask, earlier=kept)

    await second.follow(two_questions())

    assert ask.texts == ["re one"]
    assert [one.value for one in second.journal.models] == [
        one.value for one in first.journal.models
    ]


async def test_a_graph_that_can_go_no_further_is_left():
    made = guide(Asked())

    async def graph() -> None:
        await two_questions()
        await made.halt()

    await made.follow(graph())

    assert len(made.journal.models) == 2


async def test_requests_of_a_branch_beside_are_not_lost():
    import asyncio  # noqa: PLC0415

    class Slow(Asked):
        async def __call__(self, *args: Any) -> Any:
            await asyncio.sleep(0)
            return await super().__call__(*args)

    made = guide(Slow())

    async def graph() -> None:
        await asyncio.gather(made.halt(), two_questions())

    await made.follow(graph())

    assert len(made.journal.models) == 2
