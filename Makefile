# `make` alone lists the targets. Python packages go into .venv. As root on Debian, missing Debian packages are
# installed too; otherwise one line says which command installs them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3# any 3.11 or later: make PYTHON=python3.12 setup
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore

# debian PACKAGE: install it, or say how. Debian's list of packages is read only if that is needed.
define debian
{ install=(apt-get install -y -q --no-install-recommends $(1)); \
if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
  echo "make: missing on this machine: $(1). Install it: sudo $${install[*]}" >&2; exit 1; fi; \
export DEBIAN_FRONTEND=noninteractive; \
"$${install[@]}" </dev/null || { apt-get update -q </dev/null && "$${install[@]}" </dev/null; }; }
endef
# as_root COMMAND,PACKAGE: the same for what the program itself, or a test, asks for in one line where it is missing.
define as_root
if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && ! command -v $(1) >/dev/null; then $(call debian,$(2)); fi
endef

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(STAMP) ## make .venv and install everything into it

$(STAMP): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "make: no $(PYTHON) on PATH. Install it: sudo apt-get install python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "make: $(PYTHON) is older than 3.11. Name another one: make PYTHON=python3.12 setup" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	  || { version=$$($(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])'); $(call debian,python$$version-venv); }
	@$(BIN)/python -c 'import pip' 2>/dev/null || $(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt uv
	$(BIN)/uv pip install --python $(BIN)/python --editable . --group dev --group sandbox --compile-bytecode \
	  --constraints constraints.txt --build-constraints constraints.txt
	@touch $@

.PHONY: demo
demo: $(STAMP) servers ## two servers in two-way sync, visible: downloads them, writes at both sides, compares both
	@$(BIN)/python -m demo

WORKERS ?= 3
# files at once, in the order in which they are collected
PARALLEL = -n $(WORKERS) --dist loadfile --no-loadscope-reorder
.PHONY: test
test: $(STAMP) servers sysbench ## every kind of test, on real servers, WORKERS=3 files at once
	$(BIN)/pytest $(PARALLEL)

.PHONY: test-long
test-long: $(STAMP) servers sysbench ## the same, and other forms of its tests: each DDL scenario both ways round, each policy
	BISYNC_TEST_LONG=1 $(BIN)/pytest $(PARALLEL)

.PHONY: test-unit
test-unit: $(STAMP) ## the tests that need no server
	$(BIN)/pytest tests/unit

.PHONY: lint
lint: $(STAMP) ## ruff and mypy
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

.PHONY: bench
bench: $(STAMP) servers ## throughput and latency, beside native replication
	@$(BIN)/python -m benchmarks

.PHONY: kills
kills: $(STAMP) servers sysbench ## kill -9 at every failpoint, 50 times, and outages of each server; `make test` does five
	BISYNC_TEST_KILLS=50 BISYNC_TEST_LONG=1 $(BIN)/pytest tests/faults -k "(kill or outages or crash) and not ddl"

.PHONY: soak
soak: $(STAMP) servers sysbench ## the long forms: every kill, minutes of sysbench, thousands of random tables
	BISYNC_TEST_KILLS=120 BISYNC_TEST_SYSBENCH_SECONDS=180 BISYNC_TEST_ROUNDS=5000 BISYNC_TEST_TABLES=100 BISYNC_TEST_TABLE_ROWS=400 \
	  $(BIN)/pytest tests/faults tests/integration/test_decoder.py tests/integration/test_types.py --timeout 3600

.PHONY: large
large: $(STAMP) servers ## a transaction of a million rows, rows of 64 MB, a backlog of 2 GB, 1,000 tables, each process below 300 MB
	BISYNC_TEST_LARGE_ROWS=1000000 BISYNC_TEST_LARGE_ROW_BYTES=67108864 BISYNC_TEST_LARGE_TABLES=1000 \
	BISYNC_TEST_LARGE_BACKLOG_BYTES=2147483648 \
	  $(BIN)/pytest tests/integration/test_large.py -s --timeout 3600

.PHONY: init-large
init-large: $(STAMP) servers ## a million rows are copied, beside `mysqldump | mysql` in the same run, and rows of 64 MB
	@$(call as_root,mysqldump,default-mysql-client)
	BISYNC_TEST_INIT_ROWS=1000000 BISYNC_TEST_LARGE_ROW_BYTES=67108864 \
	  $(BIN)/pytest tests/integration/test_data_init.py -k "large or lose" -s --timeout 3600

.PHONY: init-kills
init-kills: $(STAMP) servers ## an empty target is filled from a source that takes 500 transactions a second, and ten processes are killed
	BISYNC_TEST_KILLS=10 BISYNC_TEST_RATE=520 $(BIN)/pytest tests/faults/test_initialize.py -s --timeout 3600
	BISYNC_TEST_KILLS=50 BISYNC_TEST_LONG=1 $(BIN)/pytest tests/integration/test_data_init.py tests/integration/test_init_moments.py

.PHONY: convergence
convergence: $(STAMP) ## 100,000 seeded histories of each convergent policy; `make test` does 200
	BISYNC_TEST_HISTORIES=100000 $(BIN)/pytest tests/unit/test_convergence.py -s

.PHONY: hammer
hammer: $(STAMP) servers ## both sides on the same keys for five minutes under each convergent policy; `make test` takes seconds
	BISYNC_TEST_HAMMER=300 $(BIN)/pytest tests/faults/test_hammer.py -s

.PHONY: conflicts
conflicts: $(STAMP) servers ## 10,000 conflicting rows among 1,000,000, twice: exactly they are found; rows/s beside those without
	BISYNC_TEST_CONFLICTS_ROWS=1000000 $(BIN)/pytest tests/integration/test_many_conflicts.py -s --timeout 3600

.PHONY: ddl
ddl: $(STAMP) servers ## each scenario both ways round, 200 random DDLs among rows of both sides, and kill -9 in the middle of every kind of DDL
	BISYNC_TEST_LONG=1 BISYNC_TEST_DDLS=200 BISYNC_TEST_KILLS=50 \
	  $(BIN)/pytest tests/ddl tests/faults/test_ddl_kills.py $(PARALLEL) --timeout 3600

.PHONY: iuds
iuds: $(STAMP) servers ## MySQL's suite engines/iuds, run by mysqltest against one side: equal on both; `make test` does a sample
	BISYNC_TEST_IUDS=whole $(BIN)/pytest tests/integration/test_iuds.py -s --timeout 3600

.PHONY: verify-large
verify-large: $(STAMP) servers ## 100 differences among 1,000,000 rows under load, found and mended; the time beside that of bare checksums
	BISYNC_TEST_VERIFY_ROWS=1000000 $(BIN)/pytest tests/integration/test_verify.py -k planted -s --timeout 3600

.PHONY: sandbox-up
sandbox-up: $(STAMP) servers ## start two MySQL servers and a Kafka broker on this machine
	@$(BIN)/bisync-topology sandbox up

.PHONY: sandbox-down
sandbox-down: $(STAMP) ## stop them
	@$(BIN)/bisync-topology sandbox down

.PHONY: compose-check
compose-check: $(STAMP) ## check docker-compose.yml against the Compose specification
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml

.PHONY: docs
docs: $(STAMP) ## write the pages that are made from code
	$(BIN)/python -m schemas.types_page > docs/types.md
	$(BIN)/python -m consumers.decision_page docs/conflicts.md

.PHONY: constraints
constraints: $(STAMP) ## write constraints.txt anew, with the newest versions that fit
	printf '%s\n' uv hatchling editables | $(BIN)/uv pip compile --quiet pyproject.toml - --group dev --group sandbox \
	  --upgrade --python-version 3.11 --no-annotate --no-header --output-file constraints.txt >/dev/null

.PHONY: clean
clean: ## remove .venv and what tools have left; downloaded servers stay in their cache
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis dist build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The sandbox fetches MySQL and Kafka, and installs Maven where it may. Done here, Java is there from the start.
.PHONY: servers sysbench
servers:
	@$(call as_root,mvn,maven)

sysbench:
	@$(call as_root,sysbench,sysbench)
