"""The package's names: all there, imported when they are first asked for."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import session_store as ss

TREE = ast.parse(Path(ss.__file__).read_text())


def test_every_name_is_what_its_module_calls_so() -> None:
    """Type checkers and programs see the same names, from the same homes."""
    imports = [node for node in ast.walk(TREE) if isinstance(node, ast.ImportFrom) and node.level]
    homes = {a.name: node.module for node in imports for a in node.names if node.module != "lazy"}
    assert sorted(ss.__all__) == sorted(homes)
    for name, home in homes.items():
        assert getattr(ss, name) is getattr(import_module(f"session_store.{home}"), name)


def test_a_name_that_is_none_is_an_error_like_any_other() -> None:
    with pytest.raises(AttributeError, match="no attribute 'resotre'"):
        _ = ss.resotre


def test_names_can_be_listed_before_they_are_used() -> None:
    assert set(ss.__all__) <= set(dir(ss))


def test_importing_the_package_imports_no_more_than_is_asked_for() -> None:
    """Neither the converter nor what verifies, for a worker that appends."""
    program = (
        "import session_store as ss, sys; ss.open_store; ss.create_session; print(*sys.modules)"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded = set(found.stdout.split())
    assert "session_store.session.creating" in loaded
    assert not loaded & {"cattrs", "click", "session_store.session.verifying"}
