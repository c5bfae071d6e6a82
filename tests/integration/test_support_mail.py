"""The support agent's mailer against a real SMTP server over loopback."""

import asyncio
import signal
import sys
from datetime import timedelta
from pathlib import Path

import aiosmtplib
import pytest
from aiosmtpd.smtp import SMTP

from support_agent.mail import Mailer
from support_agent.mailbox import Mailbox

EXAMPLES = Path(__file__).parents[2] / "examples"
ANN = "ann@example.com"


def _mailer(port):
    return Mailer(
        host="127.0.0.1",
        port=port,
        sender="Support <support@fernhill.example>",
        timeout=timedelta(seconds=5),
    )


@pytest.fixture
def box(tmp_path):
    with Mailbox(tmp_path / "inbox") as box:
        yield box


async def test_a_mail_arrives_with_the_id_that_was_returned(box):
    sent = await _mailer(box.port).send(ANN, "Hello", "Text", "k1")
    assert [message["Message-ID"] for message in box.messages()] == [sent]


async def test_the_same_key_sent_twice_is_one_message_in_the_mailbox(box):
    for _ in range(2):
        await _mailer(box.port).send(ANN, "Hello", "Text", "k1")
    assert len(box.messages()) == 1


async def test_the_second_copy_is_counted_at_the_wire(box):
    for _ in range(2):
        await _mailer(box.port).send(ANN, "Hello", "Text", "k1")
    assert box.raw_deliveries() == 2


async def test_two_keys_are_two_messages(box):
    for key in ("k1", "k2"):
        await _mailer(box.port).send(ANN, "Hello", "Text", key)
    assert len(box.messages()) == 2


async def test_a_message_is_one_file_of_the_maildir(box):
    await _mailer(box.port).send(ANN, "Hello", "Text", "k1")
    assert len(list((box.folder / "new").iterdir())) == 1


async def test_messages_are_listed_in_the_order_of_arrival(box):
    for number in range(5):
        await _mailer(box.port).send(ANN, f"Mail {number}", "Text", f"k{number}")
    subjects = [message["Subject"] for message in box.messages()]
    assert subjects == [f"Mail {number}" for number in range(5)]


@pytest.mark.parametrize(
    "text", ["Grüße \U0001f600", "שלום עולם", ".\n..\n.x", "x" * 5000, "w " * 200_000], ids=range(5)
)
async def test_a_body_goes_through_the_wire_unchanged(box, text):
    await _mailer(box.port).send(ANN, "Hello", text, "k1")
    assert box.messages()[0].get_content().splitlines() == text.splitlines()


async def test_a_subject_of_any_script_goes_through_the_wire(box):
    await _mailer(box.port).send(ANN, "Grüße \U0001f600 שלום", "Text", "k1")
    assert box.messages()[0]["Subject"] == "Grüße \U0001f600 שלום"


async def test_an_address_of_any_script_is_reached(box):
    await _mailer(box.port).send("jürgen@bücher.example", "Hello", "Text", "k1")
    assert "jürgen@bücher.example" in str(box.messages()[0]["To"])


async def test_a_line_break_in_the_subject_adds_no_header(box):
    await _mailer(box.port).send(ANN, "Hello\r\nBcc: eve@example.com", "Text", "k1")
    assert box.messages()[0]["Bcc"] is None


async def test_a_restarted_mailbox_still_drops_a_copy(tmp_path):
    for _ in range(2):
        with Mailbox(tmp_path / "inbox") as box:
            await _mailer(box.port).send(ANN, "Hello", "Text", "k1")
    assert (len(box.messages()), box.raw_deliveries()) == (1, 2)


async def test_a_taken_port_is_an_error_at_the_start(box, tmp_path):
    with pytest.raises(OSError, match="in use"):
        Mailbox(tmp_path / "other", port=box.port).start()


async def test_a_server_that_is_not_there_refuses(box):
    box.stop()
    with pytest.raises(aiosmtplib.SMTPConnectError):
        await _mailer(box.port).send(ANN, "Hello", "Text", "k1")


async def test_the_mailbox_runs_as_a_module(tmp_path):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "support_agent.mailbox", tmp_path / "inbox", "--port", "0",
        cwd=EXAMPLES, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    line = await asyncio.wait_for(process.stdout.readline(), 20)
    await _mailer(int(line.decode().rpartition(":")[2])).send(ANN, "Hello", "Text", "k1")
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0
    assert len(Mailbox(tmp_path / "inbox").messages()) == 1


class Faulty:
    """A server that answers DATA with a status of our choice, or takes it and hangs up."""

    def __init__(self, answer=None):
        self.answer = answer
        self.taken = []

    async def handle_DATA(self, server, session, envelope):  # noqa: N802 (the name is aiosmtpd's)
        self.taken.append(envelope.content)
        if self.answer is None:
            server.transport.abort()
            return "250 OK"
        return self.answer


@pytest.fixture
async def serve():
    servers = []

    async def start(handler):
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: SMTP(handler, hostname="localhost", loop=loop), "127.0.0.1", 0
        )
        servers.append(server)
        return server.sockets[0].getsockname()[1]

    yield start
    for server in servers:
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize("code", [451, 550])
async def test_a_refusal_surfaces_with_its_code(serve, code):
    port = await serve(Faulty(f"{code} no"))
    with pytest.raises(aiosmtplib.SMTPDataError) as caught:
        await _mailer(port).send(ANN, "Hello", "Text", "k1")
    assert caught.value.code == code


async def test_a_mail_that_was_taken_before_the_line_broke_surfaces_as_disconnected(serve):
    faulty = Faulty()
    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        await _mailer(await serve(faulty)).send(ANN, "Hello", "Text", "k1")
    assert len(faulty.taken) == 1
