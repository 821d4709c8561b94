# What a newcomer needs; each target sets up all that it needs from Python 3.11 with pip.
PYTHON ?= python3.11
PORT ?= 3000
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help demo test hunt ui check bench lock clean

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

# Where no python3.11 is on the path, python3 serves if it is recent enough (pip says so if not).
$(READY): requirements.lock pyproject.toml
	@$$(command -v $(PYTHON) || command -v python3) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(READY)

demo: $(READY) ## the whole pipeline on the data in data/, against a stand-in Braze
	@$(BIN)/braze-pipeline demo

# The files in their order: the end-to-end tests come first, and take longest.
test: $(READY) ## all tests
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

hunt: $(READY) ## the property tests with examples drawn anew, to find what the fixed ones do not
	@$(BIN)/python -m pytest -m hypothesis --hypothesis-profile=hunt

ui: $(READY) ## Dagster's UI with daemon, schedule and sensors, on 127.0.0.1:3000 (or PORT=…)
	@$(BIN)/braze-pipeline ui --port $(PORT)

check: $(READY) ## lint, types, import rules, lines of code and definitions
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python scripts/code_lines.py
	@$(BIN)/dagster definitions validate

bench: $(READY) ## the benchmarks, as ratios to a floor measured in the same run
	@for f in benchmarks/[a-z]*.py; do echo "== $$f"; $(BIN)/python $$f || exit 1; done

# Extras stay in the lock: without them pip 23, which comes with Python 3.11, refuses its hashes.
lock: $(READY) ## requirements.lock anew, by name, version and hash
	@$(BIN)/uv pip compile --quiet pyproject.toml --extra dev --generate-hashes --universal \
	    --python-version 3.11 --no-emit-index-url --no-emit-find-links --no-strip-extras \
	    -o requirements.lock

clean: ## the environment and everything a run wrote
	@rm -rf $(VENV) data/warehouse.* data/warehouse-sandbox.*
