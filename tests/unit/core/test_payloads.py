"""What crosses to another process keeps the order of its keys."""

import json

import pytest
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.common import RawValue
from temporalio.converter import DataConverter

from perdure.core.payloads import in_order


def test_keys_keep_their_order_at_every_depth():
    data = in_order({"b": 1, "a": [{"d": 2, "c": 3}]}).payload.data
    assert data == b'{"b":1,"a":[{"d":2,"c":3}]}'


def test_any_client_of_temporal_reads_it():
    value = {"b": "ä", "a": None}
    (read,) = DataConverter.default.payload_converter.from_payloads([in_order(value).payload])
    assert json.dumps(read) == json.dumps(value)


@pytest.mark.parametrize("value", [None, "text", 5, True, WorkflowMetadata()], ids=str)
def test_what_has_no_keys_or_a_form_of_temporal_s_own_is_left_alone(value):
    assert in_order(value) is value


def test_what_is_written_already_is_not_written_again():
    written = in_order({"a": 1})
    assert isinstance(written, RawValue)
    assert in_order(written) is written
