# Plain verbs. `make run` needs Python 3.11+ and nothing else; see README.md.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ROUNDS ?= 500
MINUTES ?= 10
SEED ?= 1
REAL ?=

# A path with spaces is fine: every path below is relative to this folder.
.PHONY: setup setup-test run demo test test-real lint types bench races soak cuts scale ci lock clean wheel

setup: $(VENV)/.ready
setup-test: $(VENV)/.ready-test

$(VENV)/.ready: requirements.lock setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Switchyard needs Python 3.11 or newer; set PYTHON=/path/to/it.")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "Install the venv module (Debian: apt-get install python3-venv)."; exit 1; }
	@echo "Installing pinned packages into $(VENV) ..."
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps -e .
	@$(BIN)/python -m compileall -q models webapp jobs wsgi.py
	@touch $@

$(VENV)/.ready-test: $(VENV)/.ready requirements-test.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-test.lock
	@touch $@

run: setup
	@SWITCHYARD_DATA_DIR="$${SWITCHYARD_DATA_DIR:-./var}" exec $(BIN)/python wsgi.py

demo: setup
	@SWITCHYARD_DATA_DIR="$${SWITCHYARD_DATA_DIR:-./var/demo}" exec $(BIN)/python -m webapp.cli demo

test: setup-test
	@$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder

# Installs real OpenClaw gateways of both wire protocols into .gateway-lab/ (GATEWAY_LAB names another folder).
test-real: setup-test
	@$(BIN)/python -m tests.real.installed
	@$(BIN)/python -m pytest tests/real $(REAL)

lint: setup-test
	@$(BIN)/python tests/lint.py

types: setup-test
	@$(BIN)/mypy

races: setup-test
	@ROUNDS=$(ROUNDS) $(BIN)/python -m pytest tests -k race

soak: setup-test
	@$(BIN)/python -m tests.soak --minutes $(MINUTES)

cuts: setup-test
	@$(BIN)/python -m tests.cuts --minutes $(MINUTES) --seed $(SEED)

scale: setup-test
	@$(BIN)/python -m tests.scale

bench: setup-test
	@$(BIN)/python -m tests.bench $(ROWS)

ci:
	@bash .ci/run

wheel: setup-test
	@$(BIN)/python -m pip wheel -q --no-deps -w dist .

# Needs pip-tools on the path; the locks carry hashes and no addresses.
LOCK := pip-compile -q --strip-extras --generate-hashes --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-header --no-annotate
lock:
	@$(LOCK) -o requirements.lock setup.cfg
	@$(LOCK) --extra test -c requirements.lock -o requirements-test.lock setup.cfg

clean:
	@rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache
