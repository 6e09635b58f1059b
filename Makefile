# make run    make the environment, pretrain, evaluate and draw embedded images (no files needed)
# make test   make the environment and run every test
# make quick  tests of every room in four minutes, those of slow files left out
# make pretrained  the encoders that come with the package, anew; trains what is missing, hours
# make lint   ruff and the type checker
# make docs   the documentation site, in docs/_build/html; its notebooks are run, minutes the first time
# make all    what CI runs: lint and test
# make clean  remove the environment, caches, the site and runs/digits
#
# Another Python: make run PYTHON=python3.12

SUPPORTED := 3.11 3.12 3.13
PYTHON ?= python3
VENV := .venv
# Two processes: most of a test's time is compilation, which uses one core. worksteal gives each a
# contiguous half, so that files mostly stay whole and share what they compiled.
PYTEST_ARGS ?= --numprocesses=2 --dist=worksteal

found := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
bin := $(VENV)/bin
# Stamps: newer than the requirements they were installed from, and named for the Python.
installed := $(VENV)/installed-$(found)
installed_for_tests := $(VENV)/installed-for-tests-$(found)
installed_for_docs := $(VENV)/installed-for-docs-$(found)
pip_install = $(bin)/python -m pip install --quiet --disable-pip-version-check

.PHONY: all run test quick pretrained lint docs clean

all: lint test

run: $(installed)
	$(bin)/python -m mmix_jax.main --config=configs/digits.py --workdir=runs/digits --config.figures=True

test: $(installed_for_tests)
	$(bin)/python -m pytest $(PYTEST_ARGS)

quick: $(installed_for_tests)
	$(bin)/python -m pytest -m "not slow" $(PYTEST_ARGS)

pretrained: $(installed)
	$(bin)/python -m mmix_jax.pretrained --make

lint: $(installed_for_tests)
	$(bin)/ruff check .
	$(bin)/ruff format --check .
	$(bin)/basedpyright --pythonpath $(bin)/python

docs: $(installed_for_docs)
	$(bin)/python -m sphinx --fail-on-warning --quiet docs docs/_build/html
	@echo "The site is docs/_build/html/index.html"

$(installed): requirements.txt
	$(if $(filter $(found),$(SUPPORTED)),,$(error Python $(SUPPORTED) is needed, found \
	  $(if $(found),$(PYTHON) $(found),no $(PYTHON)); name another: make run PYTHON=python3.12))
	@echo "Installing requirements.txt into $(VENV) (Python $(found); about a minute, 1.1 GB)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(pip_install) -r requirements.txt
	@touch $@

$(installed_for_tests): requirements-test.txt $(installed)
	@echo "Installing requirements-test.txt into $(VENV)"
	@$(pip_install) -r requirements-test.txt
	@touch $@

$(installed_for_docs): requirements-docs.txt $(installed)
	@echo "Installing requirements-docs.txt into $(VENV)"
	@$(pip_install) -r requirements-docs.txt
	@touch $@

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache docs/_build docs/tutorials runs/digits
