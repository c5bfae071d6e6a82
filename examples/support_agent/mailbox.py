"""A mailbox to try the agent with: an SMTP server that keeps what it gets in a Maildir.

It drops a message whose Message-ID it already holds, as real mailboxes do, and counts every
delivery all the same, so that a second copy on the wire does not go unseen.

    python -m support_agent.mailbox inbox --port 2525
"""

import argparse
import asyncio
import email
import json
import signal
import threading
from concurrent.futures import Future
from email.message import EmailMessage
from email.policy import default
from mailbox import Maildir
from pathlib import Path
from typing import Self

from aiosmtpd.smtp import SMTP, Envelope, Session

_FOLDERS = ("tmp", "new", "cur")


class Mailbox:
    """An SMTP sink on its own thread. Port 0 takes a free one; `port` tells which."""

    def __init__(self, folder: Path | str, host: str = "127.0.0.1", port: int = 0) -> None:
        self.folder = Path(folder)
        self.host = host
        self.port = port
        self._journal = self.folder.parent / f"{self.folder.name}.deliveries.jsonl"
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._done: asyncio.Event | None = None
        self._seen: set[str] = set()

    def start(self) -> Self:
        """Listen; returns when mail can come in, raises OSError when the port is taken."""
        for name in _FOLDERS:
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self._seen = {str(message["Message-ID"]) for message in self.messages()}
        ready: Future[int] = Future()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(ready)), name="mailbox", daemon=True
        )
        self._thread.start()
        self.port = ready.result()
        return self

    def stop(self) -> None:
        """Stop listening; what was received stays. Does nothing when not started."""
        if self._thread is None or self._loop is None or self._done is None:
            return
        self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join()
        self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def messages(self) -> list[EmailMessage]:
        """Return what the mailbox holds, oldest first, one per Message-ID."""
        files = [file for name in ("new", "cur") for file in (self.folder / name).glob("*")]
        files.sort(key=lambda file: (file.stat().st_mtime_ns, file.name))
        return [email.message_from_bytes(file.read_bytes(), policy=default) for file in files]

    def raw_deliveries(self) -> int:
        """Count the deliveries at the wire, dropped copies included."""
        if not self._journal.exists():
            return 0
        return len(self._journal.read_text(encoding="utf-8").splitlines())

    async def handle_DATA(  # noqa: N802 (the name is aiosmtpd's)
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        """Take one message: first into the journal, then, if it is new, into the Maildir."""
        del server, session
        raw = envelope.content if isinstance(envelope.content, bytes) else b""
        name = str(email.message_from_bytes(raw, policy=default)["Message-ID"] or "")
        kept = not name or name not in self._seen
        line = {"message_id": name, "to": envelope.rcpt_tos, "kept": kept}
        with self._journal.open("a", encoding="utf-8") as journal:
            journal.write(json.dumps(line) + "\n")
        if kept:
            # A Maildir holds lines as the system ends them; CRLF is the wire's.
            Maildir(self.folder).add(raw.replace(b"\r\n", b"\n"))
            self._seen.add(name)
        return "250 OK"

    async def _serve(self, ready: "Future[int]") -> None:
        self._loop = asyncio.get_running_loop()
        self._done = asyncio.Event()
        try:
            server = await self._loop.create_server(self._conversation, self.host, self.port)
        except OSError as error:
            ready.set_exception(error)
            return
        async with server:
            ready.set_result(server.sockets[0].getsockname()[1])
            await self._done.wait()

    def _conversation(self) -> SMTP:
        return SMTP(self, hostname="localhost", ident="mailbox", enable_SMTPUTF8=True)


def main() -> None:
    """Serve one mailbox until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m support_agent.mailbox", description=__doc__)
    parser.add_argument("folder", metavar="DIR", type=Path, help="the Maildir to write")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=2525, help="0 takes a free port")
    chosen = parser.parse_args()
    ended = threading.Event()

    def interrupt(number: int, frame: object) -> None:
        del number, frame
        ended.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    with Mailbox(chosen.folder, chosen.host, chosen.port) as box:
        print(f"mailbox {box.folder} listens on {box.host}:{box.port}", flush=True)
        ended.wait()


if __name__ == "__main__":
    main()
