"""OpenTelemetry: replay-safe spans, with what a model call was and cost in tokens."""

from collections.abc import Mapping

from perdure.core.jsons import Json
from perdure.errors import MissingExtra

try:
    from opentelemetry import trace
    from temporalio.contrib.opentelemetry import OpenTelemetryPlugin, create_tracer_provider
except ImportError as error:  # pragma: no cover - the tests install the extra
    raise MissingExtra(
        "OpenTelemetry is not installed; try: pip install 'perdure[otel]'"
    ) from error

_GENAI = {
    "model": "gen_ai.request.model",
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
}
"""Names of OpenTelemetry's semantic conventions for generative AI."""


def tracing() -> OpenTelemetryPlugin:
    """Return Temporal's OpenTelemetry plugin, with spans for workflows and activities.

    Give it to the client. The global tracer provider must come from `create_tracer_provider`,
    so that a replay makes no span twice.
    """
    return OpenTelemetryPlugin(add_temporal_spans=True)


def note(_: str, facts: Mapping[str, Json]) -> None:
    """Write the facts of a model call on the span of its attempt. Activity side."""
    span = trace.get_current_span()
    span.set_attribute("gen_ai.operation.name", "chat")
    span.set_attribute("perdure.model", str(facts.get("name")))
    for fact, attribute in _GENAI.items():
        value = facts.get(fact)
        if isinstance(value, str | int | float):
            span.set_attribute(attribute, value)


__all__ = ["create_tracer_provider", "note", "tracing"]
