# Everything a contributor or CI runs. Each target sets up .venv when there is none.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
READY := .venv/.ready
PYTEST := $(BIN)/python -m pytest
WORKERS ?= 2
# a thread for each: two workers of two threads would wait for each other
SHARED := OMP_NUM_THREADS=1 $(PYTEST) -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: help demo docs test check test-browser test-long bench pins clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(READY)  ## synthetic world -> training -> before/after table -> runs/demo/report.html
	$(BIN)/segood demo --out runs/demo

docs: $(READY)  ## the documentation site, in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

check: $(READY)  ## the quick part: lint, format, types, import contract
	$(BIN)/ruff check src tests benchmarks studies docs examples
	$(BIN)/ruff format --check src tests benchmarks studies docs examples
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check  ## everything CI runs, in WORKERS processes
	$(SHARED) -q --durations=25 -m 'not long'

test-browser: $(READY)  ## the reports in the machine's own Chromium; part of test
	$(PYTEST) -q -m 'browser and not long'

test-long: check  ## the long forms too
	$(PYTEST) -q

bench: $(READY)  ## speed and memory against named peers, in one run
	$(BIN)/python -m benchmarks

pins: $(READY)  ## renew constraints.txt from what is installed
	$(BIN)/python -m pip freeze --exclude-editable > constraints.txt

clean:  ## remove the environment and all caches, keep runs
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
