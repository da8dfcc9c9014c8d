"""The log of an LLM agent's session: appended by a worker, restored, forked and verified by anyone."""

from typing import TYPE_CHECKING

from .lazy import lazy

if TYPE_CHECKING:
    from .chain import compute_hash
    from .checkpoint.audit import Sealed
    from .checkpoint.heads import HeadMemory
    from .checkpoint.inventory import Inventory, parse_inventory
    from .checkpoint.keys import SigningKey, VerifierKey
    from .checkpoint.note import Checkpoint, Note, parse_checkpoint, parse_note
    from .checkpoint.proof import (
        ConsistencyProof,
        InclusionProof,
        parse_consistency,
        parse_inclusion,
    )
    from .codec import typed
    from .entries import (
        AssistantItems,
        ConfigChanged,
        EntryHash,
        Extension,
        HashedEntry,
        HistoryContinued,
        HookInjectedItems,
        LabelsChanged,
        LlmUsage,
        LogEntry,
        Position,
        Receipt,
        Recovery,
        Redaction,
        RunCompleted,
        RunErrored,
        RunStarted,
        Seal,
        SessionOrigin,
        SessionStart,
        SessionStartState,
        ToolResults,
        TurnEnd,
        UnknownEntry,
        UsageRecord,
        UserInput,
    )
    from .errors import (
        AlreadyExists,
        ChainBroken,
        Closed,
        Corrupt,
        DurabilityLost,
        HasForks,
        HeadMismatch,
        InvalidId,
        InvalidInput,
        InvalidProof,
        LimitExceeded,
        Locked,
        MissingExtra,
        NotAnExtension,
        NotErasable,
        NotFound,
        SessionStoreError,
        StoreError,
        StoreFull,
        UnsafePath,
        Unsupported,
    )
    from .ids import SessionId, new_session_id, parse_session_id
    from .items import ItemClass
    from .redaction import CustomRule, Rules, custom_rule, default_rules, load_rules
    from .seeding import build_chain
    from .session.creating import (
        create_compacted_session,
        create_session,
        create_session_with_id,
        open_session,
    )
    from .session.erasing import Erasure, erase
    from .session.examining import examine
    from .session.family import (
        Family,
        ancestors,
        children,
        delete,
        descendants,
        origin,
        sessions,
        tree,
    )
    from .session.forking import flatten, fork, fork_at
    from .session.handle import Drafts, Session
    from .session.masking import Secret, find_secrets, mask_session
    from .session.points import Point, Turn, parse_point
    from .session.proving import prove, prove_consistency
    from .session.reports import Finding, Report
    from .session.restoring import read_entries, restore
    from .session.salvaging import salvage
    from .session.sealing import Sealer, seal
    from .session.stocktaking import sign_store
    from .session.verifying import Verifier, verify
    from .state import RestoredState, UsageTotals, collect_state
    from .stores import (
        ANY,
        FsStore,
        MemoryStore,
        Repair,
        SessionInfo,
        Store,
        open_store,
    )
    from .stores.fs.doctor import StoreFinding
    from .trace import TraceEntry, TraceReader, TraceWriter, replay_trace, trace_digest

