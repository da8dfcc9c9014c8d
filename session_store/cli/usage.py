"""`session-store usage`."""

from attrs import asdict

from .. import blocking
from ..entries import Json, UsageRecord
from ..session.points import Point
from ..state import UsageTotals, usage_totals
from .naming import AT, ID, find_session
from .output import emit, emit_json, from_log, table
from .settings import Settings, store_command
from .text import escape, shorten

_HEADERS = ["", "CALLS", "INPUT", "CACHE READ", "CACHE WRITE", "OUTPUT"]


@store_command("usage")
@ID
@AT
def command(settings: Settings, text: str, at: Point | None) -> None:
    """
    Sum up tokens: own, inherited, total.

    Input counts each call's whole prompt, caches included.

    JSON: {session_id, own, inherited, total, models: [{model, own}]}, sums as
    {calls, input_total_tokens, cache_read_tokens, cache_write_tokens, output_tokens}
    """
    with settings.open() as store:
        state = blocking.restore(store, find_session(store, text), at=at)
    own = state.usage_history[state.inherited_usage :]
    sums = {
        "own": usage_totals(own),
        "inherited": usage_totals(state.usage_history[: state.inherited_usage]),
        "total": state.total_usage,
    }
    models = _by_model(own)
    if settings.is_json:
        emit_json({"session_id": state.session_id, **_json(sums), "models": _models_json(models)})
        return
    rows = [_row(name, total) for name, total in sums.items()]
    table(_HEADERS, rows, right=range(1, 6))
    if models:
        emit()
        named = [_row(shorten(escape(m or "?"), 32), sum_) for m, sum_ in models.items()]
        table(["OWN, BY MODEL", *_HEADERS[1:]], named, right=range(1, 6))


def _by_model(records: list[UsageRecord]) -> dict[str | None, UsageTotals]:
    names = dict.fromkeys(record.model for record in records)
    return {name: usage_totals(r for r in records if r.model == name) for name in names}


def _row(name: str, total: UsageTotals) -> list[str]:
    return [name, *map(_number, asdict(total).values())]


def _number(count: int) -> str:
    try:
        return f"{count:,}"
    except ValueError:  # A sum may have more digits than a body can carry, and Python writes.
        return "very many"


def _json(sums: dict[str, UsageTotals]) -> dict[str, Json]:
    return {name: from_log(asdict(total)) for name, total in sums.items()}


def _models_json(models: dict[str | None, UsageTotals]) -> Json:
    return [{"model": from_log(m), "own": from_log(asdict(total))} for m, total in models.items()]
