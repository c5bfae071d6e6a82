"""Names of models that are made while a run goes on: the name says how to make the model.

`openai:gpt-4o {"temperature":0}` is a provider, a model and plain settings, all from closed
tables. Nothing that could send a key elsewhere (an address, a proxy, a header) can be written
in a name, since whoever may write a payload could write one.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from perdure.core.jsons import Json

PROVIDERS: Mapping[str, tuple[str, str]] = {
    "anthropic": ("langchain_anthropic", "ChatAnthropic"),
    "azure_openai": ("langchain_openai", "AzureChatOpenAI"),
    "bedrock": ("langchain_aws", "ChatBedrock"),
    "bedrock_converse": ("langchain_aws", "ChatBedrockConverse"),
    "cohere": ("langchain_cohere", "ChatCohere"),
    "deepseek": ("langchain_deepseek", "ChatDeepSeek"),
    "fireworks": ("langchain_fireworks", "ChatFireworks"),
    "google_genai": ("langchain_google_genai", "ChatGoogleGenerativeAI"),
    "google_vertexai": ("langchain_google_vertexai", "ChatVertexAI"),
    "groq": ("langchain_groq", "ChatGroq"),
    "mistralai": ("langchain_mistralai", "ChatMistralAI"),
    "nvidia": ("langchain_nvidia_ai_endpoints", "ChatNVIDIA"),
    "ollama": ("langchain_ollama", "ChatOllama"),
    "openai": ("langchain_openai", "ChatOpenAI"),
    "openrouter": ("langchain_openrouter", "ChatOpenRouter"),
    "perplexity": ("langchain_perplexity", "ChatPerplexity"),
    "together": ("langchain_together", "ChatTogether"),
    "xai": ("langchain_xai", "ChatXAI"),
}
"""LangChain's names of providers, and the classes behind them."""

_USUAL: Mapping[str, str] = {
    "gpt-": "openai",
    "o1": "openai",
    "o3": "openai",
    "claude": "anthropic",
}
SETTINGS = frozenset({
    "temperature", "top_p", "top_k", "n", "seed", "stop", "stop_sequences", "max_tokens",
    "max_completion_tokens", "max_tokens_to_sample", "max_output_tokens", "presence_penalty",
    "frequency_penalty", "logprobs", "top_logprobs", "reasoning", "reasoning_effort", "effort",
    "thinking", "thinking_budget", "thinking_level", "include_thoughts", "verbosity",
    "service_tier", "streaming", "stream_usage", "disable_streaming", "output_version",
    "use_responses_api", "use_previous_response_id", "max_retries", "timeout", "request_timeout",
    "default_request_timeout", "num_predict", "num_ctx", "repeat_penalty", "truncation", "store",
})  # fmt: skip
"""What a name may set: how a model answers, never where the question is sent."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How to make a model."""

    provider: str
    model: str
    settings: Mapping[str, Json] = field(default_factory=dict[str, Json])

    @property
    def name(self) -> str:
        """The name that says it all."""
        label = f"{self.provider}:{self.model}"
        if not self.settings:
            return label
        told = json.dumps(self.settings, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return f"{label} {told}"

    @property
    def place(self) -> tuple[str, str]:
        """The module and the class of the provider."""
        return PROVIDERS[self.provider]


def read_recipe(name: str) -> Recipe | None:
    """Read a recipe from a name; None if the name is none, or asks for more than it may."""
    label, _, told = name.partition(" ")
    provider, colon, model = label.partition(":")
    if provider not in PROVIDERS or not colon or not model:
        return None
    try:
        settings: object = json.loads(told) if told else {}
    except ValueError:
        return None
    if not isinstance(settings, dict):
        return None
    found = cast("dict[str, Json]", settings)
    if not found.keys() <= SETTINGS:
        return None
    return Recipe(provider=provider, model=model, settings=found)


def provider_of(module: str, kind: str) -> str | None:
    """Return the provider of a class, or None if it is no provider's own."""
    root = module.partition(".")[0]
    return next((p for p, (home, name) in PROVIDERS.items() if (home, name) == (root, kind)), None)


def imported_class(label: str) -> type | None:
    """Return the class behind `provider:model`, if somebody has imported it; imports nothing.

    Models of Anthropic and OpenAI are known without their provider, too.
    """
    provider, colon, _ = label.partition(":")
    if not colon:
        provider = next((p for start, p in _USUAL.items() if label.startswith(start)), "")
    module, name = PROVIDERS.get(provider, ("", ""))
    # Not `getattr`: a lazy module would import more to answer it.
    held = vars(found).get(name) if (found := sys.modules.get(module)) else None
    return held if isinstance(held, type) else None