__all__ = [
    "ANY",
    "AlreadyExists",
    "AssistantItems",
    "ChainBroken",
    "Checkpoint",
    "Closed",
    "ConfigChanged",
    "ConsistencyProof",
    "Corrupt",
    "CustomRule",
    "Drafts",
    "DurabilityLost",
    "EntryHash",
    "Erasure",
    "Extension",
    "Family",
    "Finding",
    "FsStore",
    "HasForks",
    "HashedEntry",
    "HeadMemory",
    "HeadMismatch",
    "HistoryContinued",
    "HookInjectedItems",
    "InclusionProof",
    "InvalidId",
    "InvalidInput",
    "InvalidProof",
    "Inventory",
    "ItemClass",
    "LabelsChanged",
    "LimitExceeded",
    "LlmUsage",
    "Locked",
    "LogEntry",
    "MemoryStore",
    "MissingExtra",
    "NotAnExtension",
    "NotErasable",
    "NotFound",
    "Note",
    "Point",
    "Position",
    "Receipt",
    "Recovery",
    "Redaction",
    "Repair",
    "Report",
    "RestoredState",
    "Rules",
    "RunCompleted",
    "RunErrored",
    "RunStarted",
    "Seal",
    "Sealed",
    "Sealer",
    "Secret",
    "Session",
    "SessionId",
    "SessionInfo",
    "SessionOrigin",
    "SessionStart",
    "SessionStartState",
    "SessionStoreError",
    "SigningKey",
    "Store",
    "StoreError",
    "StoreFinding",
    "StoreFull",
    "ToolResults",
    "TraceEntry",
    "TraceReader",
    "TraceWriter",
    "Turn",
    "TurnEnd",
    "UnknownEntry",
    "UnsafePath",
    "Unsupported",
    "UsageRecord",
    "UsageTotals",
    "UserInput",
    "Verifier",
    "VerifierKey",
    "ancestors",
    "build_chain",
    "children",
    "collect_state",
    "compute_hash",
    "create_compacted_session",
    "create_session",
    "create_session_with_id",
    "custom_rule",
    "default_rules",
    "delete",
    "descendants",
    "erase",
    "examine",
    "find_secrets",
    "flatten",
    "fork",
    "fork_at",
    "load_rules",
    "mask_session",
    "new_session_id",
    "open_session",
    "open_store",
    "origin",
    "parse_checkpoint",
    "parse_consistency",
    "parse_inclusion",
    "parse_inventory",
    "parse_note",
    "parse_point",
    "parse_session_id",
    "prove",
    "prove_consistency",
    "read_entries",
    "replay_trace",
    "restore",
    "salvage",
    "seal",
    "sessions",
    "sign_store",
    "trace_digest",
    "tree",
    "typed",
    "verify",
]

_NAMES = {
    "chain": "compute_hash",
    "checkpoint.audit": "Sealed",
    "checkpoint.heads": "HeadMemory",
    "checkpoint.inventory": "Inventory parse_inventory",
    "checkpoint.keys": "SigningKey VerifierKey",
    "checkpoint.note": "Checkpoint Note parse_checkpoint parse_note",
    "checkpoint.proof": "ConsistencyProof InclusionProof parse_consistency parse_inclusion",
    "codec": "typed",
    "entries": (
        "AssistantItems ConfigChanged EntryHash Extension HashedEntry HistoryContinued "
        "HookInjectedItems LabelsChanged LlmUsage LogEntry Position Receipt Recovery "
        "Redaction RunCompleted RunErrored RunStarted Seal SessionOrigin SessionStart "
        "SessionStartState ToolResults TurnEnd UnknownEntry UsageRecord UserInput"
    ),
    "errors": (
        "AlreadyExists ChainBroken Closed Corrupt DurabilityLost HasForks HeadMismatch "
        "InvalidId InvalidInput InvalidProof LimitExceeded Locked MissingExtra NotAnExtension "
        "NotErasable NotFound SessionStoreError StoreError StoreFull UnsafePath Unsupported"
    ),
    "ids": "SessionId new_session_id parse_session_id",
    "items": "ItemClass",
    "redaction": "CustomRule Rules custom_rule default_rules load_rules",
    "seeding": "build_chain",
    "session.creating": (
        "create_compacted_session create_session create_session_with_id open_session"
    ),
    "session.erasing": "Erasure erase",
    "session.examining": "examine",
    "session.family": "Family ancestors children delete descendants origin sessions tree",
    "session.forking": "flatten fork fork_at",
    "session.handle": "Drafts Session",
    "session.masking": "Secret find_secrets mask_session",
    "session.points": "Point Turn parse_point",
    "session.reports": "Finding Report",
    "session.restoring": "read_entries restore",
    "session.proving": "prove prove_consistency",
    "session.sealing": "Sealer seal",
    "session.stocktaking": "sign_store",
    "session.salvaging": "salvage",
    "session.verifying": "Verifier verify",
    "state": "RestoredState UsageTotals collect_state",
    "stores": "ANY FsStore MemoryStore Repair SessionInfo Store open_store",
    "stores.fs.doctor": "StoreFinding",
    "trace": "TraceEntry TraceReader TraceWriter replay_trace trace_digest",
}

__getattr__, __dir__ = lazy(__name__, _NAMES)
