"""
Real file systems for one test: a small tmpfs, ext4 or XFS on a loop device, and power cuts.

What is mounted is unmounted whatever happens, and goes with its loop device.
"""

import ctypes
import fcntl
import gc
import logging
import os
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Literal

import pytest
from attrs import frozen

NOBODY = 65534
WAIT_S = 60.0

WITH_LOG, WITHOUT_LOG = 1, 2
"""What a power cut leaves of the journal: all there is (lengths without bytes), or what was synced."""

_SHUTDOWN = 0x8004587D  # FS_IOC_SHUTDOWN; ext4 and XFS
_NEW_MOUNTS = 0x20000  # CLONE_NEWNS
_PUNCH_HOLE, _KEEP_SIZE = 2, 1
_LIBC = ctypes.CDLL(None, use_errno=True)

Kind = Literal["ext4", "xfs"]
_MAKE = {
    "ext4": ["mkfs.ext4", "-q", "-F", "-b", "4096", "-E", "nodiscard", "-J", "size=4"],
    "xfs": ["mkfs.xfs", "-q", "-f"],
}
SMALLEST_MIB = {"ext4": 64, "xfs": 320}


class Unavailable(Exception):
    """Why this machine cannot do it."""


@contextmanager
def if_available() -> Iterator[None]:
    """Skip the test, saying why, if what it needs is not to be had here."""
    try:
        yield
    except Unavailable as why:
        pytest.skip(str(why))


def _needs_linux() -> None:
    if sys.platform != "linux":
        raise Unavailable("only Linux has these calls")


def needs_root() -> None:
    _needs_linux()
    if os.geteuid() != 0:
        raise Unavailable("only root may mount, and act as another user")


def give_away(path: Path) -> None:
    """Let *path* belong to NOBODY. Raises Unavailable."""
    needs_root()
    try:
        os.chown(path, NOBODY, NOBODY)
    except OSError as error:
        raise Unavailable(f"this root is no other user: {error.strerror}") from error


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _try(*command: str) -> str:
    """Run what a machine may not be able to do."""
    if shutil.which(command[0]) is None:
        raise Unavailable(f"there is no {command[0]} here")
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        why = done.stderr.strip().partition("\n")[0].rpartition(": ")[2]
        raise Unavailable(f"{' '.join(command[:3])} …: {why}")
    return done.stdout.strip()


@cache
def _mount_for_ourselves() -> None:
    """Let this process and its children mount unseen: even SIGKILL leaves nothing mounted behind."""
    needs_root()
    if _LIBC.unshare(_NEW_MOUNTS):
        raise Unavailable(f"no mounts of our own: {os.strerror(ctypes.get_errno())}")
    _try("mount", "--make-rprivate", "/")


@contextmanager
def _mounted(*command: str) -> Iterator[Path]:
    """Mount at a directory of our own, for a while."""
    _mount_for_ourselves()
    where = Path(tempfile.mkdtemp(prefix="session-store-mount-"))
    # Whoever keeps a log record may keep an exception, with it frames, and their open files.
    before = logging.root.manager.disable
    logging.disable()
    try:
        _try("mount", *command, str(where))
        try:
            yield where
        finally:
            _run("umount", "--lazy", str(where))
    finally:
        logging.disable(before)
        where.rmdir()


def _unmount(where: Path) -> None:
    """Unmount what nobody uses any more; what is let go of is closed first."""
    deadline = time.monotonic() + WAIT_S
    while subprocess.run(["umount", str(where)], check=False, capture_output=True).returncode:
        if time.monotonic() >= deadline:
            raise AssertionError(f"somebody still uses {where}")
        gc.collect()
        time.sleep(0.01)


@contextmanager
def tmpfs(size: str) -> Iterator[Path]:
    """Mount an empty tmpfs that holds *size* bytes ("256k"). Raises Unavailable."""
    with _mounted("-t", "tmpfs", "-o", f"size={size},mode=755", "tmpfs") as where:
        yield where


def resize(where: Path, size: str) -> None:
    """Give a tmpfs another size; less than it holds is refused."""
    _run("mount", "-o", f"remount,size={size}", str(where))


@frozen
class Disk:
    """
    A file system of our own, mounted.

    Attributes:
        image: The file that plays the device.
        path: Where it is mounted.
    """

    kind: Kind
    image: Path
    path: Path

    def remount(self, options: str) -> None:
        _run("mount", "-o", f"remount,{options}", str(self.path))

    def fail(self) -> None:
        """Let the file system find an error of its own."""
        device = Path(_run("findmnt", "--noheadings", "--output", "SOURCE", str(self.path))).name
        Path(f"/sys/fs/ext4/{device}/trigger_fs_error").write_text("test")

    def cut_power(self, flag: int) -> None:
        """Let nothing reach the device any more; *flag* is WITH_LOG or WITHOUT_LOG."""
        fd = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, _SHUTDOWN, struct.pack("I", flag))
        finally:
            os.close(fd)

    def reboot(self) -> None:
        """Mount again what the device holds; whoever had files here must be gone."""
        _unmount(self.path)
        _run("mount", "-t", self.kind, "-o", "loop", str(self.image), str(self.path))


@contextmanager
def loop_disk(kind: Kind, *, mib: int | None = None, inside: Path | None = None) -> Iterator[Disk]:
    """
    Make and mount a file system on a loop device. Raises Unavailable.

    Args:
        inside: The directory for its image, which takes only the room that is used.
    """
    with tempfile.TemporaryDirectory(dir=inside) as beside:
        image = Path(beside) / "image"
        image.touch()
        os.truncate(image, (mib or SMALLEST_MIB[kind]) * 1024 * 1024)
        _try(*_MAKE[kind], str(image))
        # The device goes with its mount.
        with _mounted("-t", kind, "-o", "loop", str(image)) as where:
            yield Disk(kind, image, where)


@contextmanager
def loop_ext4(*, mib: int | None = None, inside: Path | None = None) -> Iterator[Disk]:
    """The same for ext4."""
    with loop_disk("ext4", mib=mib, inside=inside) as disk:
        yield disk


def punch_hole(path: Path, offset: int, size: int) -> None:
    """Take the bytes away from under a file, as a lost block does: they read as NUL."""
    _needs_linux()
    fd = os.open(path, os.O_RDWR)
    try:
        where, length = ctypes.c_longlong(offset), ctypes.c_longlong(size)
        if _LIBC.fallocate(fd, _PUNCH_HOLE | _KEEP_SIZE, where, length):
            code = ctypes.get_errno()
            raise Unavailable(f"no holes in files of this file system: {os.strerror(code)}")
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def limited(what: int, soft: int) -> Iterator[None]:
    """Lower one of this process's limits for a while."""
    before = resource.getrlimit(what)
    resource.setrlimit(what, (soft, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(what, before)
