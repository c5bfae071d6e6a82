"""Values in a history, whatever codec wrote them."""

from dataclasses import replace

from temporalio.api.common.v1 import Payload
from temporalio.converter import DataConverter, PayloadCodec

from perdure.client.payloads import first, uncover
from unit.client.events import DECODE, Story, failure, payloads


class Backwards(PayloadCodec):
    """Hides a payload by turning it round."""

    async def encode(self, given):
        return [
            Payload(metadata={"encoding": b"test/backwards"}, data=p.SerializeToString()[::-1])
            for p in given
        ]

    async def decode(self, given):
        return [Payload.FromString(p.data[::-1]) for p in given]


HIDING = replace(DataConverter.default, payload_codec=Backwards())


async def hide(held):
    covered = await Backwards().encode([held])
    held.CopyFrom(covered[0])


def test_no_value_reads_as_none():
    assert first([], DECODE) is None


def test_the_first_of_several_values_is_read():
    assert first(payloads("a").payloads, DECODE) == "a"


async def test_hidden_arguments_are_uncovered():
    story = Story(given={"text": "secret"})
    start = story.events[0].workflow_execution_started_event_attributes
    await hide(start.input.payloads[0])
    await uncover(HIDING, story.events)
    assert story.line().input == {"text": "secret"}


async def test_hidden_summaries_are_uncovered():
    story = Story()
    story.model_call()
    await hide(story.events[-1].user_metadata.summary)
    await uncover(HIDING, story.events)
    assert story.line().calls[0].summary == "model: fake · turn 1"


async def test_values_inside_failures_are_uncovered():
    why = failure("no")
    why.application_failure_info.details.CopyFrom(payloads({"verdict": "retry"}))
    story = Story().failed(why)
    held = story.events[-1].workflow_execution_failed_event_attributes.failure
    await hide(held.application_failure_info.details.payloads[0])
    await uncover(HIDING, story.events)
    assert first(held.application_failure_info.details.payloads, DECODE) == {"verdict": "retry"}


async def test_values_in_maps_are_uncovered():
    story = Story()
    memo = story.events[0].workflow_execution_started_event_attributes.memo
    memo.fields["perdure.agent"].CopyFrom(payloads("support").payloads[0])
    await hide(memo.fields["perdure.agent"])
    await uncover(HIDING, story.events)
    assert first([memo.fields["perdure.agent"]], DECODE) == "support"


async def test_without_a_codec_nothing_is_touched():
    story = Story()
    before = story.events[0].SerializeToString()
    await uncover(DataConverter.default, story.events)
    assert story.events[0].SerializeToString() == before
