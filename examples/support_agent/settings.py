"""What the environment says. Read once, when a worker loads the app; nothing is contacted."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from langchain_core.language_models import BaseChatModel

from .desk import Desk, open_desk
from .mail import Mailer, open_mailer
from .model import choose_model


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the environment says."""

    kb: Path
    desk: Desk
    mailer: Mailer
    model: str | BaseChatModel
    label: str
    within: timedelta


def read_settings(env: Mapping[str, str]) -> Settings:
    """Read SUPPORT_* variables; a value that cannot work raises ValueError here and now."""
    model, label = choose_model(env)
    sender = env.get("SUPPORT_FROM") or "Fernhill Coffee <support@fernhill.example>"
    return Settings(
        kb=Path(env.get("SUPPORT_KB") or Path(__file__).parent / "kb"),
        desk=open_desk(env.get("SUPPORT_DESK") or ".perdure/desk.sqlite"),
        mailer=open_mailer(env.get("SUPPORT_SMTP") or "127.0.0.1:2525", sender),
        model=model,
        label=label,
        within=_hours(env.get("SUPPORT_APPROVAL_HOURS") or "24"),
    )


def _hours(text: str) -> timedelta:
    try:
        within = timedelta(hours=float(text))
    except (ValueError, OverflowError):
        within = timedelta(0)
    if within <= timedelta(0):
        msg = f"SUPPORT_APPROVAL_HOURS is {text!r}; give a number of hours above 0, such as 24."
        raise ValueError(msg)
    return within


settings = read_settings(os.environ)
