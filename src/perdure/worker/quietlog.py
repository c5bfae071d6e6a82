"""Keep what runs say out of a worker's logs, when it is kept out of Temporal's record."""

import logging
import traceback

from perdure.storage.failures import OURS

LOGGERS = (
    "temporalio.activity",
    "temporalio.workflow",
    "temporalio.worker._activity",
    "temporalio.worker._workflow",
    "temporalio.worker._workflow_instance",
)
"""Those of Temporal's SDK that write the exceptions and heartbeats of runs."""


class HideTexts(logging.Filter):
    """Write an exception as its class and its lines of code: its text may quote an argument."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change a record in place; what is written for debugging only is dropped."""
        if record.levelno <= logging.DEBUG:
            return False
        if record.exc_info and record.exc_info[1] is not None:
            record.exc_text = describe(record.exc_info[1])
            record.exc_info = None
        if isinstance(record.args, tuple):
            record.args = tuple(_hidden(value) for value in record.args)
        return True


def hide_texts() -> None:
    """Let Temporal's SDK write no texts of exceptions in this process."""
    for name in LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(held, HideTexts) for held in logger.filters):
            logger.addFilter(HideTexts())


def describe(error: BaseException) -> str:
    """Tell an exception and its causes without their texts."""
    parts: list[str] = []
    seen: set[int] = set()
    now: BaseException | None = error
    while now is not None and id(now) not in seen:
        seen.add(id(now))
        told = str(now) if isinstance(now, OURS) else "(its text is encrypted in the history)"
        parts += [f"{type(now).__name__}: {told}\n"]
        parts += traceback.format_tb(now.__traceback__)
        now = now.__cause__ or now.__context__
    return "".join(parts).rstrip()


def _hidden(value: object) -> object:
    return type(value).__name__ if isinstance(value, BaseException) else value
