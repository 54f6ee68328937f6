# growthpace: `make help` lists the targets. Nothing here needs root.
PYTHON ?= python3
BIN := .venv/bin
CORES ?= 2
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help setup demo test test-real test-slurm test-faults lint format clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: .venv/installed ## create .venv with everything a developer or a benchmark needs

.venv/installed: pyproject.toml envs/lock.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if v >= (3, 11) else f"growthpace needs Python 3.11 or newer, but {sys.executable} is {v[0]}.{v[1]}; name another one: make PYTHON=python3.12 ...")'
	@$(PYTHON) -c 'import venv, ensurepip' || { echo 'This Python has no venv module. On Debian or Ubuntu install python3-venv, or name another Python: make PYTHON=...'; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check -q -c envs/lock.txt -e '.[dev]'
	@touch $@

demo: setup ## run the embedded study and print where its report is
	$(BIN)/growthpace demo --cores $(CORES)

test: setup ## run the tests
	$(BIN)/pytest -n $(CORES) --dist loadfile --no-loadscope-reorder -m "not real and not slurm"

test-real: setup ## run a whole study on real data and a real base model (needs ../shared/data)
	$(BIN)/pytest -n $(CORES) --dist loadfile -m real tests/real

# DeepSpeed's tests, which need no cluster, go side by side; the cluster's jobs have time limits, and the machine alone.
test-slurm: setup ## run the tests on a real SLURM cluster on this machine (Linux, as root; brings it up and down)
	$(BIN)/python tests/slurm/cluster.py install
	$(BIN)/pytest -n $(CORES) --dist worksteal -m slurm --ignore tests/slurm
	$(BIN)/pytest -m slurm tests/slurm

test-faults: setup ## inject every kind of fault three times and more, and write benchmarks/faults.md (as test-slurm)
	$(BIN)/python tests/slurm/cluster.py install
	$(BIN)/python tests/slurm/faults.py --each 3 --table benchmarks/faults.md

lint: setup ## check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow

format: setup ## fix style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow

clean: ## remove .venv and caches (never results)
	rm -rf .venv .pytest_cache .ruff_cache
