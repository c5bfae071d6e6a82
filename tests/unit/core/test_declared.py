import pytest

from perdure.core.declared import Declaration, Table
from perdure.errors import NameTaken


def entry(name: str = "search", *, kind: str = "tool", identity: object = 1) -> Declaration:
    return Declaration(kind=kind, name=name, identity=identity, build=lambda: None)


@pytest.fixture
def table() -> Table:
    return Table()


def test_what_was_added_is_found(table):
    added = table.add(entry())

    assert table.find("tool", "search") is added


def test_what_was_not_added_is_none(table):
    assert table.find("tool", "search") is None


def test_a_model_and_a_tool_may_share_a_name(table):
    table.add(entry())

    assert table.find("model", "search") is None


def test_names_come_in_order_of_declaration_and_by_kind(table):
    for name, kind in (("b", "tool"), ("m", "model"), ("a", "tool")):
        table.add(entry(name, kind=kind))

    assert table.names("tool") == ["b", "a"]


def test_the_same_thing_again_replaces_the_first(table):
    table.add(entry())
    again = table.add(entry())

    assert table.find("tool", "search") is again


@pytest.mark.parametrize("kind", ["model", "tool"])
def test_another_thing_of_the_name_is_refused_with_the_mend(table, kind):
    table.add(entry(kind=kind))

    with pytest.raises(NameTaken, match=rf"two different {kind}s .*perdure\.{kind}\(\.\.\., name="):
        table.add(entry(kind=kind, identity=2))


def test_a_refused_declaration_leaves_the_first_in_place(table):
    first = table.add(entry())
    with pytest.raises(NameTaken):
        table.add(entry(identity=2))

    assert table.find("tool", "search") is first


def test_a_cleared_table_knows_nothing(table):
    table.add(entry())
    table.clear()

    assert table.names("tool") == []


def test_two_tables_share_nothing(table):
    table.add(entry())

    assert Table().names("tool") == []
