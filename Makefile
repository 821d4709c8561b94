# Commands for newcomers; each target installs what it needs, given Python 3.11 with pip.
PYTHON ?= python3.11
PORT ?= 3000
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
RUNTIME := $(VENV)/.runtime
DBT := examples/dbt
DBT_READY := $(DBT)/.venv/.ready
SPARK := examples/spark
SPARK_READY := $(SPARK)/.venv/.ready
# The peers of the benchmark of scale need older versions than the development tools do.
PEERS_READY := benchmarks/.venv/.ready

.DEFAULT_GOAL := help
.PHONY: help demo test hunt example spark ui check bench bench-scale docs lock clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# If there is no python3.11 on the path, python3 is used if it is recent enough (pip reports if not).
# What runs needs the runtime alone; what checks adds the development tools to the same environment.
$(READY): requirements.lock pyproject.toml
	@$(call install,$(VENV),requirements.lock)
	@touch $(RUNTIME) $(READY)

$(RUNTIME): requirements-runtime.lock pyproject.toml
	@$(call install,$(VENV),requirements-runtime.lock)
	@touch $(RUNTIME)

$(DBT_READY): $(DBT)/requirements.lock pyproject.toml
	@$(call install,$(DBT)/.venv,$(DBT)/requirements.lock)
	@touch $(DBT_READY)

$(PEERS_READY): benchmarks/requirements.lock pyproject.toml
	@$(call install,benchmarks/.venv,benchmarks/requirements.lock)

# Spark alone: 500 MB, and the pipeline needs only its client, which is in requirements.lock.
$(SPARK_READY): $(SPARK)/requirements.lock
	@$$(command -v $(PYTHON) || command -v python3) -m venv $(SPARK)/.venv \
	&& $(SPARK)/.venv/bin/python $(PIP_INSTALL) --require-hashes -r $< && touch $@

# $(call install,VENV,LOCK): an environment with what a lock names, and this checkout.
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check $(PIP_FLAGS)
define install
$$(command -v $(PYTHON) || command -v python3) -m venv $(1) \
	&& $(1)/bin/python $(PIP_INSTALL) --require-hashes -r $(2) \
	&& $(1)/bin/python $(PIP_INSTALL) --no-deps --no-build-isolation -e .
endef

demo: $(RUNTIME) ## run the whole pipeline on the data in data/, against a stand-in for Braze
	@$(BIN)/braze-pipeline demo

# Files in alphabetical order: the end-to-end tests take longest, so they come first. They wait for
# Dagster's daemon part of the time: three at once keep two cores busy.
test: $(READY) $(DBT_READY) ## run all tests
	@$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

hunt: $(READY) ## run the property tests with new random examples, to find what the fixed ones miss
	@$(BIN)/python -m pytest -m hypothesis --hypothesis-profile=hunt

example: $(DBT_READY) ## install what examples/dbt needs

spark: $(SPARK_READY) ## install a Spark for the tests of clusters; it needs Java 17

ui: $(RUNTIME) ## start Dagster's UI with daemon, schedule and sensors, on 127.0.0.1:3000 (or PORT=…)
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

# N and PEERS are numbers of customers, also several: N="100000 1000000". OUT is a Markdown file to fill.
N ?= 100000
bench-scale: $(PEERS_READY) ## three nights at N customers, and the same with other tools at PEERS
	@benchmarks/.venv/bin/python benchmarks/scale.py --customers $(N) --peers $(PEERS) \
	    $(if $(BENCH_FOLDER),--folder $(BENCH_FOLDER)) $(if $(OUT),--markdown $(OUT))

docs: $(READY) ## build the documentation as a site, in build/site; a broken link is an error
	@$(BIN)/python -m scripts.site

# Keep the extras in the lock: without them pip 23, which comes with Python 3.11, rejects the hashes.
lock: $(READY) ## rebuild the locks, with names, versions and hashes
	@$(COMPILE) pyproject.toml --extra dev -o requirements.lock
	@$(COMPILE) pyproject.toml --extra build --extra predicted-value -c requirements.lock -o requirements-runtime.lock
	@$(COMPILE) pyproject.toml $(DBT)/requirements.in -o $(DBT)/requirements.lock
	@$(COMPILE) pyproject.toml --extra bench -o benchmarks/requirements.lock
	@$(COMPILE) $(SPARK)/requirements.in -o $(SPARK)/requirements.lock

COMPILE := $(BIN)/uv pip compile --quiet --generate-hashes --universal --python-version 3.11 \
    --no-emit-index-url --no-emit-find-links --no-strip-extras

clean: ## remove the environment and everything that runs wrote
	@rm -rf $(VENV) $(DBT)/.venv $(SPARK)/.venv benchmarks/.venv data/warehouse.* data/warehouse-sandbox.*
