"""Logs that are made whole: invisible until then, and never in the place of another."""

from pathlib import Path

import pytest
from crash.processes import start as child_process
from crash.processes import together, wait
from fs_tools import born, kinds, log_of, note, records, start, store

from session_store.errors import AlreadyExists, Locked, NotFound
from session_store.ids import SessionId, new_session_id
from session_store.stores import ANY
from session_store.stores.fs import layout
from session_store.stores.fs.core import FsCore
from session_store.stores.fs.files import Files, OpenFile
from session_store.testing.faults import FaultyFiles


@pytest.fixture
def core(tmp_path: Path) -> FsCore:
    return store(tmp_path / "store")


def whole(core: FsCore, session_id: SessionId):
    birth = core.begin_whole(session_id)
    core.add_whole(birth, [start(session_id), [note(), note()]])
    return birth


def test_a_whole_birth_is_invisible_until_it_is_whole(core: FsCore) -> None:
    """Then it is there, durable, with its key; aborted or not, nothing else is left."""
    session_id, other = new_session_id(), new_session_id()
    birth = whole(core, session_id)
    with pytest.raises(NotFound):
        core.head(session_id)
    assert [] == list(core.list())
    receipt = core.publish_whole(birth, "k")
    birth.abort()
    assert (2, session_id) == (core.head(session_id).seq, core.find("k"))
    assert receipt.position == core.head(session_id)
    core.append(session_id, [note()], expected=ANY)
    whole(core, other).abort()
    assert [session_id] == [i.session_id for i in core.list()]
    assert [] == list(Path(core.files.root).rglob("*.tmp"))


def test_a_whole_birth_of_nothing_is_refused(core: FsCore) -> None:
    """A log begins with at least one append."""
    birth = core.begin_whole(new_session_id())
    with pytest.raises(ValueError, match="at least one"):
        core.publish_whole(birth, None)
    birth.abort()
    assert [] == list(core.list())


def test_a_whole_birth_does_not_replace_a_session(core: FsCore) -> None:
    """Born before it begins, or while it was being made."""
    session_id = born(core)
    with pytest.raises(AlreadyExists):
        core.begin_whole(session_id)
    late = new_session_id()
    birth = whole(core, late)
    with pytest.raises(Locked):
        store(Path(core.files.root)).begin_whole(late)
    core.create(late, start(late))
    with pytest.raises(AlreadyExists):
        core.publish_whole(birth, None)
    birth.abort()
    assert ["session_start"] == kinds(core, late)


def test_a_whole_birth_takes_over_what_was_never_born(core: FsCore) -> None:
    """What is there is kept in quarantine."""
    session_id = new_session_id()
    birth = whole(core, session_id)
    log_of(core, session_id).write_bytes(b'{"v":1,"torn')
    core.publish_whole(birth, None)
    assert 3 == len(records(core, session_id))
    kept = Path(core.files.name(layout.QUARANTINE)).iterdir()
    assert [b'{"v":1,"torn'] == [p.read_bytes() for p in kept]


class Vanishing(Files):
    """The file that is in the way of a link goes away by itself."""

    def link(self, path: str, to: str) -> None:
        try:
            super().link(path, to)
        except FileExistsError:
            Path(self.name(to)).unlink()
            raise


def test_an_unborn_file_that_vanishes_under_a_whole_birth(tmp_path: Path) -> None:
    """Somebody else took it away: the link is tried again."""
    core = FsCore(Vanishing(tmp_path))
    session_id = new_session_id()
    birth = whole(core, session_id)
    log_of(core, session_id).write_bytes(b"")
    core.publish_whole(birth, None)
    assert 3 == len(records(core, session_id))


def test_a_creator_whose_empty_file_was_taken_away_makes_another(tmp_path: Path) -> None:
    """A whole birth unlinks the empty file between its making and its lock."""

    class Taken(FaultyFiles):
        left = 2

        def try_lock(self, file: OpenFile) -> bool:
            taken = super().try_lock(file)
            if self.left and self._paths[file].endswith(".jsonl"):
                self.left -= 1
                Path(self.name(self._paths[file])).unlink()
            return taken

    files = Taken(tmp_path)
    files.left = 0
    core = FsCore(files)
    session_id = new_session_id()
    files.left = 2
    assert 0 == core.create(session_id, start(session_id)).seq
    assert 0 == core.head(session_id).seq


def test_creators_and_whole_births_of_one_id_end_with_one(core: FsCore) -> None:
    """Eight processes, half of each kind: one is born, whole."""
    session_id = new_session_id()
    with together(8) as begin:

        def work(number: int) -> None:
            begin()
            try:
                if number % 2:
                    core.create(session_id, [*start(session_id), note(number)])
                else:
                    birth = whole(core, session_id)
                    try:
                        core.publish_whole(birth, None)
                    finally:
                        birth.abort()
            except (AlreadyExists, Locked):
                pass

        pids = [child_process(lambda n=n: work(n)) for n in range(8)]
    assert [0] * 8 == wait(pids)
    assert len(records(core, session_id)) in {2, 3}
    assert [] == list(Path(core.files.root).rglob("*.tmp"))
