"""`session-store du`."""

from .. import blocking
from .naming import short_ids
from .output import counted, emit_json, size_text, table
from .progress import progress
from .settings import Settings, store_command


@store_command("du")
def command(settings: Settings) -> None:
    """
    Tell the disk usage of sessions, the largest first: log, trace, quarantine.

    JSON: {"sessions": [{session_id, log, trace, quarantine}], "total": {log, trace,
    quarantine}}, in bytes
    """
    with settings.open() as store:
        kept = store.quarantined()
        infos = list(progress(blocking.sessions(store), "listing", 0))
    names = dict(
        zip(
            [info.session_id for info in infos],
            short_ids([info.session_id for info in infos]),
            strict=True,
        )
    )
    # Quarantined pieces of logs that were never born count in the total alone.
    rows = [
        (info.session_id, info.size, info.trace_size, kept.get(info.session_id, 0))
        for info in infos
    ]
    rows.sort(key=lambda row: -sum(row[1:]))
    total = [sum(row[1] for row in rows), sum(row[2] for row in rows), sum(kept.values())]
    columns = ("log", "trace", "quarantine")
    if settings.is_json:
        emit_json(
            {
                "sessions": [
                    {"session_id": row[0], **dict(zip(columns, row[1:], strict=True))}
                    for row in rows
                ],
                "total": dict(zip(columns, total, strict=True)),
            }
        )
        return
    shown = [[names[row[0]], *map(size_text, row[1:])] for row in rows]
    shown.append([counted(len(rows), "session"), *map(size_text, total)])
    table(["ID", "LOG", "TRACE", "QUARANTINE"], shown, right={1, 2, 3})
