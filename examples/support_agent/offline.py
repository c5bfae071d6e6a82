"""A chat model without a network, a key or a neural network: rules over the prompt's own text.

It is NOT an LLM. It sorts by key words and drafts by copying the article sentences that
share the most telling words with the question, so demos and tests run anywhere and always
say the same. Every draft admits it in its last line.
"""

import asyncio
import hashlib
import html
import json
import math
import os
import re
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from langchain_core.callbacks import (
    AsyncCallbackManagerForLLMRun,
    CallbackManagerForLLMRun,
)
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult

from .kb import terms

ADMISSION = (
    "(Drafted by the offline demonstration model: rules over the help articles, not an LLM.)"
)

_ARTICLE = re.compile(
    r'<article id="(?P<id>[^"]*)" title="(?P<title>[^"]*)">\n(?P<text>.*?)\n</article>', re.DOTALL
)
_MESSAGE = re.compile(r"<message>\n(.*)\n</message>", re.DOTALL)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[\"'(]?[A-Z0-9])|\n\s*\n|\n(?=\s*(?:[-*]|\d+\.)\s)")
_MARKUP = re.compile(r"^\s*(?:#{1,6}\s+|[-*]\s+|\d+\.\s+|>\s*)|\*\*|`|(?<=\])\([^)]*\)|[\[\]]")
_MOST_SENTENCES = 4
_SHORTEST_SENTENCE = 25

_FOR_A_PERSON = re.compile(
    r"""\b(?:
    lawyers?|solicitors?|attorneys?|sue|suing|legal\s+(?:action|department|advice)|small\s+claims|
    trading\s+standards|ombudsman|
    fraud\w*|scam\w*|stolen|hacked|unauthori[sz]ed|chargebacks?|police|
    (?:a|any|real|actual|live|some)\s+(?:human|person|manager|supervisor)|human\s+(?:being|agent)|
    (?:speak|talk)\s+(?:to|with)\s+(?:a\s+|an\s+|your\s+|the\s+)?
        (?:human|person|someone|somebody|manager|supervisor|agent)|
    furious|angry|disgust\w*|outrage\w*|unacceptable|ridiculous|appalling|
    worst\s+\w+|never\s+again|fed\s+up|rip-?off|liars?|
    injur\w*|burn(?:ed|t)\s+(?:my|me|her|his)|electric\s+shock|caught\s+fire
    )\b""",
    re.IGNORECASE | re.VERBOSE,
)
_HINTS: dict[str, re.Pattern[str]] = {
    "billing": re.compile(
        r"\b(?:invoices?|receipts?|charg\w*|refund\w*|pay|paid|payments?|paypal|cards?|bill\w*|"
        r"vat|money|prices?|discounts?|coupons?|vouchers?|promo\w*|instal\w*|gift|points|debit\w*)\b",
        re.IGNORECASE,
    ),
    "account": re.compile(
        r"\b(?:passwords?|passkeys?|log(?:ged|ging)?\s*-?in|login|sign\w*\s*-?in|accounts?|e-?mail|"
        r"usernames?|two-factor|2fa|authenticator|profile|addresses|newsletter\w*|"
        r"subscri\w+|personal\s+data|my\s+data|gdpr|locked)\b",
        re.IGNORECASE,
    ),
}


