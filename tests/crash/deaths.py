"""Death at every call to the system: what was told is there, and doing it again ends the same."""

import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from attrs import Factory, define, frozen
from fs_tools import born, fork, log_of, note, records, store
from fs_tools import start as start_drafts
from import_tools import ANSWERED, ASKED, ASKED_AGAIN, parsed
from real_tools import Unavailable

from session_store import blocking
from session_store.chain import Draft, Record
from session_store.entries import Position
from session_store.errors import AlreadyExists
from session_store.ids import SessionId, new_session_id
from session_store.stores import ANY
from session_store.stores.fs import layout
from session_store.stores.fs.core import FsCore

from .acks import Acks, look_after, not_intact
from .subject import Row, Subject
from .traced import FILE_CALLS, traced

KEY = "k:1"


@define
class Case:
    """
    A store, and what is about to be done in it.

    Attributes:
        session_id: The session that it is done to.
        drafts: Of the append, so that doing it again is a retry.
        told: What the child was told.
        held: What must be there whatever happens.
        secrets: What must be nowhere when it was erased.
    """

    root: Path
    session_id: SessionId
    drafts: list[list[Draft]] = Factory(list)
    parent: Position | None = None
    held: list[Position] = Factory(list)
    told: Acks = Factory(Acks)
    secrets: list[Record] = Factory(list)

    @property
    def core(self) -> FsCore:
        return store(self.root, lock_timeout_s=60)


def _plain(root: Path) -> Case:
    core = store(root)
    session_id = born(core, 3)
    appends = [[note("a"), note("b")], [note("c" * 5000)]]
    return Case(root, session_id, appends, held=[core.head(session_id)])


def _with_tail(tail: bytes) -> Callable[[Path], Case]:
    def make(root: Path) -> Case:
        case = _plain(root)
        with log_of(case.core, case.session_id).open("ab") as log:
            log.write(tail)
        return case

    return make


def _without_end(root: Path) -> Case:
    case = _plain(root)
    path = log_of(case.core, case.session_id)
    path.write_bytes(path.read_bytes()[:-1])
    return case


def _damaged(root: Path) -> Case:
    """A bit is wrong in the last record; what lies before it is held."""
    case = _plain(root)
    core = case.core
    at = core.record(case.session_id, 3)
    case.held = [Position(case.session_id, 2, core.record(case.session_id, 2).hash)]
    path = log_of(core, case.session_id)
    data = bytearray(path.read_bytes())
    data[at.offset + 300] ^= 1
    path.write_bytes(data)
    return case


def _new(root: Path) -> Case:
    store(root)
    session_id = new_session_id()
    return Case(root, session_id, [start_drafts(session_id), [note("a")]])


def _parent(root: Path) -> Case:
    case, child = _plain(root), new_session_id()
    parent = case.held[0]
    return Case(root, child, [start_drafts(child, parent)], parent, held=case.held)


def _forked(root: Path) -> Case:
    case = _plain(root)
    return Case(root, fork(case.core, case.held[0]), held=case.held)


def _with_secrets(root: Path) -> Case:
    """What is erased stands in quarantine too: its append was torn, and tried again."""
    case = _plain(root)
    core, floor = case.core, case.held[0]
    long, short = [note("secret " * 2_000), note("b")], [note("secret")]
    core.append(case.session_id, long, expected=ANY, floor=floor)
    path = log_of(core, case.session_id)
    path.write_bytes(path.read_bytes()[:-40])
    for drafts in (long, short):
        case.core.append(case.session_id, drafts, expected=ANY, floor=floor)
    found = {record.digest: record for record in records(case.core, case.session_id)}
    case.secrets = [found[draft.digest] for draft in (long[0], short[0])]
    return case


def _transcript(root: Path) -> Case:
    return Case(root, _import(root, ASKED, ANSWERED), [])


def _append(case: Case) -> None:
    core = case.core
    for drafts in case.drafts:
        floor = case.held[0]
        case.told.add(core.append(case.session_id, drafts, expected=ANY, floor=floor))


def _create(case: Case) -> None:
    core = case.core
    start, first = case.drafts
    receipt = core.create(case.session_id, start, key=KEY)
    case.told.add(receipt)
    floor = receipt.position
    case.told.add(core.append(case.session_id, first, expected=ANY, floor=floor))


def _create_whole(case: Case) -> None:
    core = case.core
    try:
        birth = core.begin_whole(case.session_id)
    except AlreadyExists:  # By the one that died.
        return
    core.add_whole(birth, case.drafts)
    case.told.add(core.publish_whole(birth, KEY))
    birth.abort()


def _fork(case: Case) -> None:
    case.told.add(case.core.create(case.session_id, case.drafts[0], parent=case.parent))


def _delete(case: Case) -> None:
    case.core.delete(case.session_id)


def _repair(case: Case) -> None:
    case.core.repair(case.session_id)


def _erase(case: Case) -> None:
    targets = [Position(case.session_id, r.seq, r.hash) for r in case.secrets]
    case.told.add(case.core.erase(case.session_id, targets, reason="asked for"))


