# Everything a newcomer needs: each target sets itself up on a machine with Python 3.11 alone.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
EXTRAS := anthropic,openai,local,test,otel,examples,mcp,postgres,s3,crypto,server
READY := $(VENV)/.ready
PYTEST := $(BIN)/python -m pytest

.PHONY: help demo gallery test check unit integration e2e conformance bench clean setup

help:
	@echo "make demo    watch an agent lose its worker and still send exactly one e-mail"
	@echo "make gallery ten shapes of LangGraph, ready to try: Temporal, its UI, a worker, no key"
	@echo "make test    run every test against real servers"
	@echo "make conformance  run what LangGraph can do on both, write docs/reference/langgraph.md"
	@echo "make bench   measure what a run costs, beside Temporal alone and other libraries"
	@echo "make check   lint, types, import rules, architecture"
	@echo "make clean   remove the virtual environment and caches"

setup: $(READY)

# uv installs in seconds where pip takes minutes; pip fetches it when it is missing.
$(READY): pyproject.toml constraints.txt
	@command -v uv >/dev/null || test -x $(VENV)/uv/bin/uv || { \
	  echo "fetching uv" >&2; $(PYTHON) -m venv $(VENV)/uv && $(VENV)/uv/bin/pip install -q uv; }
	@uv=$$(command -v uv || echo $(VENV)/uv/bin/uv); \
	  test -x $(BIN)/python || $$uv venv -q --allow-existing --python $(PYTHON) $(VENV); \
	  echo "installing into $(VENV)" >&2; \
	  VIRTUAL_ENV=$(CURDIR)/$(VENV) $$uv pip install -q -c constraints.txt -e ".[$(EXTRAS)]" --group dev
	@touch $@

# Without a terminal nobody can be asked, so the demo approves by itself.
demo: $(READY)
	@$(BIN)/perdure demo $(if $(DEMO),$(DEMO),$$(test -t 0 || echo --yes))

# With a key in the environment the model is the real one.
gallery: $(READY)
	@cd examples/gallery && PATH="$(CURDIR)/$(BIN):$$PATH" && \
	  if [ -n "$${ANTHROPIC_API_KEY:-}" ]; then perdure dev; else python -m offline perdure dev; fi

# Suite by suite, each in a process of its own: what one declares or loads is not there for the next.
test: $(READY)
	@$(PYTEST) tests/architecture tests/docs tests/unit
	@$(PYTEST) tests/conformance
	@$(MAKE) --no-print-directory integration e2e

unit: $(READY)
	@$(PYTEST) tests/unit tests/architecture

PARTS := $(filter-out %/__pycache__/ tests/integration/runtime/ tests/integration/testing/,$(sort $(wildcard tests/integration/*/)))

integration: $(READY)
	@$(PYTEST) $(PARTS)
	@$(PYTEST) tests/integration/test_*.py tests/integration/testing
	@$(PYTEST) tests/integration/runtime tests/replay

e2e: $(READY)
	@$(PYTEST) tests/e2e

# The page and its data are written from the results, also if some cases fail.
conformance: $(READY)
	@PERDURE_CONFORMANCE_PAGE=docs/reference $(PYTEST) -q tests/conformance

# About half an hour. BENCH="--turns 5 --repeat 1 --suites single" is a minute; more options:
# python -m benchmarks --help.
BENCH ?= --suites single many park cold growth --growth-turns 25 50 100
bench: $(READY)
	@mkdir -p .perdure-bench
	@$(BIN)/python -m benchmarks --peers all $(BENCH) \
	  --json .perdure-bench/rows.json --markdown .perdure-bench/tables.md

check: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/pyright
	@$(BIN)/lint-imports
	@$(PYTEST) -q tests/architecture

clean:
	rm -rf $(VENV) .perdure .perdure-bench .pytest_cache .ruff_cache .import_linter_cache dist build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
