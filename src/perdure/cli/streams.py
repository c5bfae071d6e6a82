"""Where commands find the streams of runs. Here the environment becomes arguments."""

import logging
import os
from pathlib import Path

from perdure.core.frames import StreamSink
from perdure.storage.sinks import FileSink, open_sink

MODES = ("messages", "updates")
"""What a run tells that is followed on a terminal: words, and where they end."""
VARIABLE = "PERDURE_STREAM"
STREAM_FILE = "stream.db"
FOLDER = Path(".perdure")


def writing_sink(told: str | None, own: StreamSink | None, file: Path) -> StreamSink | None:
    """Return where a worker sends streams: as told, else as the app says, else to the file.

    Raises:
        BadOption: The URL cannot be used.
    """
    logging.getLogger("perdure.stream").setLevel(logging.WARNING)
    url = told or os.environ.get(VARIABLE)
    if url:
        return open_sink(url)
    return own if own is not None else FileSink(file)


def reading_sink(told: str | None, file: Path | None = None) -> StreamSink | None:
    """Return where a command reads streams from.

    Raises:
        BadOption: The URL cannot be used.
    """
    url = told or os.environ.get(VARIABLE)
    return open_sink(url) if url else FileSink(file or FOLDER / STREAM_FILE)
