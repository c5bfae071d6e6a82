import pytest

from perdure.core.ids import lengthen_id, lengthen_place, shorten_id, shorten_place

UUID = "8080ccde-3769-4239-8f93-920abd6904d0"


def test_a_uuid_takes_23_characters():
    assert len(shorten_id(UUID)) == 23


@pytest.mark.parametrize(
    "id", [UUID, "", "~", "~~", "msg_1", "~" + "A" * 22, "~" + "!" * 22, UUID.upper(), "lc_run--1"]
)
def test_an_id_comes_back_as_it_was(id: str):
    assert lengthen_id(shorten_id(id)) == id


@pytest.mark.parametrize("place", ["", "tools", f"tools:{UUID}", f"a:{UUID}|b|c:1:{UUID}"])
def test_a_namespace_comes_back_as_it_was(place: str):
    short = shorten_place(place)

    assert short is not None
    assert lengthen_place(short) == place


def test_a_namespace_that_could_be_misread_is_left_alone():
    assert shorten_place("tools:~AAAAAAAAAAAAAAAAAAAAAA") is None
