# Commands for newcomers; each target installs what it needs, given Python 3.11 with pip.
PYTHON ?= python3.11
PORT ?= 3000
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help demo test hunt ui check bench lock clean

help: ## show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

# If there is no python3.11 on the path, python3 is used if it is recent enough (pip reports if not).
$(READY): requirements.lock pyproject.toml
	@$$(command -v $(PYTHON) || command -v python3) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(READY)

demo: $(READY) ## run the whole pipeline on the data in data/, against a stand-in for Braze
	@$(BIN)/braze-pipeline demo

# Files in alphabetical order: the end-to-end tests take longest, so they come first.
test: $(READY) ## run all tests
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

hunt: $(READY) ## run the property tests with new random examples, to find what the fixed ones miss
	@$(BIN)/python -m pytest -m hypothesis --hypothesis-profile=hunt

ui: $(READY) ## start Dagster's UI with daemon, schedule and sensors, on 127.0.0.1:3000 (or PORT=…)
	@$(BIN)/braze-pipeline ui --port $(PORT)

check: $(READY) ## check lint, types, import rules, lines of code and definitions
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python scripts/code_lines.py
	@$(BIN)/dagster definitions validate

bench: $(READY) ## run the benchmarks; results are ratios to a floor measured in the same run
	@for f in benchmarks/[a-z]*.py; do echo "== $$f"; $(BIN)/python $$f || exit 1; done

# Keep the extras in the lock: without them pip 23, which comes with Python 3.11, rejects the hashes.
lock: $(READY) ## rebuild requirements.lock, with names, versions and hashes
	@$(BIN)/uv pip compile --quiet pyproject.toml --extra dev --generate-hashes --universal \
	    --python-version 3.11 --no-emit-index-url --no-emit-find-links --no-strip-extras \
	    -o requirements.lock

clean: ## remove the environment and everything that runs wrote
	@rm -rf $(VENV) data/warehouse.* data/warehouse-sandbox.*
