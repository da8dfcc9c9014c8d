"""
File systems that fail, to try a store on: at the nth call, for good, by dying, or by losing power.

    files = FaultyMemory()                       # says that it is a disk
    store = FsStore(FsCore(files))
    files.plan = failing("write", ENOSPC)        # the next write, or nth=, for_good=True
    files.plan = at(7, Short(100))               # call 7 is a write that stops after 100 bytes
    files.plan = at(7, Crash())                  # the process dies there
    for call, files in deaths(make, work): …     # in its first call, in its second, …
    for after in files.power_losses(): …         # everything that may be found then

`FaultyFiles` does the same on a real directory, but for the loss of power.
"""

from .calls import (
    CHANGES,
    LOOKS,
    NO_ROOM,
    SYNCS,
    Call,
    Crash,
    Fault,
    Lost,
    Plan,
    Short,
    at,
    error,
    failing,
    no_fault,
)
from .disk import MemoryDisk
from .faulty import Faults, FaultyFiles, FaultyMemory, deaths
from .power import PAGE

__all__ = [
    "CHANGES",
    "LOOKS",
    "NO_ROOM",
    "PAGE",
    "SYNCS",
    "Call",
    "Crash",
    "Fault",
    "Faults",
    "FaultyFiles",
    "FaultyMemory",
    "Lost",
    "MemoryDisk",
    "Plan",
    "Short",
    "at",
    "deaths",
    "error",
    "failing",
    "no_fault",
]