class OfflineModel(BaseChatModel):
    """Answer the support agent's prompts by rule. Deterministic; not an LLM."""

    journal: Path | None = None
    """Every real call appends one JSON line here: its kind and a digest of its input."""
    delay: float = 0.0
    """Seconds that each call takes, to make a demo or a fault test realistic."""

    @property
    def _llm_type(self) -> str:
        return "offline-rules"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model_name": "offline"}

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,  # noqa: ANN401 (LangChain's own signature)
    ) -> ChatResult:
        del stop, run_manager, kwargs
        kind = self._note(messages)
        if self.delay:
            time.sleep(self.delay)
        return _answer(kind, messages)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,  # noqa: ANN401 (LangChain's own signature)
    ) -> ChatResult:
        del stop, run_manager, kwargs
        kind = self._note(messages)
        if self.delay:
            await asyncio.sleep(self.delay)
        return _answer(kind, messages)

    def _note(self, messages: Sequence[BaseMessage]) -> str:
        """Tell which task this is, and write the call down before it is answered."""
        kind = _kind(messages)
        if self.journal is not None:
            spoken = [[message.type, str(message.text)] for message in messages]
            digest = hashlib.sha256(json.dumps(spoken).encode()).hexdigest()
            line = json.dumps({"kind": kind, "digest": digest}) + "\n"
            self.journal.parent.mkdir(parents=True, exist_ok=True)
            # One write to a file opened for appending: lines of several workers do not mix.
            target = os.open(self.journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            try:
                os.write(target, line.encode())
            finally:
                os.close(target)
        return kind


def classify(question: str, titles: Sequence[str]) -> str:
    """Sort a question by key words; without an article to answer from, a person must."""
    shouted = sum(map(str.isupper, question)) > 0.7 * max(30, sum(map(str.isalpha, question)))
    if not titles or shouted or _FOR_A_PERSON.search(question):
        return "escalate"
    scores = {
        name: 2 * len(hints.findall(question)) + len(hints.findall(titles[0]))
        for name, hints in _HINTS.items()
    }
    best = max(scores, key=lambda name: scores[name])
    return best if scores[best] > 1 else "faq"


def draft(question: str, articles: Sequence[tuple[str, str]]) -> str:
    """Answer with the sentences of the articles, title and text each, that fit best."""
    chosen = best_sentences(question, articles)
    if not chosen:
        said = "I am sorry: our help articles do not answer your question, and I do not guess."
        source = ""
    else:
        said = "\n\n".join(
            " ".join(text for title, text in chosen if title == name)
            for name in dict.fromkeys(title for title, _ in chosen)
        )
        names = dict.fromkeys(title for title, _ in chosen)
        source = "You can read more under " + " and ".join(f'"{name}"' for name in names) + "."
    opening = "Hello,\n\nthank you for your message."
    closing = f"Kind regards,\nThe support team\n\n{ADMISSION}"
    return "\n\n".join(part for part in (opening, said, source, closing) if part)


def best_sentences(question: str, articles: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return up to four sentences with their article's title, in reading order."""
    asked = _stems(question)
    pool = [
        (rank, place, title, sentence)
        for rank, (title, text) in enumerate(articles[:2])
        for place, sentence in enumerate(_sentences(text))
    ]
    counts = Counter(stem for *_, sentence in pool for stem in _stems(sentence))

    def worth(entry: tuple[int, int, str, str]) -> float:
        rank, place, title, sentence = entry
        shared = asked & _stems(sentence)
        rare = sum(math.log(1 + len(pool) / counts[stem]) for stem in shared)
        topic = len(asked & _stems(title))
        return (rare + (0.5 * topic if shared else 0.0)) / (1 + rank) - 0.01 * place

    ranked = sorted((entry for entry in pool if worth(entry) > 0), key=worth, reverse=True)
    return [(title, sentence) for _, _, title, sentence in sorted(ranked[:_MOST_SENTENCES])]


def _answer(kind: str, messages: Sequence[BaseMessage]) -> ChatResult:
    asked = _last_question(messages)
    articles = [
        (html.unescape(found["title"]), found["text"]) for found in _ARTICLE.finditer(asked)
    ]
    held = _MESSAGE.search(asked)
    question = held[1] if held else asked
    if kind == "classify":
        text = classify(question, [title for title, _ in articles])
    else:
        text = draft(question, articles)
    read = sum(len(str(message.text).split()) for message in messages)
    written = len(text.split())
    reply = AIMessage(
        content=text,
        response_metadata={"model_name": "offline", "stop_reason": "end_turn"},
        usage_metadata={
            "input_tokens": read,
            "output_tokens": written,
            "total_tokens": read + written,
        },
    )
    return ChatResult(generations=[ChatGeneration(message=reply)])


def _kind(messages: Sequence[BaseMessage]) -> str:
    system = next((str(one.text) for one in messages if one.type == "system"), "")
    task = re.match(r"Task: (classify|draft)\b", system)
    return task[1] if task else "other"


def _last_question(messages: Sequence[BaseMessage]) -> str:
    """Return the last thing said that holds a customer's message: repairs follow after it."""
    spoken = [str(one.text) for one in messages if one.type == "human"]
    return next((text for text in reversed(spoken) if _MESSAGE.search(text)), (spoken or [""])[-1])


def _sentences(text: str) -> list[str]:
    pieces = (_MARKUP.sub("", piece) for piece in _SENTENCE_END.split(text))
    folded = (" ".join(piece.split()) for piece in pieces)
    return [piece for piece in folded if len(piece) >= _SHORTEST_SENTENCE]


def _stems(text: str) -> frozenset[str]:
    return frozenset(re.sub(r"(?:ing|ed|es|s|e)$", "", word) or word for word in terms(text))