def _import_more(case: Case) -> None:
    _import(case.root, ASKED, ANSWERED, ASKED_AGAIN)


def _import(root: Path, *lines: dict) -> SessionId:
    root.mkdir(exist_ok=True, parents=True, mode=0o700)
    with blocking.open_store(root) as opened:
        return blocking.import_transcript(opened, parsed(root, *lines)).session_id


def _is_there(case: Case) -> str:
    """Each draft once, in order, and nothing left to do."""
    wanted = [draft.digest for drafts in case.drafts for draft in drafts]
    found = [r.digest for r in records(case.core, case.session_id) if r.digest in wanted]
    return "" if found == wanted else f"{len(found)} of {len(wanted)} drafts"


def _is_created(case: Case) -> str:
    return _is_there(case) or ("" if case.core.find(KEY) == case.session_id else "no key")


def _is_forked(case: Case) -> str:
    assert case.parent is not None
    children = case.core.children(case.parent.session_id)
    return _is_there(case) or ("" if children == [case.session_id] else f"children {children}")


def _is_gone(case: Case) -> str:
    left = [str(path) for path in case.root.rglob(f"*{case.session_id}*")]
    return f"left: {left}" if left else ""


def _is_repaired(case: Case) -> str:
    kinds = [record.kind for record in records(case.core, case.session_id)]
    kept = list((case.root / layout.QUARANTINE).iterdir())
    return "" if kinds.count("recovery") == len(kept) == 1 else f"{kinds}, kept {kept}"


def _is_erased(case: Case) -> str:
    needles = [needle for record in case.secrets for needle in (record.salt, record.body)]
    data = {path: path.read_bytes() for path in case.root.rglob("*") if path.is_file()}
    left = [str(path) for path in data if any(needle in data[path] for needle in needles)]
    return f"left in {left}" if left else ""


def _is_imported(case: Case) -> str:
    """What the transcript grew by, once."""
    found = [r.body for r in records(case.core, case.session_id)]
    asked = [body for body in found if body is not None and b"and now?" in body]
    return "" if len(asked) == 1 else f"asked {len(asked)} times"


@frozen
class Scene:
    """
    Attributes:
        make: Prepares a store.
        work: May die anywhere, and is done again.
        check: Says what is wrong when it was done; "" if nothing is.
    """

    make: Callable[[Path], Case]
    work: Callable[[Case], None]
    check: Callable[[Case], str] = _is_there


SCENES = {
    "append": Scene(_plain, _append),
    "append behind a torn tail": Scene(_with_tail(b'{"v":1,"seq":4,'), _append),
    "append behind a hole": Scene(_with_tail(bytes(5000)), _append),
    "append behind a missing line end": Scene(_without_end, _append),
    "create with a key": Scene(_new, _create, _is_created),
    "create whole": Scene(_new, _create_whole, _is_created),
    "fork": Scene(_parent, _fork, _is_forked),
    "delete": Scene(_forked, _delete, _is_gone),
    "repair": Scene(_damaged, _repair, _is_repaired),
    "erase": Scene(_with_secrets, _erase, _is_erased),
    "import": Scene(_transcript, _import_more, _is_imported),
}


def run(root: Path, name: str, *, step: int) -> tuple[dict[str, object], int]:
    """Die at every *step*-th call of a scene, do it again, and look at what is there."""
    scene, calls = SCENES[name], FILE_CALLS
    dry = scene.make(root / "dry")
    counts = traced(root, lambda: scene.work(dry), calls=calls).calls
    points = [(call, n) for call in sorted(counts) for n in range(1, counts[call] + 1)][::step]
    killed = acked = wrong = 0
    for call, number in points:
        case = scene.make(root / "case")
        ended = traced(
            root, partial(scene.work, case), f"{call}:signal=KILL:when={number}", calls=calls
        )
        killed += ended.was_killed
        acked += len(case.told)
        if said := _judge(scene, case):
            print(f"{name}, killed at {call} {number}: {said}")
            wrong += 1
        shutil.rmtree(case.root)
    counted = {"calls": counts.total(), "killed": killed, "acked": acked, "wrong": wrong}
    return counted, wrong + (killed == 0)


def _judge(scene: Scene, case: Case) -> str:
    """Return what is wrong behind a death: with what was told, with doing it again, with a log."""
    core, told = case.core, [*case.held, *case.told]
    if lost := [ack for ack in told if core.position(ack.session_id, ack.seq) != ack]:
        return f"lost {lost}"
    scene.work(case)
    if said := scene.check(case):
        return said
    if look_after(core, told, [info.session_id for info in core.list()]).wrong:
        return "a log does not hold"
    return "verify finds something" if not_intact(case.root) else ""


def subjects(root: Path, *, smoke: bool) -> Iterator[Subject]:
    def row(name: str) -> Row:
        subject = f"death in {name}"
        rows = (4, 74) if name == "erase" else (4,)
        try:
            counts, wrong = run(root / name, name, step=61 if smoke else 1)
        except Unavailable as why:
            return Row(subject, {}, 0, rows, str(why))
        return Row(subject, counts, wrong, rows)

    for name in SCENES:
        yield lambda name=name: row(name)
