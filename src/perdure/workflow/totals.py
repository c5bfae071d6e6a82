"""What a run used, its sub-agents included. Workflow side."""

from perdure.core.jsons import Json, JsonObject
from perdure.workflow.current import Run


def totals_of(run: Run) -> JsonObject:
    """Return what a run and its children used."""
    family = run.family
    tokens = dict(run.tokens)
    for name, count in family.tokens.items():
        tokens[name] = tokens.get(name, 0) + count
    return {
        "model_calls": run.turns + family.totals.get("model_calls", 0),
        "tool_calls": run.tool_calls + family.totals.get("tool_calls", 0),
        "tokens": dict[str, Json](tokens),
    }
