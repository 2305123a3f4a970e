# DataFold: `make help` lists what there is. A fresh machine needs Python 3.11 or newer, and make.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
# Twice quiet: its warnings are about this machine's package sources, not about the packages.
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet --quiet --no-input
export PIP_ROOT_USER_ACTION := ignore

# Set PYTHON to choose the interpreter that makes the virtual environment.
PYTHON ?=

# Tests that touch a database or a server run on both stacks, the others once: two workers for each
# stack share them (tests/conftest.py). They wait for servers most of the time, so a core has two.
STACKS := --dist each \
	--tx 2*popen//env:DATAFOLD_TEST_SHARED=1//env:DATAFOLD_TEST_STACK=sqlite \
	--tx 2*popen//env:DATAFOLD_TEST_SHARED=1//env:DATAFOLD_TEST_STACK=postgres
TESTS ?= tests

# The settings that `make check` judges as an installation in earnest; nothing here is a real secret.
PRODUCTION := env -u DATAFOLD_DEVELOPMENT -u DEBUG \
	SECRET_KEY=judged-only-by-make-check-0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEF \
	DATAFOLD_ENCRYPTION_KEYS=anVkZ2VkLW9ubHktYnktbWFrZS1jaGVjay0wMTIzNDU= \
	ALLOWED_HOSTS=datafold.example.com \
	DATAFOLD_PUBLIC_ORIGINS=https://datafold.example.com \
	DATAFOLD_TRUSTED_PROXIES=10.0.0.1/32 \
	DATAFOLD_REQUIRE_MFA=true \
	DATABASE_URL=postgres://datafold@database.example.com/datafold \
	REDIS_URL=redis://redis.example.com:6379/0 \
	EMAIL_URL=submission://mail.example.com \
	DATA_DIR=.data/check

.PHONY: help
help: ## List these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: $(VENV)/run.stamp ## Start DataFold on SQLite, with everything a first start needs (HOST, PORT, DATA_DIR)
	@exec $(BIN)/python -m project.launcher

.PHONY: manage
manage: $(VENV)/run.stamp ## Run a management command beside `make run` (CMD="list_keys")
	@$(BIN)/python -m project.launcher manage $(or $(CMD),help)

.PHONY: test
test: $(VENV)/dev.stamp ## Run all tests, on SQLite and on PostgreSQL with Redis (TESTS=path for some)
	@$(BIN)/python -m pytest $(STACKS) -q $(TESTS)

.PHONY: check
check: $(VENV)/dev.stamp ## Lint, types, migrations, production settings, OpenAPI document, dependencies
	@echo "ruff …" && $(BIN)/ruff check --quiet . && $(BIN)/ruff format --quiet --check .
	@echo "secrets …" && $(BIN)/python .ci/scan_secrets.py
	@echo "mypy …" && $(PRODUCTION) $(BIN)/mypy --no-error-summary .
	@echo "migrations …" && $(PRODUCTION) DATABASE_URL=sqlite://:memory: $(BIN)/python manage.py makemigrations --check --dry-run
	@echo "production settings …" && $(PRODUCTION) $(BIN)/python manage.py check --deploy --fail-level WARNING
	@echo "OpenAPI document …" && $(PRODUCTION) $(BIN)/python manage.py spectacular --validate --fail-on-warn --file /dev/null
	@echo "dependencies …" && $(PIP) check

.PHONY: audit
audit: $(VENV)/dev.stamp ## Look for known vulnerabilities in the dependencies (asks the advisory service)
	@$(BIN)/pip-audit --require-hashes --disable-pip --requirement requirements.txt

.PHONY: vectors
vectors: $(VENV)/dev.stamp ## Run every vector file in $DATAFOLD_VECTORS and print file.json passed/total
	@$(BIN)/python -m tests.vectors

.PHONY: fuzz
fuzz: $(VENV)/fuzz.stamp ## Fuzz the parser and the engine, guided by coverage, for SECONDS (120); CTRL-C ends it
	@$(BIN)/python -m tests.fuzz --seconds $(or $(SECONDS),120) $(TARGETS)

.PHONY: properties
properties: $(VENV)/dev.stamp ## Run the property tests and the calls of the OpenAPI document with twenty times as many examples
	@DATAFOLD_EXAMPLES=20 $(BIN)/python -m pytest -q tests/httpsig tests/schema_core tests/sdk/test_hostile_input.py tests/contract

.PHONY: bench
bench: $(VENV)/dev.stamp ## Run the benchmarks
	@for benchmark in benchmarks/[a-z]*.py; do \
		module=$${benchmark%.py}; echo "$$module"; $(BIN)/python -m "$${module//\//.}"; \
	done

.PHONY: chaos
chaos: $(VENV)/dev.stamp ## Break every part of a whole DataFold under load; writes docs/chaos.md (QUICK=1: a few, two minutes)
	@$(BIN)/python -m benchmarks.chaos $(if $(QUICK),--quick,--report docs/chaos.md)

.PHONY: load
load: $(VENV)/dev.stamp ## Load at rising rates, soak, growth, gunicorn's settings; writes docs/load.md (QUICK=1: minutes; ARGS="rates soak")
	@$(BIN)/python -m benchmarks.load $(if $(QUICK),--quick) $(ARGS)

.PHONY: attacks
attacks: $(VENV)/dev.stamp ## Slow clients, floods and wrong signatures, honest clients measured meanwhile; writes docs/attacks.md (QUICK=1)
	@$(BIN)/python -m benchmarks.attacks $(if $(QUICK),--quick) $(ARGS)

.PHONY: requirements
requirements: $(VENV)/dev.stamp ## Compile requirements*.in to requirements*.txt, with hashes
	@for name in requirements requirements-dev requirements-redis requirements-fuzz; do \
		$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links \
			--python-version 3.11 --custom-compile-command "make requirements" --output-file $$name.txt $$name.in; \
	done

.PHONY: clean
clean: ## Remove the virtual environment and caches; data in .data stays
	@rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- Setup -------------------------------------------------------------------------------------------

$(VENV)/bin/python:
	@python=""; \
	for candidate in $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11); do \
		if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$$candidate; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
		echo "DataFold needs Python 3.11 or newer, and $(or $(PYTHON),python3) is not. Install one, or name it: make PYTHON=/path/to/python3.12 …" >&2; \
		exit 1; \
	fi; \
	echo "Making $(VENV) with $$($$python --version) …"; \
	"$$python" -m venv $(VENV) || { rm -rf $(VENV); \
		echo "Python's venv module is incomplete. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }

$(VENV)/run.stamp: requirements.txt sdk/pyproject.toml | $(VENV)/bin/python
	@echo "Installing what the server needs …"
	@$(PIP) install --require-hashes --requirement requirements.txt
	@$(PIP) install --no-deps --no-build-isolation --editable ./sdk
	@touch $@

$(VENV)/dev.stamp: requirements-dev.txt requirements-redis.txt requirements.txt sdk/pyproject.toml | $(VENV)/bin/python
	@echo "Installing what the tests and checks need …"
	@$(PIP) install --require-hashes --requirement requirements-dev.txt
	@$(PIP) install --require-hashes --requirement requirements-redis.txt \
		--target $(VENV)/redis --upgrade --python-version 3.11 --only-binary :all:
	@$(PIP) install --no-deps --no-build-isolation --editable ./sdk
	@touch $(VENV)/run.stamp $@

$(VENV)/fuzz.stamp: requirements-fuzz.txt | $(VENV)/dev.stamp
	@echo "Installing the fuzzer …"
	@$(PIP) install --require-hashes --only-binary :all: --requirement requirements-fuzz.txt
	@touch $@
