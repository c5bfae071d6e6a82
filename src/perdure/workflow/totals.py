"""What a run used, its sub-agents included. Workflow side."""

from perdure.core.jsons import Json, JsonObject
from perdure.workflow.current import Run


def totals_of(run: Run) -> JsonObject:
    """Return what a run and its children used."""
    family, again = run.family, run.again
    tokens = dict(run.tokens)
    for name, count in family.tokens.items():
        tokens[name] = tokens.get(name, 0) + count
    return {
        "model_calls": run.turns
        - again.get("model_calls", 0)
        + family.totals.get("model_calls", 0),
        "tool_calls": run.tool_calls
        - again.get("tool_calls", 0)
        + family.totals.get("tool_calls", 0),
        "tokens": dict[str, Json](tokens),
    }
