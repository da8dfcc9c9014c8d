"""Holding a parent while its fork is born: nothing may refer to what is less durable than itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ...chain import Head
from ...entries import Position
from ...errors import Corrupt, NotFound
from ...ids import SessionId
from . import forks
from .log import Log
from .pending import load
from .recovery import settle
from .tip import find_seq, read_tip

if TYPE_CHECKING:
    from .core import FsCore


@contextmanager
def prepared_parent(core: "FsCore", parent: Position, child: SessionId) -> Iterator[None]:
    """
    Hold the parent's lock, its prefix and the marker on disk, while the child is born.

    Raises:
        NotFound: The parent has no such record in a whole append.
        Corrupt: It is damaged at or before that record.
    """
    core.check_id(parent.session_id)
    target = core.log(parent.session_id)
    with core.locked(target):
        damage = _settle(target)
        if damage is not None and (damage.seq <= parent.seq or _is_unhealed(target)):
            raise damage
        if damage is not None or not _is_last(target, parent):
            _check(target, parent)
        _sync(core, target)
        forks.mark_fork(target.files, parent.session_id, child)
        yield


@contextmanager
def born_fork(core: "FsCore", parent: Position | None, child: SessionId) -> Iterator[None]:
    """
    Hold the parent of a fork whose lines come from another store, marked; None is no fork.

    The parent may be here, damaged, shorter than the fork needs, or arrive later: `verify` tells.
    """
    if parent is None:
        yield
        return
    try:
        core.check_id(parent.session_id)
        target = core.log(parent.session_id)
        target.lock(core.lock_timeout_s)
    except NotFound:
        forks.mark_fork(core.files, parent.session_id, child)
        yield
        return
    try:
        with core.judged(target):
            _settle(target)
            if not _is_unhealed(target):
                _sync(core, target)
            forks.mark_fork(core.files, parent.session_id, child)
        yield
    finally:
        target.unlock()


def _settle(target: Log) -> Corrupt | None:
    """What lies before the damage can still be forked."""
    try:
        settle(target)
    except Corrupt as damage:
        return damage
    return None


def _is_unhealed(target: Log) -> bool:
    jobs = load(target.files, target.session_id)
    return target.heal_due or any(job["job"] == "reopen" for job in jobs)


def _sync(core: "FsCore", target: Log) -> None:
    assert target.file is not None
    end = target.files.size(target.file)
    head = Head(target.session_id, -1, 0, b"")
    if not core.sync(target, target.written(head, end)):
        raise NotFound(f"{target.name}: another program replaced the file")


def _is_last(target: Log, parent: Position) -> bool:
    """Return whether the log ends with *parent*, as it stands there: what is remembered proves nothing."""
    assert target.file is not None
    size = target.files.size(target.file)
    try:
        tip = read_tip(
            target.read, size, target.session_id, target.name, allow_masked=target.allow_masked
        )
    except Corrupt as damage:
        if damage.seq <= parent.seq:
            raise
        return False
    return tip.head.position == parent


def _check(target: Log, parent: Position) -> None:
    assert target.file is not None
    end = target.files.size(target.file)
    record = find_seq(target.read, end, target.session_id, parent.seq, target.name)
    if record.batch:
        # The append of the record must be whole: its last line is there, and ends it.
        find_seq(target.read, end, target.session_id, parent.seq + record.batch, target.name)
    if record.hash != parent.hash:
        raise NotFound(f"{target.name}: seq {parent.seq} is another record than {parent}")
