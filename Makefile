# The commands of the README. Each sets up what it needs.
# 3.11 is what CI runs; 3.12 and 3.13 are let in.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
BIN := .venv/bin

.PHONY: setup run test test-cluster check clean programs install-programs cluster-programs hashes audit

setup: .venv/.installed

.venv/.installed: pyproject.toml constraints.txt requirements-hashed.txt
	@echo "Installing into .venv (2 GB, some minutes) ..."
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] <= (3, 13) else "Python 3.11, 3.12 or 3.13 is needed; found " + sys.version.split()[0] + ": call make PYTHON=/path/to/python")'
	@$(PYTHON) -m venv .venv
	@# All but torch and its CUDA parts, which differ between machines, by their hashes.
	@$(BIN)/python -m pip install --quiet --no-compile --require-hashes --no-deps --requirement requirements-hashed.txt
	@$(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt torch
	@$(BIN)/python -m pip install --quiet --no-compile --no-deps --no-build-isolation --editable .
	@# pip compiles on one core; some packages hold templates that are no Python.
	@$(BIN)/python -m compileall -qq -j 0 .venv/lib || true
	@touch $@

run: setup
	@$(BIN)/downstream run

test: setup programs
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

# Several machines, played by this one: an S3 server, SLURM with two nodes, Ray with two, PostgreSQL,
# two network namespaces.
test-cluster: setup programs cluster-programs
	@$(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt --requirement tests/cluster/requirements.txt
	@$(BIN)/python -m pytest tests/cluster

CLUSTER_PACKAGES := iproute2 munge postgresql slurm-wlm

cluster-programs:
	@PATH="$$PATH:/usr/sbin"; missing=; for program in ip munged slurmctld slurmd pg_ctlcluster; do command -v $$program >/dev/null || missing=$$program; done; \
	[ -z "$$missing" ] && exit 0; \
	command -v apt-get >/dev/null || { echo "make test-cluster needs $(CLUSTER_PACKAGES): install them with this system's packages, then call it again" >&2; exit 1; }; \
	echo "Installing $(CLUSTER_PACKAGES), which these tests start themselves ..."; \
	sudo="$$([ "$$(id -u)" = 0 ] || echo sudo)"; $$sudo apt-get update -qq && $$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(CLUSTER_PACKAGES)

# Tests look at pages in a real browser, compile a training, watch what stages open, sign decisions,
# set clocks back and fill a disk of their own: pip has none of it.
PROGRAMS := chromium g++ strace ssh-keygen faketime unshare prlimit

programs:
	@for program in $(PROGRAMS); do command -v $$program >/dev/null || exec $(MAKE) --no-print-directory install-programs; done

install-programs:
	@command -v apt-get >/dev/null || { echo "make test needs $(PROGRAMS): install them with this system's packages, then call it again" >&2; exit 1; }
	@echo "Installing $(PROGRAMS), which some tests need ..."
	@sudo="$$([ "$$(id -u)" = 0 ] || echo sudo)"; $$sudo apt-get update -qq && $$sudo apt-get install -y -qq --no-install-recommends chromium g++ strace openssh-client faketime util-linux

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# After a change of constraints.txt: the hashes that the package index has of these versions.
NOT_HASHED := torch triton cuda-bindings cuda-pathfinder cuda-toolkit nvidia-cublas nvidia-cuda-cupti \
	nvidia-cuda-nvrtc nvidia-cuda-runtime nvidia-cudnn-cu13 nvidia-cufft nvidia-cufile nvidia-curand \
	nvidia-cusolver nvidia-cusparse nvidia-cusparselt-cu13 nvidia-nccl-cu13 nvidia-nvjitlink \
	nvidia-nvshmem-cu13 nvidia-nvtx

hashes:
	$(PYTHON) -m venv .venv/uv
	.venv/uv/bin/pip install --quiet uv
	.venv/uv/bin/uv pip compile pyproject.toml --extra dev --constraint constraints.txt \
		--generate-hashes --universal --python-version 3.11 --no-annotate --no-header --quiet \
		$(addprefix --no-emit-package ,$(NOT_HASHED)) --output-file requirements-hashed.txt

# Known vulnerabilities of these versions, by PyPI's advisories; needs the internet.
audit:
	$(PYTHON) -m venv .venv/audit
	.venv/audit/bin/pip install --quiet pip-audit
	.venv/audit/bin/pip-audit --requirement constraints.txt --no-deps --disable-pip

clean:
	rm -rf .venv
