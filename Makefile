# The commands of the README. Each sets up what it needs.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin

.PHONY: setup run test check clean

setup: .venv/.installed

.venv/.installed: pyproject.toml constraints.txt
	@echo "Installing into .venv (2 GB, some minutes) ..."
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info[:2] == (3, 11) else "Python 3.11 is needed; found " + sys.version.split()[0] + ": call make PYTHON=/path/to/python3.11")'
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt --editable '.[dev]'
	@# pip compiles on one core; some packages hold templates that are no Python.
	@$(BIN)/python -m compileall -qq -j 0 .venv/lib || true
	@touch $@

run: setup
	@$(BIN)/downstream run

test: setup
	@$(BIN)/python -m pytest -n 2 --dist loadfile

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf .venv
