"""The grammar of a kind's name (docs/FORMAT.md §3)."""

import re

KIND = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
