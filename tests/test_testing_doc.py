"""docs/TESTING.md: its blocks are one program, and it runs."""

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "TESTING.md"


def test_the_blocks_run_in_order(tmp_path: Path) -> None:
    """The disk is full once; every cut is survived; the simulation finds nothing."""
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(blocks)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    full, cuts = done.stdout.splitlines()
    assert "nothing was written" in full
    assert int(cuts.split()[0]) > 20
