"""Choose the model from the environment. Builds no client: that happens at the first call."""

from collections.abc import Mapping
from pathlib import Path

from langchain_core.language_models import BaseChatModel

from .offline import OfflineModel

ANTHROPIC = "anthropic:claude-sonnet-4-6"
OPENAI = "openai:gpt-4.1-mini"
OFFLINE = "offline"


def choose_model(env: Mapping[str, str]) -> tuple[str | BaseChatModel, str]:
    """Return the model, by name or ready made, and the label that reports show.

    SUPPORT_MODEL wins; then the provider whose key is set; then the offline model.
    """
    if name := env.get("SUPPORT_MODEL", "").strip():
        return (_offline(env), OFFLINE) if name == OFFLINE else (name, name)
    if env.get("ANTHROPIC_API_KEY"):
        return ANTHROPIC, ANTHROPIC
    if env.get("OPENAI_API_KEY"):
        return OPENAI, OPENAI
    return _offline(env), OFFLINE


def _offline(env: Mapping[str, str]) -> OfflineModel:
    journal, delay = env.get("SUPPORT_OFFLINE_JOURNAL"), env.get("SUPPORT_OFFLINE_DELAY")
    try:
        seconds = float(delay or 0)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        msg = f"SUPPORT_OFFLINE_DELAY is {delay!r}; give a number of seconds, such as 0.5."
        raise ValueError(msg)
    return OfflineModel(journal=Path(journal) if journal else None, delay=seconds)
