# Two commands do everything: `make sample` and `make test`. Both make the environment first.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT ?= out/sample

.DEFAULT_GOAL := help

help:  ## list what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(BIN)/.installed: setup.cfg pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "medmix needs Python 3.11 or newer; try: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e '.[train,dev]'
	@touch $@

install: $(BIN)/.installed  ## make .venv and install medmix with all extras

sample: install  ## build the sample mix, train a tiny model on it, score it
	$(BIN)/medmix build --mixture sample --out $(OUT)/mix
	$(BIN)/medmix check $(OUT)/mix
	$(BIN)/medmix train --mixture $(OUT)/mix --recipe smoke-cpu --out $(OUT)/run
	$(BIN)/medmix eval $(OUT)/run --out $(OUT)/eval
	@echo
	@echo "the mix          $(OUT)/mix/README.md"
	@echo "kept and dropped $(OUT)/mix/ledger.parquet"
	@echo "the training     $(OUT)/run/train_log.jsonl"
	@echo "the scores       $(OUT)/eval/table.md"

test: install  ## run the whole test suite, offline, on all cores
	$(BIN)/python -m pytest -n $$($(BIN)/python -c 'import os; print(os.cpu_count() + 1)') --dist worksteal

lint: install types  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install  # mypy does not follow editable import hooks, so it reads a tree of links
	@rm -rf .links && mkdir -p .links/medmix
	@cd .links/medmix && ln -s ../../medmix/*.py . && for room in curate evaluate train; do ln -s ../../$$room $$room; done
	$(BIN)/mypy

clean:  ## remove what the commands above wrote
	rm -rf $(VENV) .links out build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

.PHONY: help install sample test lint types clean
