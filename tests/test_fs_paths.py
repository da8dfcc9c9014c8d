"""What a store may be: our own regular files, in our own directories, with no way around."""

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from fs_tools import born, fork, log_of, note, records, start, store, tree

from session_store.errors import InvalidId, NotFound, UnsafePath, Unsupported
from session_store.ids import new_session_id
from session_store.stores import ANY, open_store
from session_store.stores.fs import layout
from session_store.stores.fs.core import FsCore
from session_store.stores.fs.files import Files, FileStat
from session_store.stores.memory import MemoryFiles

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")


def _away(path: Path) -> Path:
    """Move the file at *path* aside; return where it is."""
    aside = path.parents[4] / "aside.jsonl"
    path.rename(aside)
    return aside


def _link(path: Path) -> None:
    path.symlink_to(_away(path))


def _dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to("/nowhere/at/all")


def _hard_link(path: Path) -> None:
    os.link(path, path.parents[4] / "second")


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _linked_hour(path: Path) -> None:
    aside = path.parents[4] / "hour"
    path.parent.rename(aside)
    path.parent.symlink_to(aside)


def _linked_day(path: Path) -> None:
    aside = path.parents[4] / "day"
    path.parents[1].rename(aside)
    path.parents[1].symlink_to(aside)


def _file_for_hour(path: Path) -> None:
    path.unlink()
    path.parent.rmdir()
    path.parent.write_bytes(b"")


def _device(path: Path) -> None:
    path.unlink()
    os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 3))


def _of_another_user(path: Path) -> None:
    os.chown(path, 12345, -1)


UNSAFE = {
    "a link": _link,
    "a link to nothing": _dangling,
    "a hard link": _hard_link,
    "a pipe": _fifo,
    "a directory": _directory,
    "behind a linked hour": _linked_hour,
    "behind a linked day": _linked_day,
    "behind a file": _file_for_hour,
}
IF_ROOT = {"a device": _device, "another user's": _of_another_user}


def refuses(core: FsCore, session_id: str) -> None:
    with pytest.raises(UnsafePath):
        core.head(session_id)
    with pytest.raises(UnsafePath):
        core.append(session_id, [note()], expected=ANY)
    with pytest.raises(UnsafePath):
        core.create(session_id, start(session_id))
    with pytest.raises(UnsafePath):
        list(core.read(session_id))
    with pytest.raises(UnsafePath):
        core.delete(session_id)


