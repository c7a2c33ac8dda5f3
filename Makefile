# Everything a person does here. `make` alone lists it.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

# A kubeconfig counts only when it is written on the make line, never one lying in the environment.
ifeq ($(origin KUBECONFIG),command line)
  CLUSTER := --kubeconfig "$(KUBECONFIG)"
endif
unexport KUBECONFIG

.PHONY: help run test lint unit e2e bench binaries lock clean
.DEFAULT_GOAL := help

help: ## this list
	@grep -hE '^[a-z0-9]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9]+):.*## (.*)/  make \1\t\2/' | expand -t 16

run: $(READY) ## a local Kubernetes API server, a demo repository and Tiphys at work on it
	@$(BIN)/python -m demo $(CLUSTER)

test: lint binaries ## all checks and all tests
	$(BIN)/python -m pytest $(PYTEST)

lint: $(READY) ## ruff, mypy --strict, import-linter
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/mypy --strict demo benchmarks tests/controlplane tests/conftest.py
	$(BIN)/lint-imports

unit: $(READY) ## the tests that need no control plane (seconds)
	$(BIN)/python -m pytest -m "not controlplane and not e2e" $(PYTEST)

e2e: $(READY) binaries ## the tests against a real API server
	$(BIN)/python -m pytest -m "controlplane or e2e" $(PYTEST)

bench: $(READY) binaries ## what Tiphys costs: CPU, requests, memory, time (BENCH="--sizes 100 --main 100" is quick)
	$(BIN)/python -m benchmarks $(BENCH)

binaries: $(READY)
	@$(BIN)/python -m tests.controlplane build

lock: $(READY) ## write requirements/*.txt anew (UPGRADE=--upgrade for newer versions)
	$(BIN)/python -m pip install -q uv
	PATH="$(CURDIR)/$(BIN):$$PATH" requirements/lock $(UPGRADE)

clean: ## remove the environment and everything made here (the cache of programs stays)
	rm -rf .venv build dist operator/*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Tiphys needs Python 3.11 or later: make PYTHON=/path/to/python3.11")'
	@echo "  … making the Python environment in .venv (the first time about a minute)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
