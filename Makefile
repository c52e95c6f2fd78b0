# make run: the dashboard. make test: everything CI checks. Each does its own set-up.
SHELL := /bin/bash
.DELETE_ON_ERROR:
.PHONY: run test lint setup setup-dev bench bench-browser soak clean-venv

PYTHON ?= python3
VENV ?= .venv
HOST ?= 127.0.0.1
PORT ?= 8050
# More options for pip; a CUDA-free torch: PIP_OPTIONS="--extra-index-url https://download.pytorch.org/whl/cpu"
PIP_OPTIONS ?=

BIN := $(VENV)/bin
RUN_STAMP := $(VENV)/.ready-run
DEV_STAMP := $(VENV)/.ready-dev

run: setup
	@QKATLAS_HOST=$(HOST) QKATLAS_PORT=$(PORT) QKATLAS_SAMPLE=$${QKATLAS_SAMPLE:-1} exec $(BIN)/python -m app

setup: $(RUN_STAMP)

setup-dev: $(DEV_STAMP)
	@VENV="$(VENV)" scripts/install-browser
	@npm ci --silent --no-audit --no-fund

test: setup-dev lint
	$(BIN)/python -m pytest --numprocesses=auto --maxprocesses=4 --dist=loadfile
	node --test tests/javascript/*.test.js

lint: $(DEV_STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict pipeline
	$(BIN)/mypy --check-untyped-defs app

# Half an hour on two quiet cores, of which the libraries we compare with take 20 minutes; what they
# took is kept in benchmarks/results.json, and a run that was stopped goes on from there.
bench: setup
	$(BIN)/python -m benchmarks.first_matrix
	$(BIN)/python -m benchmarks.capture
	$(BIN)/python -m benchmarks.memory --seconds 300
	$(BIN)/python -m benchmarks.growth
	$(BIN)/python -m benchmarks.gpu
	$(BIN)/python -m benchmarks.live
	$(BIN)/python -m benchmarks.projection

# Kills, power cuts, damage and full disks with full counts; about half an hour on two cores.
# Some parts: make soak PARTS="kills power"
soak: $(DEV_STAMP)
	$(BIN)/python -m tests.soak $(PARTS)

bench-browser: setup-dev
	$(BIN)/python -m benchmarks.browser
	$(BIN)/python -m benchmarks.sentence
	$(BIN)/python -m benchmarks.image_view
	$(BIN)/python -m benchmarks.model_view

$(RUN_STAMP): requirements.txt requirements-models.txt scripts/install-python
	@PYTHON="$(PYTHON)" VENV="$(VENV)" PIP_OPTIONS="$(PIP_OPTIONS)" scripts/install-python
	@touch $@

$(DEV_STAMP): $(RUN_STAMP) requirements-dev.txt
	$(BIN)/python -m pip install --quiet $(PIP_OPTIONS) -r requirements-dev.txt
	@touch $@

clean-venv:
	rm -rf $(VENV)