@pytest.mark.parametrize("change", UNSAFE.values(), ids=UNSAFE)
def test_a_log_that_is_no_plain_file_of_ours_is_refused(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    """By readers and writers; nothing outside the store changes; the others go on."""
    core = store(tmp_path / "root" / "store")
    session_id = born(core)
    change(log_of(core, session_id))
    before = tree(tmp_path)
    core = store(tmp_path / "root" / "store")
    refuses(core, session_id)
    assert before == tree(tmp_path)


@ROOT_ONLY
@pytest.mark.parametrize("change", IF_ROOT.values(), ids=IF_ROOT)
def test_devices_and_files_of_others_are_refused(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    """The same, where it takes root to make them."""
    core = store(tmp_path / "root" / "store")
    session_id = born(core)
    change(log_of(core, session_id))
    refuses(store(tmp_path / "root" / "store"), session_id)


def test_listing_goes_on_past_what_is_unsafe_or_of_another_version(tmp_path: Path) -> None:
    """One bad file does not hide the rest."""
    core = store(tmp_path / "root" / "store")
    good, linked, foreign = born(core), born(core), born(core)
    _hard_link(log_of(core, linked))
    log_of(core, foreign).write_bytes(b'{"v":9,"what":"ever"}\n')
    (tmp_path / "root/store/sessions/README").write_text("a file where days are")
    with pytest.raises(Unsupported):
        core.head(foreign)
    assert [foreign, linked, good] == [i.session_id for i in core.list()]


@pytest.mark.parametrize("where", ["sessions", "pending", "quarantine", "forks", "keys"])
def test_nothing_is_made_behind_a_linked_directory(tmp_path: Path, where: str) -> None:
    """A link in the place of one of the store's own directories leads nowhere."""
    core = store(tmp_path / "store")
    parent = born(core, key="k:1")
    log = log_of(core, parent)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    directory = tmp_path / "store" / where
    if directory.exists():
        directory.rename(tmp_path / "moved")
        log = Path(str(log).replace(str(directory), str(tmp_path / "moved")))
    directory.symlink_to(elsewhere)
    log.write_bytes(log.read_bytes() + b"torn")
    for call in (
        lambda: core.append(parent, [note()], expected=ANY),
        lambda: fork(core, core.head(parent)),
        lambda: born(core, key="k:2"),
    ):
        with suppress(UnsafePath):
            call()
    assert {} == tree(elsewhere)
    assert [] == list(elsewhere.iterdir())


class Racing(Files):
    """Swaps the directory of a log for a link between any two looks at it."""

    def stat(self, path: str) -> FileStat | None:
        found = super().stat(path)
        if path.endswith(".jsonl") and path.startswith("sessions"):
            self.swap(Path(self.name(path)).parent)
        return found

    def swap(self, hour: Path) -> None:
        outside = Path(self.root).parent / "outside"
        if not hour.is_symlink():
            hour.rename(hour.with_name("kept"))
            hour.symlink_to(outside)


def test_a_directory_swapped_for_a_link_in_the_middle_leads_nowhere(tmp_path: Path) -> None:
    """Each call walks down from the root by itself."""
    plain = store(tmp_path / "store")
    session_id = born(plain)
    (tmp_path / "outside").mkdir()
    core = FsCore(Racing(tmp_path / "store"))
    for _ in range(3):
        with pytest.raises((UnsafePath, NotFound)):
            core.append(session_id, [note()], expected=ANY)
    with pytest.raises(UnsafePath):
        core.create(session_id, start(session_id))
    assert {} == tree(tmp_path / "outside")


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
@pytest.mark.parametrize("shared_group", [False, True])
def test_modes_do_not_depend_on_the_umask(tmp_path: Path, umask: int, shared_group: bool) -> None:
    """0600 and 0700, or 0660 and 2770 for a group."""
    old = os.umask(umask)
    try:
        files = Files(tmp_path / "store", shared_group=shared_group)
        core = FsCore(files, shared_group=shared_group)
        session_id = born(core, 1, key="k:1")
        fork(core, core.head(session_id))
        core.append_trace(session_id, b"{}\n")
        log = log_of(core, session_id)
        log.write_bytes(log.read_bytes() + b"torn")
        core.append(session_id, [note()], expected=ANY)
    finally:
        os.umask(old)
    found = [p.stat().st_mode for p in (tmp_path / "store").rglob("*")]
    assert {0o660 if shared_group else 0o600} == {m & 0o7777 for m in found if stat.S_ISREG(m)}
    directories = {m & 0o7777 for m in found if stat.S_ISDIR(m)}
    assert {0o2770 if shared_group else 0o700} == directories


def test_a_store_that_others_can_enter_is_tightened(tmp_path: Path) -> None:
    """Its root loses the rights of group and others, with shared_group those of others."""
    root = tmp_path / "store"
    store(root).close()
    root.chmod(0o777)
    store(root)
    assert 0o700 == root.stat().st_mode & 0o777
    root.chmod(0o777)
    FsCore(Files(root, shared_group=True), shared_group=True)
    assert 0o770 == root.stat().st_mode & 0o777


def test_a_store_made_for_a_group_stays_one(tmp_path: Path) -> None:
    """Whoever opens it later, the flag given or not, takes nothing from the group."""
    root = tmp_path / "store"
    FsCore(Files(root, shared_group=True), shared_group=True).close()
    again = store(root)
    log = log_of(again, born(again))
    assert 0o2770 == root.stat().st_mode & 0o7777
    assert 0o660 == log.stat().st_mode & 0o7777


@ROOT_ONLY
def test_a_store_of_another_user_is_refused(tmp_path: Path) -> None:
    """Also for root, who could read it."""
    root = tmp_path / "store"
    store(root).close()
    os.chown(root, 12345, -1)
    with pytest.raises(UnsafePath, match="belongs to user 12345"):
        store(root)


async def test_a_file_where_the_store_should_be(tmp_path: Path) -> None:
    """Typed, whether it is the root or above it."""
    (tmp_path / "file").write_text("x")
    for where in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UnsafePath):
            await open_store(where)
    with pytest.raises(NotFound):
        await open_store(tmp_path / "nothing", create=False)


@pytest.mark.parametrize(
    "text",
    [
        *("", "x", "../../etc/passwd", "a\0b", "0190D5F0-0000-7000-8000-000000000000"),
        *("{0190d5f0-0000-7000-8000-000000000000}", "0190d5f0-0000-7000-8000-000000000000\n"),
        *("0190d5f0-0000-4000-8000-000000000000", "0190d5f0-0000-7000-c000-000000000000"),
    ],
)
def test_what_is_no_id_never_becomes_a_path(tmp_path: Path, text: str) -> None:
    """Canonical lower-case UUIDv7 text, or InvalidId before any file is looked at."""
    core = store(tmp_path)
    for call in (core.head, core.open, core.delete, core.repair, core.flush, core.children):
        with pytest.raises(InvalidId):
            call(text)
    for call in (
        lambda: core.create(text, [note()]),
        lambda: core.append(text, [note()], expected=ANY),
        lambda: core.append_lines(text, b"x"),
        lambda: list(core.read(text)),
        lambda: core.append_trace(text, b"{}\n"),
        lambda: core.begin_whole(text),
    ):
        with pytest.raises(InvalidId):
            call()


class On(Files):
    """On a file system of any type."""

    kind = ""

    def filesystem(self) -> str:
        return self.kind


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "ceph"])
def test_a_network_file_system_must_be_asked_for(tmp_path: Path, kind: str) -> None:
    """Refused, and with network_fs=True a store like any other."""
    files = On(tmp_path / "store")
    files.kind = kind
    with pytest.raises(UnsafePath, match="network"):
        FsCore(files)
    core = FsCore(files, network_fs=True)
    assert "disk" == core.append(born(core), [note()], expected=ANY).level


