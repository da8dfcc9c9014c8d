"""A disk that is watched, and fills up."""

import errno
import os

from session_store.stores.fs.files import OpenFile
from session_store.stores.memory import MemoryFiles


class Watched(MemoryFiles):
    """Notes what is done to files; *room* bytes fit in."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[str] = []
        self.read_bytes = 0
        self.room = 1 << 60

    def write(self, file: OpenFile, data: bytes) -> int:
        self.done.append("write")
        fits = min(self.room, len(data))
        self.room -= fits
        if fits == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(file, data[:fits])

    def sync_data(self, file: OpenFile) -> None:
        self.done.append("sync")

    def read(self, file: OpenFile, size: int, offset: int) -> bytes:
        data = super().read(file, size, offset)
        self.read_bytes += len(data)
        return data

    def filesystem(self) -> str:
        return "ext4"
