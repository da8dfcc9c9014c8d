"""What the full form found, kept in results.json: one object for each subject."""

import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from attrs import asdict

from .subject import Row

FILE = Path(__file__).with_name("results.json")


def keep(module: str, row: Row, seconds: float) -> None:
    """Put *row* in the place of what was found before about its subject."""
    found = {each["subject"]: each for each in load()}
    found[row.subject] = {
        "module": module,
        **asdict(row),
        "seconds": round(seconds, 1),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "commit": _commit(),
        "machine": f"{os.cpu_count()} cores, Linux {platform.release().partition('-')[0]}, "
        f"Python {platform.python_version()}",
    }
    ordered = sorted(found.values(), key=lambda each: (each["module"], each["subject"]))
    FILE.write_text(json.dumps(ordered, indent=1) + "\n")


def load() -> list[dict[str, object]]:
    return json.loads(FILE.read_text()) if FILE.exists() else []


def _commit() -> str:
    git = ["git", "-C", str(FILE.parent), "rev-parse", "--short=10", "HEAD"]
    return subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
