# make demo   set up what is needed, then film the demo into out/demo
# make test   set up what is needed, then run the tests
# make lint   formatting, types, import order of the packages, spelling
# make bench  print the tables of docs/benchmarks.md for this machine
# make clean  remove everything that these made
#
# Everything is installed into .venv, at the versions of constraints.txt. PYTHON=python3.12 make …
# takes another interpreter (3.11 or later).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --retries 5 -c constraints.txt
NEEDS := pyproject.toml constraints.txt .ci/debian-packages

.PHONY: demo test lint bench clean
.DELETE_ON_ERROR:

demo: $(VENV)/.demo
	$(BIN)/worldfm-gym demo

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell

bench: $(VENV)/.bench
	$(BIN)/python benchmarks/raster.py
	$(BIN)/python benchmarks/environment.py
	$(BIN)/python benchmarks/reset_and_memory.py

clean:
	rm -rf $(VENV) out build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	rm -rf .import_linter_cache *.egg-info .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	.ci/debian-packages demo $(PYTHON)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or later is needed: try PYTHON=python3.12 make …" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(NEEDS) | $(BIN)/python
	$(PIP) -e .
	$(BIN)/worldfm-gym warmup
	@touch $@

$(VENV)/.dev: $(NEEDS) | $(BIN)/python
	.ci/debian-packages test $(PYTHON)
	$(PIP) -e '.[dev]'
	$(BIN)/worldfm-gym warmup
	@touch $@ $(VENV)/.demo

$(VENV)/.bench: $(NEEDS) | $(BIN)/python
	.ci/debian-packages test $(PYTHON)
	$(PIP) -e '.[dev,bench]'
	@touch $@ $(VENV)/.dev $(VENV)/.demo
