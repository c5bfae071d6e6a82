"""Keys, and how they are written."""

from base64 import b64encode, urlsafe_b64encode

import pytest

from perdure.core.keyrings import Key, Keyring, Whose, digest_name
from perdure.core.offloading import Payloads
from perdure.core.wire import PAYLOAD_LIMIT
from perdure.errors import BadOption

A, B = Key("a", b"a" * 32), Key("b", b"b" * 32)


def text(secret: bytes = b"\xfb" * 32) -> str:
    return b64encode(secret).decode()


@pytest.mark.parametrize("gap", [",", "\n", " , ", ",\n# the old one\n"])
def test_keys_are_read_in_order(gap):
    ring = Keyring.parse(f"a:{text(A.secret)}{gap}b:{text(B.secret)}")
    assert (ring.current, ring.keys) == (A, (A, B))


def test_both_alphabets_of_base64_are_read():
    odd = b"\xfb\xff" * 16
    forms = [b64encode(odd), urlsafe_b64encode(odd), urlsafe_b64encode(odd).rstrip(b"=")]
    assert {Keyring.parse(f"a:{form.decode()}").current.secret for form in forms} == {odd}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("", "at least one"),
        ("# none", "at least one"),
        ("tangerine", "entry 1 of the keys has no colon"),
        ("a:tanger!ne", "key 'a' is no base64"),
        (f"a:{text(b'tangerine')}", "key 'a' has 9 bytes"),
        (f"a b:{text()}", "key id 'a b'"),
        (f"a:{text()},a:{text()}", "stands twice"),
        (f"seal:{text()}", "at least one"),
        (f"a:{text()},seal:{text(b'short')}", "a seal of 5 bytes"),
    ],
)
def test_what_is_wrong_is_told_without_the_secret(given, told):
    with pytest.raises(BadOption, match=told) as caught:
        Keyring.parse(given)
    assert "tanger" not in str(caught.value)


def test_a_secret_is_not_shown():
    shown = repr([A, Keyring([A], seal=b"tangerine-tangerine"), Payloads(keys=Keyring([A]))])
    assert ("aaaa" in shown, "tangerine" in shown) == (False, False)


def test_the_seal_outlives_a_rotation():
    assert Keyring([A]).seal == Keyring([B, A]).seal != b""


def test_the_seal_changes_when_the_oldest_key_goes():
    assert Keyring([B]).seal != Keyring([B, A]).seal


def test_the_seal_can_be_kept_when_the_oldest_key_goes():
    kept = b64encode(Keyring([A]).seal).decode()
    assert Keyring.parse(f"b:{text(B.secret)},seal:{kept}").seal == Keyring([B, A]).seal


def test_a_key_gives_another_secret_for_each_purpose():
    assert len({A.secret, A.derive("x"), A.derive("y"), B.derive("x")}) == 4


def test_payloads_read_keys_from_text():
    assert Payloads(keys=f"a:{text(A.secret)}").keys == Keyring([A])


@pytest.mark.parametrize("keys", [7, b"x", ["a"]])
def test_other_keys_are_refused(keys):
    with pytest.raises(BadOption, match="keys= is a"):
        Payloads(keys=keys)


@pytest.mark.parametrize("part", [{"threshold": -1}, {"largest": "x"}, {"cache": True}])
def test_a_size_is_a_number(part):
    with pytest.raises(BadOption, match="a number of bytes"):
        Payloads(**part)


def test_a_threshold_over_what_temporal_takes_is_refused():
    with pytest.raises(BadOption, match="at most 1,900,000"):
        Payloads(threshold=PAYLOAD_LIMIT + 1)


def test_without_a_store_temporals_limit_holds():
    assert (Payloads(blobs=None).most, Payloads().most) == (PAYLOAD_LIMIT, 1 << 30)


def test_the_seal_of_payloads_is_that_of_their_keys():
    assert (Payloads().seal, Payloads(keys=Keyring([A])).seal) == (b"", Keyring([A]).seal)


def test_keys_by_tenant_seal_with_those_of_nobody():
    def find(whose: Whose) -> Keyring | None:
        return Keyring([B]) if whose == Whose() else Keyring([A])

    assert Payloads(keys=find).seal == Keyring([B]).seal


def test_a_digest_depends_on_the_seal():
    assert len({digest_name(b"x", seal=seal) for seal in (b"", b"a", b"b")}) == 3
