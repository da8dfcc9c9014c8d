"""`session-store state`."""

from attrs import asdict

from .. import blocking
from ..entries import Json, Position
from ..session.points import Point
from ..state import RestoredState
from .naming import AT, ID, find_session
from .output import columns, emit, emit_json, from_log, label_text, paint, position_json, timestamp
from .readable import compact
from .settings import Settings, store_command
from .text import escape, shorten, wrap

_NAME_COLUMNS = 15


@store_command("state")
@ID
@AT
def command(settings: Settings, text: str, at: Point | None) -> None:
    """
    Restore a session and tell its state. Every record that is used is verified.

    What a crash left open is named: tool calls without a result, a run without
    an end.

    JSON: {session_id, head, origin, system_prompt, config, labels, history,
    turn_count, turns, open_run, open_calls, last_run_interrupted, usage,
    usage_history, inherited_usage, extensions, withheld, unknown_kinds,
    entries, started_ms, last_ms}
    """
    with settings.open() as store:
        state = blocking.restore(store, find_session(store, text), at=at)
    if settings.is_json:
        emit_json(state_json(state))
        return
    for name, told in _facts(state):
        if told:
            room = columns() - _NAME_COLUMNS
            first, *rest = wrap(told, room)
            emit(paint(f"{name:<{_NAME_COLUMNS}}", dim=True) + first)
            for line in rest[:8]:
                emit(" " * _NAME_COLUMNS + line)


def _facts(state: RestoredState) -> list[tuple[str, str]]:
    own, total = state.own_usage, state.total_usage
    calls = f"{total.calls} model calls, {own.calls} of them its own" if total.calls else ""
    run = "none open"
    if state.open_run is not None:
        run = f"begun at seq {state.open_run.seq}, never ended"
    elif state.last_run_interrupted:
        run = "the last one was interrupted"
    open_calls = ", ".join(escape(call) for call in state.open_calls[:20])
    unknown = ", ".join(f"{escape(kind)} ×{n}" for kind, n in state.unknown_kinds.items())
    return [
        ("session", state.session_id),
        ("head", f"seq {state.head.seq}"),
        ("hash", state.head.hash.hex()),
        ("forked from", _position(state.origin.forked_from)),
        ("compacted from", _position(state.origin.compacted_from)),
        ("salvaged from", state.origin.salvaged_from or ""),
        ("labels", label_text(state.labels)),
        ("begun", f"{timestamp(state.started_ts)} UTC"),
        ("last entry", f"{timestamp(state.last_ts)} UTC"),
        ("entries", f"{state.entries_count}"),
        ("history", f"{len(state.history)} items, {state.turn_count} turns"),
        ("config", shorten(escape(compact(state.config)[:2000]), 400) if state.config else ""),
        ("system prompt", f"{len(state.system_prompt)} characters" if state.system_prompt else ""),
        ("usage", calls),
        ("extensions", f"{len(state.extensions)}" if state.extensions else ""),
        ("withheld", f"{len(state.withheld)} records" if state.withheld else ""),
        ("unknown kinds", unknown),
        ("run", run),
        ("open calls", open_calls and f"{open_calls}: no result, outcome unknown"),
    ]


def _position(position: Position | None) -> str:
    return "" if position is None else f"{position.session_id}:{position.seq}"


def state_json(state: RestoredState) -> Json:
    """Return *state* for `--json`."""
    origin = state.origin
    return {
        "session_id": state.session_id,
        "head": state.head.to_json(),
        "origin": {
            "forked_from": position_json(origin.forked_from),
            "compacted_from": position_json(origin.compacted_from),
            "salvaged_from": origin.salvaged_from,
            "by_reference": origin.by_reference,
        },
        "system_prompt": from_log(state.system_prompt),
        "config": from_log(state.config),
        "labels": from_log(state.labels),
        "history": from_log(state.history),
        "turn_count": from_log(state.turn_count),
        "turns": [position.to_json() for position in state.turns],
        "open_run": position_json(state.open_run),
        "open_calls": from_log(state.open_calls),
        "last_run_interrupted": state.last_run_interrupted,
        "usage": from_log({"own": asdict(state.own_usage), "total": asdict(state.total_usage)}),
        "usage_history": [from_log(asdict(usage)) for usage in state.usage_history],
        "inherited_usage": state.inherited_usage,
        "extensions": [
            {"domain": from_log(domain), "payload": from_log(payload)}
            for domain, payload in state.extensions
        ],
        "withheld": [position.to_json() for position in state.withheld],
        "unknown_kinds": dict(state.unknown_kinds),
        "entries": state.entries_count,
        "started_ms": state.started_ts,
        "last_ms": state.last_ts,
    }
