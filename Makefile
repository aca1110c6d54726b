# The verbs of the project. `make help` lists them; demo and test set up what they need on the first call.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= $(firstword $(foreach p,python3.11 python3.12 python3.13 python3,$(shell $(p) -c \
	'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null && echo $(p))))
VENV := .venv
READY := $(VENV)/.ready
BIN := $(VENV)/bin
WORKSPACE ?= service

# torch is pinned in pyproject.toml alone
TORCH := $(shell sed -n 's/^ *"\(torch==[^"]*\)",/\1/p' pyproject.toml)
PIP := $(BIN)/python -m pip install --disable-pip-version-check --progress-bar off
# torch comes in builds of several hashes, with or without CUDA (docs/decisions/0002-pins.md)
UNLOCKED := torch triton cuda-bindings cuda-pathfinder cuda-toolkit $(addprefix nvidia-,cublas cuda-cupti cuda-nvrtc \
	cuda-runtime cudnn-cu13 cufft cufile curand cusolver cusparse cusparselt-cu13 nccl-cu13 nvjitlink nvshmem-cu13 nvtx)
CODE := tmu verifier/tmu_verify flows tasks infra/doctor infra/prefect_ops

.PHONY: drills help setup erasure-lists demo up down status logs login browser chaos repro test test-fast check lint types walls spelling coverage \
	audit lock format bench clean

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

setup: $(READY) ## make the virtual environment (done by itself when needed)

# the locked packages, checked by hash; then torch, by version; then the project itself (docs/decisions/0002-pins.md)
$(READY): pyproject.toml requirements.lock
	@test -n "$(PYTHON)" || { echo "error: no Python 3.11, 3.12 or 3.13 found. Install one, or call make PYTHON=/path/to/python." >&2; exit 2; }
	@echo "Setting up $(VENV) (once; a few minutes, about 2 GB). Each package is named as it is fetched."
	@$(PYTHON) -m venv $(VENV)
	@set -o pipefail; { $(PIP) --no-deps --require-hashes -r requirements.lock && $(PIP) $(TORCH) \
		&& $(PIP) --no-deps --no-build-isolation -e .; } | grep --line-buffered -E '^(Collecting|  Downloading|Installing|Successfully)' | cut -c1-160
	@touch $@

demo: $(READY) ## process a real deletion request, from data to audited, registered, unlearned model
	@$(BIN)/tmu demo

up: $(READY) ## start and supervise all servers (WORKSPACE=service, made with the embedded digits if it is new)
	@infra/install.sh
	@$(BIN)/python -m infra up --workspace "$(WORKSPACE)" $(ARGS)

down: $(READY) ## stop all servers; stored data stay
	@$(BIN)/python -m infra down --workspace "$(WORKSPACE)" $(ARGS)

status: $(READY) ## state, memory and health of each server
	@$(BIN)/python -m infra status --workspace "$(WORKSPACE)" $(ARGS)

logs: $(READY) ## the last lines of all logs (ARGS="prefect -f": follow one server's)
	@$(BIN)/python -m infra logs --workspace "$(WORKSPACE)" $(ARGS)

login: $(READY) ## print the logins of Prefect and MLflow (ARGS=--export: as variables for a shell)
	@$(BIN)/python -m infra login --workspace "$(WORKSPACE)" $(ARGS)

browser: $(READY) ## run a deletion in a headless browser on real servers, to its certificate, six minutes (ARGS=--pictures: keep pictures)
	@$(BIN)/python -m pytest tests/browser $(ARGS)

erasure-lists: $(READY) ## write docs/erasure-search-before.md and -after.md: a planted person, searched before and after a purge
	@$(BIN)/python -m bench.erasure $(ARGS)

chaos: $(READY) ## kill each server and process at each stage of a deletion; resumes (ARGS="--only 'auditing/*'")
	@$(BIN)/python -m tests.chaos $(ARGS)

test: $(READY) ## run every test but those of make browser and make drills
	@$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder -m "not browser and not drill" $(ARGS)

drills: $(READY) ## kill a purge at ten points, restore single stores, replay by DVC, two Ray nodes, lost ranks: long
	@$(BIN)/python -m pytest -m drill $(ARGS)

test-fast: $(READY) ## run the tests that take seconds
	@$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder -m "not slow and not drill" $(ARGS)

check: lint types walls spelling ## check style, types, the walls between rooms, spelling

coverage: $(READY) ## run the tests of make test and print which branches they reach (slower)
	@$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder -m "not browser and not drill" --cov --cov-report=term $(ARGS)

audit: $(READY) ## check the locked packages against the Python advisory database (needs the network)
	@infra/advisories.sh

lock: $(READY) ## write requirements.lock, the closure of constraints.txt with hashes
	@$(BIN)/uv pip compile -q pyproject.toml --extra dev -c constraints.txt --universal --python-version 3.11 --generate-hashes \
		$(addprefix --no-emit-package ,$(UNLOCKED)) --no-header --no-annotate -o requirements.lock

repro: $(READY) ## the deletion of request.json as DVC stages, without a server; imports the embedded digits where data/ is missing
	@test -d data || $(BIN)/tmu data import digits
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/dvc repro $(ARGS)

types: $(READY)
	@$(BIN)/mypy $(CODE)

walls: $(READY)
	@$(BIN)/lint-imports --no-cache

spelling: $(READY)
	@$(BIN)/codespell

lint: $(READY)
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

format: $(READY) ## fix style
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format .

bench: $(READY) ## measure every method on the embedded digits (SUITE=cpu-small: hours; SUITE=gpu-speed: 8 minutes on a GPU); resumes
	@$(BIN)/python -m bench $(or $(SUITE),smoke) $(ARGS)

clean: ## remove the environment and everything the demo made
	rm -rf $(VENV) demo .pytest_cache .ruff_cache
