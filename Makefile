# The commands of the README. Each sets up what it needs.
# 3.11 is what CI runs; 3.12 and 3.13 are let in.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
BIN := .venv/bin

.PHONY: setup run test check clean programs install-programs

setup: .venv/.installed

.venv/.installed: pyproject.toml constraints.txt
	@echo "Installing into .venv (2 GB, some minutes) ..."
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] <= (3, 13) else "Python 3.11, 3.12 or 3.13 is needed; found " + sys.version.split()[0] + ": call make PYTHON=/path/to/python")'
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt --editable '.[dev]'
	@# pip compiles on one core; some packages hold templates that are no Python.
	@$(BIN)/python -m compileall -qq -j 0 .venv/lib || true
	@touch $@

run: setup
	@$(BIN)/downstream run

test: setup programs
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

# Tests look at pages in a real browser, compile a training, watch what stages open, and sign decisions: pip has none of it.
programs:
	@command -v chromium >/dev/null && command -v g++ >/dev/null && command -v strace >/dev/null && command -v ssh-keygen >/dev/null || $(MAKE) --no-print-directory install-programs

install-programs:
	@command -v apt-get >/dev/null || { echo "make test needs chromium, g++, strace and ssh-keygen: install them with this system's packages, then call it again" >&2; exit 1; }
	@echo "Installing chromium, g++, strace and ssh-keygen, which some tests need ..."
	@sudo="$$([ "$$(id -u)" = 0 ] || echo sudo)"; $$sudo apt-get update -qq && $$sudo apt-get install -y -qq --no-install-recommends chromium g++ strace openssh-client

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf .venv
