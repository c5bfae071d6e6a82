"""A call that refers to what history holds arrives as it was meant."""

import json
import random
from dataclasses import dataclass
from typing import Any

import pytest
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)

from perdure.core.shelf import Shelf
from perdure.storage.values import ValueCodec, type_name
from unit.workflow.ends import Ends

LONG = "a long text, of which history needs one copy. " * 20
SYSTEM = SystemMessage("You help. " * 40, id="s")


def seeded(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311


def called(name: str, **args: Any) -> dict[str, Any]:
    return {"name": name, "args": args, "id": f"c-{name}", "type": "tool_call"}


def some_message(chance: random.Random, number: int) -> BaseMessage:
    """Make one of the many kinds of messages."""
    text = chance.choice(["", "short", LONG, f"{number} {LONG}", "\ud800 lone " + "é😀" * 200])
    own = chance.choice([None, f"m-{number}"])
    image = {"type": "image", "base64": "QUJD" * 200, "mime_type": "image/png"}
    kinds: list[BaseMessage] = [
        HumanMessage(text, id=own),
        HumanMessage([{"type": "text", "text": text}, image], id=own),
        HumanMessage(text, id=own, name="ann", additional_kwargs={"deep": {"list": [1, [LONG]]}}),
        AIMessage(text, id=own, tool_calls=[called("look", q=text, n=number)]),
        AIMessage(text, id=own, response_metadata={"logprobs": [0.5, -1.0], "n": number}),
        AIMessage(
            text,
            id=own,
            usage_metadata={"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
        ),
        AIMessageChunk(text, id=own),
        ToolMessage(text, id=own, tool_call_id="c", artifact={"rows": [[1, LONG], None, True]}),
        ToolMessage(text, id=own, tool_call_id="c", status="error"),
        ChatMessage(text, id=own, role="judge"),
        SystemMessage(text, id=own, extra_field={"kept": LONG}),
        RemoveMessage(id=f"m-{number}"),
    ]
    return chance.choice(kinds)


def conversations(chance: random.Random) -> list[list[BaseMessage]]:
    """Make lists as graphs make them, one after the other."""
    pool = [some_message(chance, number) for number in range(40)]
    current: list[BaseMessage] = []
    made: list[list[BaseMessage]] = []
    for number in range(30):
        change = chance.randrange(7)
        if change == 0:
            current = current[chance.randrange(3) :]
        elif change == 1 and current:
            current = [*current]
            current[chance.randrange(len(current))] = some_message(chance, 100 + number)
        elif change == 2 and current:
            gone = chance.randrange(len(current))
            current = [*current[:gone], *current[gone + 1 :]]
        elif change == 3:
            current = [*current, *chance.sample(pool, 3)]
        elif change == 4:
            current = [*current, *current[:2]]
        elif change == 5:
            made.append([SYSTEM, *chance.sample(pool, 2)])  # another agent's
            continue
        else:
            current = [*current, some_message(chance, 200 + number)]
        made.append(current)
    return made


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("capacity", [1, 4000, 10**8])
async def test_any_list_arrives_as_it_was(ends: Ends, seed: int, capacity: int) -> None:
    ends.forget(capacity=capacity)
    await ends.same(conversations(seeded(seed)))


@pytest.mark.parametrize("seed", range(8))
async def test_any_list_arrives_at_a_worker_that_is_new_to_the_run(ends: Ends, seed: int) -> None:
    for value in conversations(seeded(seed)):
        ends.forget(capacity=10**8)
        assert await ends.messages(value) == value


@pytest.mark.parametrize("seed", range(8))
async def test_two_workers_that_take_turns_get_every_list(ends: Ends, seed: int) -> None:
    workers = [ends.resolver, type(ends.resolver)(shelf=Shelf())]
    for number, value in enumerate(conversations(seeded(seed))):
        ends.resolver = workers[number % 3 == 0]
        assert await ends.messages(value) == value


@pytest.mark.parametrize("capacity", [1, 10**8])
async def test_messages_anywhere_in_a_value_arrive(ends: Ends, capacity: int) -> None:
    ends.forget(capacity=capacity)
    one, two = HumanMessage(LONG, id="1"), AIMessage(LONG)
    values = [
        one,
        {"a": one, "b": [two, {"c": [one, two]}]},
        [one, "text", LONG],
        (one, [two, two]),
    ]
    await ends.same([*values, *values])


async def test_the_same_message_twice_in_a_list_is_sent_once(ends: Ends) -> None:
    one = HumanMessage(LONG)
    await ends.same([[one, one, one]])
    assert ends.sizes[0] < 2 * len(LONG)


async def test_a_text_that_two_messages_share_is_sent_once(ends: Ends) -> None:
    await ends.same([[HumanMessage(LONG), ToolMessage(LONG, tool_call_id="c")]])
    assert ends.sizes[0] < 2 * len(LONG)


async def test_a_value_that_looks_like_a_reference_stays_a_value(ends: Ends) -> None:
    likes = [{"$": "chain", "o": []}, {"$": "text", "d": "x"}, {"$": "piece", "v": 1}]
    message = HumanMessage("x", additional_kwargs={"like": likes})
    assert (await ends.call([message], args={"likes": likes}))["args"] == {"likes": likes}
    assert (await ends.call([message], args={"likes": likes}))["messages"] == [message]


async def test_arguments_may_be_called_as_the_parts_of_a_call_are(ends: Ends) -> None:
    message = HumanMessage("long " * 100)
    args = {"config": message, "options": {"text": LONG}, "messages": [message]}
    await ends.messages([message])
    for _ in range(3):
        ends.forget()
        assert (await ends.call([], args=args))["args"] == args


# What goes out


def talk(turns: int, size: int = 1024) -> list[list[BaseMessage]]:
    said: list[BaseMessage] = [SYSTEM, HumanMessage("go", id="h")]
    made: list[list[BaseMessage]] = []
    for number in range(turns):
        made.append([*said])
        said.append(AIMessage("", id=f"a{number}", tool_calls=[called("look", n=number)]))
        text = f"{number:05}" + "x" * size
        said.append(ToolMessage(text, id=f"t{number}", tool_call_id="c-look"))
    return made


async def test_each_turn_of_a_conversation_costs_the_same(ends: Ends) -> None:
    await ends.same(talk(200))
    assert max(ends.sizes[2:]) - min(ends.sizes[2:]) < 20


async def test_what_came_back_from_a_call_is_not_sent_again(ends: Ends) -> None:
    reply = CODEC_JSON(AIMessage(LONG, id="a"))
    await ends.messages([HumanMessage("x")])
    message = ends.chain.decode(reply)
    await ends.messages([HumanMessage("x"), message])
    assert ends.sizes[1] < 200


async def test_a_result_of_a_tool_is_not_sent_again_as_a_message(ends: Ends) -> None:
    ends.chain.decode(LONG)
    await ends.messages([ToolMessage(LONG, tool_call_id="c")])
    assert ends.sizes[0] < len(LONG)


@pytest.mark.parametrize(
    "aside",
    [[SYSTEM], [SYSTEM, HumanMessage("title?")], [AIMessage("z" * 300)] * 3],
    ids=["prefix", "alike", "other"],
)
async def test_a_second_agent_does_not_make_the_first_one_start_over(
    ends: Ends, aside: list[BaseMessage]
) -> None:
    for value in talk(60):
        await ends.messages(aside)
        await ends.messages(value)
    main = ends.sizes[1::2]
    assert max(main[5:]) < min(main[5:]) + 400


async def test_a_sliding_window_costs_no_more_than_what_is_new(ends: Ends) -> None:
    await ends.same([value[:1] + value[-20:] for value in talk(60)])
    assert max(ends.sizes[30:]) - min(ends.sizes[30:]) < 60


async def test_an_edit_in_the_middle_costs_the_edit(ends: Ends) -> None:
    said = talk(40)[-1]
    await ends.messages(said)
    await ends.same([[*said[:30], HumanMessage("new", id="n"), *said[31:]]])
    assert ends.sizes[1] < 300


async def test_bound_options_are_sent_once(ends: Ends) -> None:
    options = {"tools": [{"name": f"t{n}", "description": LONG} for n in range(5)]}
    for _ in range(2):
        assert (await ends.call([], options=options))["options"] == options
    assert ends.sizes[1] < 200


async def test_bound_options_reach_a_worker_that_is_new(ends: Ends) -> None:
    options = {"tools": [{"name": f"t{n}", "description": LONG} for n in range(5)]}
    for _ in range(3):
        ends.forget()
        assert (await ends.call([], options=options))["options"] == options


async def test_the_config_of_a_scene_is_sent_once(ends: Ends) -> None:
    scene = {"config": {"configurable": {"user": "u" * 300}, "tags": []}, "spot": ["n:1", 2]}
    for _ in range(2):
        assert (await ends.call([], scene=scene))["scene"] == scene
    assert ends.sizes[1] < 200


async def test_a_call_that_was_refused_is_not_counted_as_sent(ends: Ends) -> None:
    said = [HumanMessage(LONG), AIMessage("x" * 500)]
    ends.write(said)
    assert await ends.messages(said) == said
    assert ends.requests == []


async def test_a_call_that_was_cancelled_before_it_went_out_is_sent_again(ends: Ends) -> None:
    said = [HumanMessage(LONG), AIMessage("x" * 500)]
    sending = ends.write(said)
    ends.chain.begin(sending)
    ends.chain.end(sending)
    assert await ends.messages(said) == said
    assert (ends.requests, ends.chain.whole) == ([], False)


async def test_a_call_that_ended_leaves_history_whole(ends: Ends) -> None:
    await ends.messages([HumanMessage(LONG)])
    assert ends.chain.whole


async def test_calls_are_numbered_as_they_are_written(ends: Ends) -> None:
    assert [ends.write([]).data["refs"] for _ in range(3)] == [0, 1, 2]


async def test_the_same_steps_give_the_same_bytes(ends: Ends) -> None:
    def written() -> list[str]:
        other = Ends(ends.history)
        made: list[str] = []
        for value in conversations(seeded(7)):
            sending = other.write(value, options={"b": 1, "a": LONG})
            other.chain.begin(sending)
            ends.history.length += 1
            made.append(json.dumps(sending.data))
            other.chain.end(sending)
        return made

    assert written() == written()


# Seals


async def test_a_seal_changes_every_digest(ends: Ends) -> None:
    sealed = Ends(ends.history, seal=b"secret")
    for end in (ends, sealed):
        await end.same(talk(3))
    assert not ends.chain.known & sealed.chain.known


@pytest.mark.parametrize("capacity", [1, 10**8])
async def test_a_sealed_chain_works(ends: Ends, capacity: int) -> None:
    sealed = Ends(ends.history, seal=b"secret")
    sealed.forget(capacity=capacity)
    await sealed.same(conversations(seeded(3)))


# Messages that are changed in place


def change_content(message: Any) -> None:
    message.content = LONG + "!"


def change_args(message: Any) -> None:
    message.tool_calls[0]["args"]["q"] = "other"


def change_block(message: Any) -> None:
    message.content[0]["text"] = "other"


def change_metadata(message: Any) -> None:
    message.response_metadata["deep"]["n"] = True


def change_kind(message: Any) -> None:
    message.additional_kwargs["flag"] = True


def change_extra(message: Any) -> None:
    message.noted["x"] = 2


def move_key(message: Any) -> None:
    first, second = message.content
    second.update(more=first.pop("more"))


@pytest.mark.parametrize(
    "change",
    [
        change_content,
        change_args,
        change_block,
        change_metadata,
        change_kind,
        change_extra,
        move_key,
    ],
)
async def test_a_message_that_is_changed_in_place_is_seen(ends: Ends, change: Any) -> None:
    plain = change in (change_content, change_args)
    message: BaseMessage = AIMessage(
        LONG if plain else [{"type": "text", "text": "a", "more": 1}, {}],
        tool_calls=[called("look", q="hats")],
        response_metadata={"deep": {"n": 1}},
        additional_kwargs={"flag": 1},
        noted={"x": 1},
    )
    await ends.same([[message]])
    change(message)
    arrived = await ends.messages([message])
    assert repr(arrived) == repr([message])


async def test_a_message_that_a_model_changes_is_whole_in_the_next_call(ends: Ends) -> None:
    said = [AIMessage([{"type": "text", "text": "a"}], tool_calls=[called("look", q="hats")])]
    got = await ends.messages(said)
    got[0].content[0]["text"] = "spoilt"
    got[0].tool_calls[0]["args"].clear()
    got[0].additional_kwargs["x"] = 1
    await ends.same([said])


@dataclass
class Basket:
    things: list[str]


async def test_an_object_in_a_message_that_a_tool_changes_is_whole_in_the_next_call(
    ends: Ends,
) -> None:
    codec = ValueCodec(types=[Basket])
    assert codec.encode(Basket([]), what="x")["type"] == type_name(Basket)  # type: ignore[index]
    ends.chain.codec = codec
    said = [ToolMessage("x", tool_call_id="c", artifact=Basket(["hat"]))]
    for _ in range(2):
        sending = ends.write(said)
        ends.chain.begin(sending)
        ends.history.length += 1
        grown = await ends.resolver.grow(json.loads(json.dumps(sending.data)), ask=ends.ask)
        got: Any = codec.decode(grown["messages"])
        assert got == said
        got[0].artifact.things.clear()


def CODEC_JSON(message: BaseMessage) -> Any:  # noqa: N802
    return json.loads(json.dumps(ValueCodec().encode(message, what="x")))
