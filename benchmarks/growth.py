"""The law by which the record grows: bytes = a + b*N + c*N*N through the measured turns."""

from collections.abc import Sequence
from typing import Any

LIMIT = 50 * 2**20
"""Bytes of history at which a Temporal server ends a run."""


def fit(points: Sequence[tuple[int, float]]) -> tuple[float, float, float]:
    """Return a, b, c by least squares (normal equations)."""
    rows = [[1.0, n, n * n] for n, _ in points]
    matrix = [
        [
            *(sum(row[i] * row[j] for row in rows) for j in range(3)),
            sum(row[i] * value for row, (_, value) in zip(rows, points, strict=True)),
        ]
        for i in range(3)
    ]
    for i in range(3):
        pivot = max(range(i, 3), key=lambda k: abs(matrix[k][i]))
        matrix[i], matrix[pivot] = matrix[pivot], matrix[i]
        for k in range(3):
            if k != i:
                factor = matrix[k][i] / matrix[i][i]
                matrix[k] = [
                    left - factor * right for left, right in zip(matrix[k], matrix[i], strict=True)
                ]
    a, b, c = (matrix[i][3] / matrix[i][i] for i in range(3))
    return a, b, c


def growth_row(peer: str, payload: int, points: Sequence[tuple[int, int, int]]) -> dict[str, Any]:
    """Make the row of a peer from (turns, events, bytes) of three runs or more."""
    ordered = sorted(points)
    a, b, c = fit([(turns, size) for turns, _, size in ordered])
    (first, first_events, _), (last, last_events, _) = ordered[0], ordered[-1]
    bent = c > 0.5
    limit = (-b + (b * b - 4 * c * (a - LIMIT)) ** 0.5) / (2 * c) if bent else (LIMIT - a) / b
    return {
        "peer": peer,
        "suite": "growth",
        "turns": None,
        "payload": payload,
        "points": ", ".join(str(turns) for turns, _, _ in ordered),
        "events_per_turn": (last_events - first_events) / (last - first),
        "bytes_per_turn": b,
        "bytes_per_turn_squared": c,
        "turns_at_limit": limit,
        "runs": len(ordered),
        "runs_failed": 0,
        "correct": True,
    }
