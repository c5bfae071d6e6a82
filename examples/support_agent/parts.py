"""The model and the tools, declared: each of their calls inside a run is one activity."""

from dataclasses import dataclass

from langchain_core.language_models import BaseChatModel
from langchain_core.tools import BaseTool

import perdure

from .kb import KnowledgeBase
from .settings import Settings, settings
from .tools import make_tools


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What both versions of the agent are made of."""

    model: BaseChatModel
    search: BaseTool
    ticket: BaseTool
    send: BaseTool


def make_parts(settings: Settings) -> Parts:
    """Declare the model and the tools that the settings name."""
    tools = make_tools(KnowledgeBase(settings.kb), settings.desk, settings.mailer)
    return Parts(
        model=perdure.model(settings.model, name=settings.label),
        search=perdure.tool(tools.search_kb),
        ticket=perdure.tool(tools.create_ticket, effect=True),
        send=perdure.tool(tools.send_email, effect=True),
    )


PARTS = make_parts(settings)
