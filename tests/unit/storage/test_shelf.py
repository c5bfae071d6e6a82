"""What was read last is kept, within a bound."""

from perdure.storage.shelf import Shelf


def test_what_was_put_is_found():
    shelf = Shelf(10)
    shelf.put("a", b"1234")
    assert (shelf.get("a"), shelf.get("b")) == (b"1234", None)


def test_the_one_not_used_for_longest_makes_room():
    shelf = Shelf(10)
    for name in ("a", "b"):
        shelf.put(name, b"12345")
    shelf.get("a")
    shelf.put("c", b"1")
    assert [shelf.get(name) is not None for name in "abc"] == [True, False, True]


def test_one_that_is_over_the_bound_is_not_kept():
    shelf = Shelf(10)
    shelf.put("a", b"1")
    shelf.put("b", bytes(11))
    assert (shelf.get("a"), shelf.get("b")) == (b"1", None)


def test_a_value_that_is_put_again_counts_once():
    shelf = Shelf(10)
    shelf.put("a", b"1234")
    shelf.put("a", b"12")
    assert shelf.size == 2
