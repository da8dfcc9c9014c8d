"""Stores: the protocol, and the ones that need no extra."""

from .opening import FsStore, MemoryStore, open_core, open_store
from .protocol import ANY, Cursor, Expected, Repair, SessionInfo, Store

__all__ = [
    "ANY",
    "Cursor",
    "Expected",
    "FsStore",
    "MemoryStore",
    "Repair",
    "SessionInfo",
    "Store",
    "open_core",
    "open_store",
]
