import pytest

from perdure.core.effects import effect_key

CALL = {"workflow_id": "order-7", "first_run_id": "0a1b2c3d-4e5f", "position": 3, "call_id": "c9"}


def test_the_same_call_has_the_same_key():
    assert effect_key(**CALL) == effect_key(**CALL)


@pytest.mark.parametrize(
    "change",
    [{"workflow_id": "order-8"}, {"first_run_id": "ffff2c3d"}, {"position": 4}, {"call_id": "c8"}],
    ids=str,
)
def test_another_call_has_another_key(change):
    assert effect_key(**{**CALL, **change}) != effect_key(**CALL)


def test_a_key_names_run_position_and_call():
    assert effect_key(**CALL) == "order-7:0a1b2c3d:3:c9"


def test_a_call_that_no_model_asked_for_is_known_by_its_position():
    assert effect_key(**{**CALL, "call_id": None}) == "order-7:0a1b2c3d:3"
