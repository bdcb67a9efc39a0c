# Every target is a few commands that one could type by hand.
# Nothing is needed beforehand but Python 3.11+ (with venv), make and git.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help run demo bench test test-fast test-timescale chaos check snapshots evaluate wheel lock clean

help: ## this list
	@echo "PolicyWatch: make TARGET"
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F '\t' '{printf "  %-15s %s\n", $$1, $$2}'

$(STAMP): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "PolicyWatch needs Python 3.11 or newer with venv (Debian: apt install python3-venv); or name one: make PYTHON=/path/to/python3"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

run: $(STAMP) ## the program on the real catalogue (embedded database, daemon beside the desk)
	$(BIN)/policywatch

demo: $(STAMP) ## the whole story on a simulated web; ends in the desk on a terminal
	$(BIN)/policywatch demo

bench: $(STAMP) ## the collector against the truth of a simulated web, and what a pass costs
	$(BIN)/policywatch bench collect --scenario benchmarks/scenario.json
	$(BIN)/policywatch bench collect --documents 500 --documents 5000

test: $(STAMP) ## the whole suite
	$(BIN)/python -m pytest

test-fast: $(STAMP) ## what needs no database
	$(BIN)/python -m pytest -m "not needs_db and not story and not fault" -q

test-timescale: $(STAMP) ## the schema on TimescaleDB compiled to WebAssembly (Node and npm come with the environment)
	@cd tests/timescale && export PATH="$(CURDIR)/$(BIN):$$PATH" && if [ ! -e node_modules/.installed ] || [ package-lock.json -nt node_modules/.installed ]; then \
		npm ci --legacy-peer-deps --no-audit --no-fund --loglevel=error && touch node_modules/.installed; fi
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest tests/timescale

chaos: $(STAMP) ## the proofs about faults at full length (about 15 minutes)
	POLICYWATCH_LONG=1 $(BIN)/python -m pytest -m fault

check: $(STAMP) ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy tests
	$(BIN)/lint-imports

snapshots: $(STAMP) ## the desk's pictures anew, after a wanted change (look at the diff before committing)
	$(BIN)/python -m pytest -q tests/tui/test_pictures.py --snapshot-update
	$(BIN)/python -m tests.tui.picture docs/desk.svg

evaluate: $(STAMP) ## how well captures are told from walls on the recorded history (POLICYWATCH_CORPUS)
	@$(BIN)/python -m benchmarks.quality

wheel: $(STAMP) ## dist/*.whl
	$(BIN)/python -m build --no-isolation --outdir dist .

lock: ## requirements.lock anew from pyproject.toml (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --all-extras --no-header pyproject.toml -o requirements.lock

clean: ## the environment and build leftovers
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
