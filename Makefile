# From a fresh clone, with Python >= 3.11 and make: `make demo`, `make test`, `make check`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST ?= pytest -n auto --maxprocesses 4 --dist worksteal
# The pure modules, append and recovery.
PURE := chain closing codec entries errors ids items kinds limits positions redacted runs scan search state values
APPEND := birth blanking erasing finding log pending quarantine recovery requests tip
SIGNED := audit inventory merkle note proof
comma := ,
space := $(subst ,, )
GATED := $(subst $(space),$(comma),$(PURE:%=session_store/%.py) $(SIGNED:%=session_store/checkpoint/%.py) $(APPEND:%=session_store/stores/fs/%.py))
.DEFAULT_GOAL := help
.PHONY: help demo test check gate lint types contracts fmt crash crash-smoke soak mutation bench bench-smoke vectors cover

help:  ## Show what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "session-store needs Python 3.11 or later; this is " + sys.version.split()[0] + ": make PYTHON=/path/to/python3.11 …")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.cli: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[cli]'
	@touch $@

$(VENV)/.test: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

$(VENV)/.bench: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[bench]'
	@touch $@

demo: $(VENV)/.cli  ## Record, kill, restore, fork, verify: what this is for
	$(BIN)/session-store demo

test: $(VENV)/.test  ## Run the whole test suite
	$(BIN)/python -m $(PYTEST)

check: $(VENV)/.dev  ## Everything a change must pass
	$(MAKE) lint types contracts
	$(MAKE) test PYTEST="$(PYTEST) --cov --cov-report="
	$(MAKE) gate crash-smoke bench-smoke

gate:  # What the tests of `make check` must have covered: every branch.
	$(BIN)/coverage report --fail-under=100 --include="$(GATED)"

cover: $(VENV)/.test  ## Coverage as a table
	$(BIN)/python -m $(PYTEST) --cov

lint: $(VENV)/.dev  ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev  ## mypy, strict
	$(BIN)/mypy
	$(BIN)/mypy --strict docs/verify_log.py

contracts: $(VENV)/.dev  ## The import order of docs/DESIGN.md
	$(BIN)/lint-imports

fmt: $(VENV)/.dev  ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

vectors: $(VENV)/.test  ## Write the golden vectors and the example of docs/FORMAT.md
	$(BIN)/python -m session_store.testing.vectors tests/vectors/v1 docs/FORMAT.md

crash: $(VENV)/.test  ## Kills, power cuts, races, flipped bits, fuzzing in full; an hour
	$(BIN)/python tests/crash/run.py
	$(BIN)/python tests/crash/report.py

bench: $(VENV)/.bench  ## Ours beside the floor and the peers; ten minutes on a quiet machine
	$(BIN)/python -m benches
	$(BIN)/python -m benches.report

bench-smoke: $(VENV)/.test  ## Only show that the benches run
	$(BIN)/python -m benches --smoke

soak: $(VENV)/.test  ## Half an hour of work with random faults: nothing may grow
	$(BIN)/python tests/crash/run.py --only soak
	$(BIN)/python tests/crash/report.py

mutation: $(VENV)/.test  ## Small mistakes in the four modules that matter most; an hour or two
	$(BIN)/python tests/crash/run.py --only mutation
	$(BIN)/python tests/crash/report.py

crash-smoke: $(VENV)/.test  ## The same in short; seconds
	$(BIN)/python tests/crash/run.py --smoke
