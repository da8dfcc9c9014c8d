"""How the library and the stand-alone verifier judge the same files, in one form."""

import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import orjson

import session_store as ss
from session_store.stores.fs import layout

DOCS = Path(__file__).parent.parent / "docs"
VECTORS = Path(__file__).parent / "vectors"

Verdict = dict[str, Any]


def load_verify_log() -> ModuleType:
    """Return docs/verify_log.py as a module."""
    spec = importlib.util.spec_from_file_location("verify_log", DOCS / "verify_log.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["verify_log"] = module
    spec.loader.exec_module(module)
    return module


verify_log = load_verify_log()


def verdict(status: str, records: int, head: str | None, findings: list[Any]) -> Verdict:
    """Return what both say of one log; findings in one order."""
    found = [{n: getattr(f, n) for n in ("what", "line", "offset", "seq")} for f in findings]
    found.sort(key=lambda f: (f["seq"], f["what"], f["offset"]))
    return {"status": status, "records": records, "head": head, "findings": found}


UNSUPPORTED = verdict("unsupported", 0, None, [])
"""The library raises, and tells nothing else."""


def standalone(
    path: Path, *, allow_masked: bool = False, parse: bool = False
) -> tuple[Verdict, int]:
    """Return the stand-alone verifier's verdict, and its exit code."""
    report = verify_log.Verifier(None, verify_log.Rules(allow_masked, parse)).verify(str(path))
    log = report.log
    found = verdict(
        report.status, log.records if log else 0, log.head if log else None, report.findings
    )
    return found, report.exit_code


async def library(
    store: ss.Store, session_id: ss.SessionId, *, allow_masked: bool = False, parse: bool = False
) -> tuple[Verdict, int]:
    """Return the library's verdict, and the exit code it means."""
    try:
        report = await ss.verify(store, session_id, allow_masked=allow_masked, parse=parse)
    except ss.Unsupported:
        return UNSUPPORTED, 3
    kinds = {finding.what for finding in report.findings}
    broken = (kind for kind in ("corrupt", "parent-missing", "unborn") if kind in kinds)
    status = "intact" if report.level else next(broken)
    head = None if report.head is None else report.head.hash.hex()
    return verdict(status, report.records, head, list(report.findings)), int(bool(report.problems))


def place(root: Path, logs: Mapping[str, bytes]) -> None:
    """Put *logs* where a store at *root* keeps them."""
    for file, data in logs.items():
        path = root / layout.log_path(ss.parse_session_id(file.removesuffix(".jsonl")))
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_bytes(data)
        path.chmod(0o600)


def make_masked(root: Path) -> None:
    """Make the store at *root* a masked replica."""
    path = root / layout.STORE
    path.write_bytes(orjson.dumps(orjson.loads(path.read_bytes()) | {"masked": "rules-1"}))
