"""Turn measurements into rows: the median of each figure, and tables in Markdown."""

import os
import platform
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.catalogue import SUBJECTS

Row = dict[str, Any]
SPREAD = ("worker_cpu_ms_per_turn", "replay_cpu_s", "wall_ms_per_turn", "agents_per_s")
"""Figures whose single measurements are in a row too."""
BASES = ("raw", "raw-delta", "plugin")
LONGEST = 200


def machine() -> dict[str, Any]:
    model = ""
    try:
        with open("/proc/cpuinfo") as file:
            names = [line for line in file if line.startswith("model name")]
            model = names[0].partition(":")[2].strip() if names else ""
    except OSError:
        model = platform.processor()
    return {
        "cores": os.cpu_count(),
        "cpu": model,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def make_rows(measurements: Iterable[Row], about: Mapping[str, Any]) -> list[Row]:
    """Make one row of the repeats of each cell."""
    cells: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for one in measurements:
        cells[one["suite"], one["turns"], one["payload"], one["peer"]].append(one)
    return [_row(key, found, about) for key, found in cells.items()]


def _row(key: tuple[Any, ...], found: list[Row], about: Mapping[str, Any]) -> Row:
    suite, turns, payload, peer = key
    good = [one for one in found if "failure" not in one and "unavailable" not in one]
    row: Row = {"peer": peer, "suite": suite, "turns": turns, "payload": payload}
    row |= dict.fromkeys(
        (
            "events",
            "bytes",
            "worker_cpu_ms_per_turn",
            "server_cpu_ms_per_turn",
            "replay_cpu_s",
            "wall_ms_per_turn",
        )
    )
    row["runs"], row["runs_failed"] = len(good), len(found) - len(good)
    for name in good[-1] if good else ():
        values = [one[name] for one in good if name in one]
        numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
        row[name] = statistics.median(values) if numbers else values[-1]
        if name in SPREAD:
            row[f"{name}_each"] = values
    row["correct"] = bool(good) and all(one["correct"] for one in good)
    for word in ("unavailable", "failure"):
        said = [one[word] for one in found if word in one]
        if said:
            row[word] = said[0]
    if "unavailable" in row:
        row["correct"] = None
    return row | {"about": SUBJECTS[peer].about, "machine": dict(about)}


def add_ratios(rows: Sequence[Row]) -> None:
    """Add what a row costs against others of the same run."""
    known = {(r["suite"], r["turns"], r["payload"], r["peer"]): r for r in rows}
    for row in rows:
        for base in BASES:
            other = known.get((row["suite"], row["turns"], row["payload"], base))
            for figure in ("worker_cpu_ms_per_turn", "replay_cpu_s", "wall_ms_per_turn"):
                if other and row.get(figure) and other.get(figure):
                    ratios = row.setdefault("ratios", {}).setdefault(base, {})
                    ratios[figure] = round(row[figure] / other[figure], 2)


COLUMNS: Mapping[str, Sequence[tuple[str, str, int]]] = {
    "single": (
        ("events", "events", 0),
        ("bytes", "bytes", 0),
        ("wall ms/turn", "wall_ms_per_turn", 1),
        ("worker CPU ms/turn", "worker_cpu_ms_per_turn", 1),
        ("server CPU ms/turn", "server_cpu_ms_per_turn", 1),
        ("replay CPU s", "replay_cpu_s", 3),
        ("CPU ms to read the result", "read_result_cpu_ms", 0),
    ),
    "many": (
        ("agents/s", "agents_per_s", 2),
        ("wall ms/turn", "wall_ms_per_turn", 1),
        ("worker CPU ms/turn", "worker_cpu_ms_per_turn", 1),
        ("server CPU ms/turn", "server_cpu_ms_per_turn", 1),
        ("RSS MiB", "rss_mib", 0),
    ),
    "park": (
        ("agents", "agents", 0),
        ("KiB per waiting run", "kib_per_waiting_run", 1),
        ("RSS before MiB", "rss_before_mib", 1),
        ("RSS waiting MiB", "rss_waiting_mib", 1),
        ("CPU ms to get there", "park_cpu_ms", 1),
        ("idle CPU %", "idle_cpu_percent", 1),
    ),
    "cold": (
        ("import CPU s", "import_cpu_s", 2),
        ("CPU s to first run done", "cold_start_cpu_s", 2),
        ("start to first run done s", "cold_start_s", 2),
        ("modules", "modules", 0),
        ("RSS after import MiB", "rss_import_mib", 1),
    ),
    "growth": (
        ("turns", "points", 0),
        ("events per turn", "events_per_turn", 1),
        ("bytes per turn", "bytes_per_turn", 1),
        ("quadratic term, bytes/turn²", "bytes_per_turn_squared", 3),
        ("turns at 50 MiB", "turns_at_limit", 0),
    ),
}
TITLES: Mapping[str, str] = {
    "single": "One agent alone",
    "many": "Many agents at once, in one worker process",
    "park": "Agents that wait for a person",
    "cold": "Cold start: a fresh process, the server is up",
    "growth": "Growth of the record",
}


def markdown(rows: Sequence[Row]) -> str:
    """Write the tables."""
    about = rows[0]["machine"] if rows else {}
    versions: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        for name, version in row.get("versions", {}).items():
            versions[name].add(version)
    said = [
        ", ".join(f"{name} {value}" for name, value in about.items()),
        ", ".join(f"{name} {'/'.join(sorted(found))}" for name, found in sorted(versions.items())),
    ]
    for suite, title in TITLES.items():
        chosen = [row for row in rows if row["suite"] == suite]
        for cell in sorted({(row["turns"], row["payload"]) for row in chosen}):
            told = f"{cell[0]} turns, " if suite in ("single", "many") else ""
            said.append(f"### {title}: {told}{cell[1]:,} bytes a result")
            said.append(_table(suite, [r for r in chosen if (r["turns"], r["payload"]) == cell]))
    return "\n\n".join(said) + "\n"


def _table(suite: str, rows: Sequence[Row]) -> str:
    columns = COLUMNS[suite]
    heads = ["peer", *(title for title, _, _ in columns), "runs", "correct"]
    lines = [heads, ["---"] * len(heads)]
    for row in rows:
        why = row.get("unavailable") or (row.get("failure") if not row["runs"] else None)
        if why:
            word = "not available" if "unavailable" in row else "fails"
            text = f"{word}: {' '.join(str(why).split())[:LONGEST]}".replace("|", "/")
            lines.append([row["peer"], text, *[""] * (len(heads) - 2)])
            continue
        figures = [_written(row.get(name), digits) for _, name, digits in columns]
        right = "yes" if row["correct"] else "NO"
        runs = f"{row['runs']}" + (f" (+{row['runs_failed']} failed)" if row["runs_failed"] else "")
        lines.append([row["peer"], *figures, runs, right])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _written(value: Any, digits: int) -> str:
    if value is None:
        return "-"
    if isinstance(value, int | float):
        return f"{value:,.{digits}f}"
    return str(value)
