"""The chart of docs/PERFORMANCE.md: how much of what its goal allows each bench takes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from math import log2
from typing import Any

_ROW, _LABEL, _PLOT, _VALUE = 20, 400, 360, 150
_TOP = 34
_SPAN = 4
"""Doublings shown on each side of the goal."""

_STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#24292f}"
    ".soft{fill:#57606a}.line{stroke:#24292f;stroke-width:1}.grid{stroke:#d0d7de;stroke-width:1}"
    ".met{fill:#2f7d6d}.missed{fill:#c4622d}"
)


def chart(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the judged *rows* as bars around their goals, as SVG."""
    judged = [row for row in rows if row["met"] is not None and row["value"]]
    width, height = _LABEL + _PLOT + _VALUE, _TOP + _ROW * len(judged) + 10
    middle = _LABEL + _PLOT / 2
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" role="img">'
        ),
        "<title>Reached, by what the goal asks for</title>",
        f"<style>{_STYLE}</style>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    for doublings in range(-_SPAN, _SPAN + 1, 2):
        x = _x(doublings)
        text = "goal" if not doublings else f"{2.0**doublings:g} × goal"
        parts.append(f'<line class="grid" x1="{x}" x2="{x}" y1="{_TOP - 6}" y2="{height - 6}"/>')
        parts.append(f'<text class="soft" x="{x}" y="16" text-anchor="middle">{text}</text>')
    for index, row in enumerate(judged):
        parts += _bar(row, _TOP + index * _ROW, middle)
    parts.append(
        f'<line class="line" x1="{middle}" x2="{middle}" y1="{_TOP - 6}" y2="{height - 6}"/>'
    )
    return "\n".join([*parts, "</svg>"]) + "\n"


def _bar(row: Mapping[str, Any], y: float, middle: float) -> list[str]:
    x = _x(log2(taken(row)))
    left, right = sorted((x, middle))
    kind = "met" if row["met"] else "missed"
    value = f"{row['value']:.3g} {row['unit']}"
    return [
        f'<text x="{_LABEL - 10}" y="{y + 13}" text-anchor="end">{escape(row["claim"])}</text>',
        (
            f'<rect class="{kind}" x="{left:.1f}" y="{y + 3}" width="{max(right - left, 1):.1f}" '
            f'height="{_ROW - 6}"/>'
        ),
        (
            f'<text x="{_LABEL + _PLOT + 10}" y="{y + 13}">{escape(value)}'
            f'<tspan class="soft"> of {escape(_limit_text(row))}</tspan></text>'
        ),
    ]


def taken(row: Mapping[str, Any]) -> float:
    """Return which part of its allowance a row takes: up to 1 is met."""
    sign, limit = _goal(row)
    ratio: float = row["value"] / limit if sign == "≤" else limit / row["value"]
    return ratio


def _goal(row: Mapping[str, Any]) -> tuple[str, float]:
    found = re.match(r"([≤≥]) ([0-9.e+-]+)", row["goal"])
    assert found is not None, row["goal"]
    return found[1], float(found[2])


def _limit_text(row: Mapping[str, Any]) -> str:
    sign, limit = _goal(row)
    return f"{sign} {limit:g}"


def _x(doublings: float) -> float:
    within = max(-_SPAN, min(_SPAN, doublings))
    return round(_LABEL + _PLOT / 2 + within * _PLOT / 2 / _SPAN, 1)
