# `make` alone lists the targets.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
JOBS   ?= auto
SAMPLE ?= 0

.DEFAULT_GOAL := help
.PHONY: help run test test-servers test-sdk check lint types imports faults snapshots screenshots torture mutants fuzz bench bench-peers clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

# Two stamps: running needs only the program, working on it needs the tools as well.
$(VENV)/.run: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --disable-pip-version-check -e .
	@touch $@

$(VENV)/.dev: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --disable-pip-version-check "pip>=25.1"
	@$(BIN)/python -m pip install -q --disable-pip-version-check -e . --group dev
	@touch $@ $(VENV)/.run

run: $(VENV)/.run ## install into .venv and open the program
	@$(BIN)/palaver

test: $(VENV)/.dev ## run all tests
	@$(BIN)/python -m pytest -n $(JOBS) --dist worksteal

test-servers: $(VENV)/.dev ## run the tests against real servers, installed into .servers
	@$(BIN)/python -m tests.servers_real.install
	@PALAVER_REAL_SERVERS=1 $(BIN)/python -m pytest -n $(JOBS) tests/servers_real

test-sdk: $(VENV)/.dev ## run the Agents SDK's own tests of sessions on Palaver's, fetched into a throw-away folder
	@nice $(BIN)/python -m tests.agents_sdk

check: lint types imports ## ruff, mypy --strict, import-linter

lint: $(VENV)/.dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(VENV)/.dev
	@$(BIN)/mypy

imports: $(VENV)/.dev
	@$(BIN)/lint-imports

faults: $(VENV)/.dev ## which rows of the fault catalogue have a test
	@$(BIN)/python -m tests.faults

snapshots: $(VENV)/.dev ## accept the present looks as the expected ones
	@$(BIN)/python -m pytest tests/app/test_snapshots.py --snapshot-update

screenshots: $(VENV)/.dev ## draw the README's pictures again
	@$(BIN)/python assets/render.py

torture: $(VENV)/.dev ## the long runs: cancels, kills, many writers
	@$(BIN)/python -m tests.torture

fuzz: $(VENV)/.dev ## inputs nobody thought of, a million for each target (COUNT)
	@$(BIN)/python -m tests.fuzz --count $(or $(COUNT),1000000)

mutants: $(VENV)/.dev ## the mutation score of decoders, retry, store, gate (SAMPLE of each file; 0: all)
	@$(BIN)/python -m pip install -q --disable-pip-version-check --group mutants
	@nice -n 15 $(BIN)/python -m tests.mutants --sample $(SAMPLE)

bench: $(VENV)/.dev ## measure the installed program: every row of the table, into .bench
	@$(BIN)/python -m tests.bench

bench-peers: $(VENV)/.dev ## the same work by elia, oterm, parllama, llm: installed into .bench, in turn with ours
	@$(BIN)/python -m tests.bench.peers

clean: ## remove what the other targets made
	rm -rf $(VENV) .servers .bench .mutants .fuzz .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache snapshot_report.html
