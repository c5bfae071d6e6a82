"""Send an e-mail over SMTP. Runs on the worker."""

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from email import policy
from email.message import EmailMessage
from email.utils import formatdate, parseaddr
from urllib.parse import urlsplit

import aiosmtplib

from .prompts import is_address


@dataclass(frozen=True, kw_only=True)
class Mailer:
    """Send mail through one SMTP server.

    SMTP is at-least-once at the wire: a server may take a message and lose the connection
    before it says so, and the sender cannot tell that from a message that was never taken.
    The Message-ID therefore comes from the effect's key alone: a second attempt carries the
    same one, and only the receiver can drop the second copy. Large mail services do.
    """

    host: str
    port: int
    sender: str
    """A From header: an address, with or without a name."""
    timeout: timedelta = timedelta(seconds=30)
    """Bounds each step of the conversation: connect, greeting, every command."""

    async def send(self, to: str, subject: str, text: str, key: str) -> str:
        """Send one message and return its Message-ID; aiosmtplib's errors surface as they are."""
        message = compose(self.sender, to, subject, text, key)
        await aiosmtplib.send(
            message,
            sender=parseaddr(self.sender)[1],
            recipients=[to],
            hostname=self.host,
            port=self.port,
            # The default asks DNS for this machine's name, which can hang.
            local_hostname="localhost",
            timeout=self.timeout.total_seconds(),
        )
        return str(message["Message-ID"])


def compose(sender: str, to: str, subject: str, text: str, key: str) -> EmailMessage:
    """Build the message; what would break out of a header is refused or folded to a space."""
    if not is_address(to):
        msg = f"Cannot send mail to {to!r:.80}: it is not one e-mail address. Mend the recipient."
        raise ValueError(msg)
    plain = policy.SMTP.clone(cte_type="7bit", utf8=not to.isascii() or not sender.isascii())
    message = EmailMessage(policy=plain)
    message["From"] = sender
    message["To"] = to
    message["Subject"] = " ".join(subject.replace("\0", "").split())
    message["Date"] = formatdate(usegmt=True)
    message["Message-ID"] = message_id(key, sender)
    message.set_content(text.replace("\0", ""))
    return message


def message_id(key: str, sender: str) -> str:
    """Derive the Message-ID: same key, same id, on every attempt and every machine."""
    domain = parseaddr(sender)[1].rpartition("@")[2]
    digest = hashlib.sha256(key.encode()).hexdigest()[:40]
    return f"<{digest}@{domain.encode('idna').decode()}>"


def open_mailer(server: str, sender: str) -> Mailer:
    """Return the mailer that two settings name: host:port, and a From address."""
    parts = urlsplit(f"//{server}")
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or not port:
        msg = (
            f"The mail server {server!r} is not host:port. "
            "Write SUPPORT_SMTP as, for example, 127.0.0.1:2525 or [::1]:2525."
        )
        raise ValueError(msg)
    if not is_address(parseaddr(sender)[1]) or "\n" in sender or "\r" in sender:
        msg = (
            f"The sender {sender!r} holds no e-mail address. "
            "Write SUPPORT_FROM as, for example, 'Support <support@example.com>'."
        )
        raise ValueError(msg)
    return Mailer(host=host, port=port, sender=sender)