@pytest.mark.parametrize("kind", ["tmpfs", "ramfs"])
def test_receipts_on_a_volatile_file_system_say_os(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever was asked, from every call that gives one; said once in the log."""
    files = On(tmp_path / "store")
    files.kind = kind
    core = FsCore(files)
    session_id = new_session_id()
    receipts = [
        core.create(session_id, start(session_id)),
        core.append(session_id, [note()], expected=ANY, durability="disk"),
        core.flush(session_id),
    ]
    birth = core.begin_whole(new_session_id())
    core.add_whole(birth, [start(birth.target.session_id)])
    receipts.append(core.publish_whole(birth, None))
    assert {"os"} == {r.level for r in receipts}
    assert 1 == len([r for r in caplog.records if "power loss" in r.message])


def test_the_type_of_this_file_system_is_known(tmp_path: Path) -> None:
    """On Linux, from mountinfo; the memory store says memory."""
    found = Files(tmp_path).filesystem()
    assert found
    assert "tmpfs" == Files(Path("/dev/shm")).filesystem()
    assert "memory" == MemoryFiles().filesystem()


def test_a_log_that_went_away_is_not_made_anew(tmp_path: Path) -> None:
    """File or directory deleted under a writer: NotFound, and nothing appears."""
    import shutil

    core = store(tmp_path / "store")
    for remove in (os.unlink, lambda path: shutil.rmtree(Path(path).parents[1])):
        cursor = core.open(born(core))
        session_id = cursor.head.session_id
        path = log_of(core, session_id)
        remove(path)
        with pytest.raises(NotFound):
            core.append(session_id, [note()], cursor=cursor)
        assert not path.exists()


def test_a_log_that_another_program_replaced_is_followed(tmp_path: Path) -> None:
    """Renamed over, as a backup tool does: the writer goes on in the file that is there."""
    core = store(tmp_path / "store")
    cursor = core.open(born(core, 2))
    session_id = cursor.head.session_id
    path = log_of(core, session_id)
    core.append(session_id, [note()], cursor=cursor)
    copy = tmp_path / "copy"
    copy.write_bytes(path.read_bytes())
    copy.rename(path)
    assert 4 == core.append(session_id, [note()], cursor=cursor).seq
    assert 5 == len(records(core, session_id))
    assert layout.log_path(session_id) in path.as_posix()
