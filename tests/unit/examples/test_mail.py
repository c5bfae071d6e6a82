"""How a message is built: nothing breaks out of a header, and the id comes from the key."""

from email import message_from_bytes
from email.policy import default

import pytest

from support_agent.mail import compose, message_id, open_mailer

SENDER = "Support <support@fernhill.example>"


def _parsed(to="ann@example.com", subject="Hello", text="Text", key="k"):
    return message_from_bytes(bytes(compose(SENDER, to, subject, text, key)), policy=default)


def test_the_same_key_has_the_same_message_id():
    assert message_id("wf:1", SENDER) == message_id("wf:1", SENDER)


def test_another_key_has_another_message_id():
    assert message_id("wf:1", SENDER) != message_id("wf:2", SENDER)


def test_the_message_id_does_not_depend_on_the_text():
    assert _parsed(text="one")["Message-ID"] == _parsed(text="two")["Message-ID"]


def test_a_message_id_has_the_senders_domain():
    assert message_id("wf:1", SENDER).endswith("@fernhill.example>")


@pytest.mark.parametrize("ending", ["\r\n", "\n", "\r", "\u2028", "\x0b", "\x85"], ids=ascii)
def test_a_subject_cannot_add_a_header(ending):
    message = _parsed(subject=f"Hello{ending}Bcc: eve@example.com")
    assert message["Bcc"] is None
    assert message["Subject"] == "Hello Bcc: eve@example.com"


@pytest.mark.parametrize(
    "to", ["ann@example.com\r\nBcc: eve@example.com", "ann@example.com, eve@example.com", "", "ann"]
)
def test_a_recipient_that_is_not_one_address_is_refused(to):
    with pytest.raises(ValueError, match="Cannot send mail to"):
        _parsed(to=to)


def test_a_body_cannot_add_a_header():
    assert _parsed(text="\r\nBcc: eve@example.com")["Bcc"] is None


@pytest.mark.parametrize(
    "text", ["Grüße \U0001f600", "שלום עולם", ".\n..\nFrom here", "x" * 5000, "a\r\nb"], ids=ascii
)
def test_a_body_arrives_as_written(text):
    assert _parsed(text=text).get_content().splitlines() == text.splitlines()


def test_a_subject_of_any_script_arrives_as_written():
    assert _parsed(subject="Grüße \U0001f600 שלום")["Subject"] == "Grüße \U0001f600 שלום"


def test_nul_is_dropped_from_the_body():
    assert _parsed(text="a\0b").get_content().strip() == "ab"


def test_the_message_is_seven_bit_clean():
    assert bytes(compose(SENDER, "ann@example.com", "é", "é \U0001f600", "k")).isascii()


@pytest.mark.parametrize(
    ("server", "host", "port"),
    [
        ("127.0.0.1:2525", "127.0.0.1", 2525),
        ("[::1]:25", "::1", 25),
        ("mail.example:465", "mail.example", 465),
    ],
)
def test_a_server_is_host_and_port(server, host, port):
    mailer = open_mailer(server, SENDER)
    assert (mailer.host, mailer.port) == (host, port)


@pytest.mark.parametrize("server", ["", "mail.example", ":25", "host:mail", "host:99999"])
def test_a_server_without_host_or_port_is_refused(server):
    with pytest.raises(ValueError, match="is not host:port"):
        open_mailer(server, SENDER)


@pytest.mark.parametrize("sender", ["", "Support", "a@b.example\r\nBcc: x@y.example"])
def test_a_sender_without_an_address_is_refused(sender):
    with pytest.raises(ValueError, match="holds no e-mail address"):
        open_mailer("127.0.0.1:25", sender)
