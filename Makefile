# make help lists what there is to do. Nothing is needed beforehand but Python 3.10 or newer.
PYTHON ?= python3
VENV ?= .venv
ready = $(VENV)/.ready
compiled = setup.py $(wildcard entreg/model/step/*)
linters = $(VENV)/.linters
site = $(VENV)/.site
python = $(VENV)/bin/python
pip = $(python) -m pip install -q --disable-pip-version-check
lowest = .venv-lowest

.PHONY: help train test eval lint format lock test-wheel test-arithmetic test-slow test-slurm test-pysaliency test-lowest bench bench-beyond-memory bench-study clean-store docs notebook

help:            ## this list
	@sed -n 's/^\([a-z-]*\): .*## /\1|/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "  make %-20s%s\n", $$1, $$2}'

train: $(ready)  ## the main job on embedded data: python train.py loss=nll_entropy
	$(python) train.py loss=nll_entropy

test: $(ready)   ## the tests (about 5 minutes on two cores)
	$(python) -m pytest

eval: $(ready)   ## judges the newest sweep
	$(python) train.py task=evaluate

lint: $(linters) ## ruff (rules and format), mypy, codespell
	$(python) -m ruff check
	$(python) -m ruff format --check
	$(python) -m mypy
	$(python) -m codespell_lib

format: $(linters) ## rewrites the code as `make lint` wants it
	$(python) -m ruff check --fix
	$(python) -m ruff format

docs: $(site)    ## the pages of docs/ as a site, in build/site
	$(python) -m mkdocs build --strict

notebook: $(site) ## runs docs/notebooks/first_study.ipynb from top to bottom
	$(python) -m pytest -m 'slow or not slow' -n 0 tests/test_notebook.py

lock: $(linters) ## writes requirements.lock: the newest versions of all packages, with hashes, for CI
	$(python) -m uv pip compile --universal --generate-hashes --all-extras --upgrade --no-header --no-annotate -q \
	  pyproject.toml -o requirements.lock

test-wheel: $(linters) ## builds the wheel and the sdist, installs the wheel in an environment of its own and trains there
	tests/wheel.sh $(python)

test-arithmetic: $(ready) ## the numerical tests under every instruction set of this machine (FAST=1: a few of them)
	$(python) -m tests.arithmetic $(if $(FAST),--fast)

test-slow: $(ready) ## the tests that take minutes
	$(python) -m pytest -m 'slow and not slurm'

test-slurm: $(ready) ## the tests on a real single-node SLURM (root; Debian: slurmctld slurmd slurm-client munge)
	$(python) -m pytest -m slurm -n 0

test-pysaliency: $(ready) ## the tests against pysaliency itself, in an environment of its own (a minute to make)
	$(python) -m pytest -m slow -n 0 tests/test_interop.py tests/data/sources/test_pysaliency.py

test-lowest: pyproject.toml tests/lowest.txt ## the tests with the lowest versions of all packages (Python 3.10 or 3.11)
	test -x $(lowest)/bin/python || $(PYTHON) -m venv $(lowest)
	$(lowest)/bin/python -m pip install -q --disable-pip-version-check -e '.[test]' -c tests/lowest.txt
	$(lowest)/bin/python -m pytest

# AGAINST=FOLDER, of `git worktree add FOLDER ae4a8f4; pip install pooch`, measures speed by turns with that commit instead
against = $(if $(AGAINST),--against $(AGAINST))

bench: $(ready)  ## measures speed and exactness side by side, writes bench/ and README's table (AGAINST=FOLDER: a commit)
	$(python) -m benchmarks $(against)

bench-beyond-memory: $(ready) ## a training whose store is a quarter larger than the memory (needs that much disk)
	$(python) -m benchmarks --beyond-memory

bench-study: $(ready) ## a whole study at MIT1003's size on generated images
	$(python) -m benchmarks --study $(against)

clean-store: $(ready) ## removes all feature stores and hashes of images (STORE=FOLDER: those of paths.store=FOLDER)
	$(python) -m entreg.features.delete_stores $(STORE)

# LOCKED=1 installs the versions of requirements.lock, as CI does; otherwise pip takes the newest that pyproject.toml allows
$(ready): pyproject.toml $(compiled)
	test -x $(python) || $(PYTHON) -m venv $(VENV)
	$(if $(LOCKED),$(pip) --require-hashes -r requirements.lock)
	$(pip) $(if $(LOCKED),--no-deps) -e '.[test]'
	touch $(ready)

$(site): $(ready)
	$(pip) $(if $(LOCKED),--no-deps) -e '.[docs]'
	touch $(site)

$(linters): $(ready)
	$(pip) $(if $(LOCKED),--no-deps) -e '.[lint]'
	touch $(linters)
