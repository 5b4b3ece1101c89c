# Each target does the set-up that it needs; set-up runs once, and again when its inputs change.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: help setup pipeline test test-units test-rest test-long check format bench screenshots clean

help:            ## this list
	@grep -E '^[a-z-]+: .*##|^[a-z-]+:  +##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

$(READY): constraints.txt pyproject.toml flows/server_database.py
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "UniForm needs Python 3.11 or newer: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)
	PIP_CONSTRAINT=constraints.txt $(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	$(BIN)/python -m flows.server_database
	@touch $(READY)

setup: $(READY)  ## install everything into .venv

pipeline: setup  ## the whole system, end to end, on the offline default
	$(BIN)/uniform run --preset tiny

test: setup      ## every test that CI runs, in two halves beside each other
	@$(MAKE) --no-print-directory --keep-going --jobs=2 test-units test-rest

TEST := $(BIN)/pytest -m "not long" -p no:cacheprovider
test-units:
	$(TEST) tests/unit tests/docs
test-rest:
	$(TEST) tests --ignore=tests/unit --ignore=tests/docs

test-long: setup ## the long forms too: a thousand kills, forty drivers
	$(BIN)/pytest

check: setup     ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup    ## write the format that `check` wants
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup     ## speed and memory, as ratios side by side
	$(BIN)/python tests/bench/bench_frechet.py
	$(BIN)/python tests/bench/bench_model.py --vae drawn
	PYTHONPATH=tests $(BIN)/python tests/bench/bench_av_align.py
	PYTHONPATH=tests $(BIN)/python tests/bench/bench_fetch.py
	PYTHONPATH=tests $(BIN)/python tests/bench/bench_encode.py
	PYTHONPATH=tests $(BIN)/python tests/bench/bench_encode.py --memory
	PYTHONPATH=tests $(BIN)/python tests/bench/bench_catalog_scale.py --clips 1000000

screenshots: setup ## pictures of the report for docs/, with a headless Chromium, after `make pipeline`
	$(BIN)/uniform report --preset tiny --screenshots docs/report

clean:           ## remove the virtual environment and caches; data/ stays
	rm -rf $(VENV) *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
