"""How payloads are carried, for a command. Here the environment becomes arguments."""

import os
from dataclasses import replace
from pathlib import Path

from perdure.core.keyrings import Keyring
from perdure.core.offloading import Payloads
from perdure.errors import BadOption

BLOBS, KEYS = "PERDURE_BLOBS", "PERDURE_KEYS"
FOLDER = Path(".perdure")
_OFF = "off"


def payloads_of(own: Payloads | None = None, *, data: Path = FOLDER) -> Payloads | None:
    """Return what the variables say, over what the app says; None if neither says anything.

    `data` is the folder of the databases; blobs go into it too, unless somebody says where.

    Raises:
        BadOption: The keys cannot be read; the text never has a secret.
    """
    blobs, keys = os.environ.get(BLOBS), os.environ.get(KEYS)
    told = own
    if keys:
        told = replace(told or Payloads(), keys=read_keys(keys))
    if blobs:
        told = replace(told or Payloads(), blobs=None if blobs == _OFF else blobs)
    elif data != FOLDER and (told is None or told.local):
        told = replace(told or Payloads(), blobs=(data / "blobs").absolute().as_uri())
    return told


def read_keys(text: str) -> Keyring:
    """Read the keys themselves, or the file that `@FILE` names.

    Raises:
        BadOption: The file cannot be read, or there is no key in it.
    """
    if not text.startswith("@"):
        return Keyring.parse(text)
    try:
        return Keyring.parse(Path(text[1:]).read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise BadOption(f"{KEYS}={text}: the file cannot be read: {error}") from error
