# What one types here. `make demo` needs Python 3.11 or newer and nothing else: no root, no system package.
#   make demo   a whole call on this machine        make lint    ruff and mypy only
#   make test   every check and every test          make bench   speed and size, as a table
#   make fast   the checks that need no hardware    make clean   removes what was made here
#   make prove  the model of the handshakes against an intruder (needs maude)
# PYTHON=/path/to/python3.12 chooses the interpreter; VENV=dir where the environment goes.

SHELL := /bin/sh
VENV ?= .venv
PYTHON ?=
export PIP_DISABLE_PIP_VERSION_CHECK = 1
export PIP_NO_INPUT = 1

bin := $(VENV)/bin
python := $(bin)/python
base := $(VENV)/.stamp-base
run := $(VENV)/.stamp-run
test := $(VENV)/.stamp-test

.PHONY: help demo test fast nightly bench prove lint format clean
help:
	@sed -n '2,6s/^# \{0,1\}//p' Makefile

demo: $(run)
	@$(bin)/p2pcall demo $(ARGS)

test: $(test)
	@$(python) tests/check.py full

fast: $(test)
	@$(python) tests/check.py fast

nightly: $(test)
	@$(python) -m pip install --quiet --quiet -e '.[fuzz]'
	@$(python) tests/check.py nightly

bench: $(test)
	@PYTHONPATH=tests/e2e $(python) tests/bench/bench.py $(ARGS)

prove: $(base)
	@$(python) tests/model/prove.py $(ARGS)

lint: $(test)
	@$(python) tests/check.py lint

format: $(test)
	@$(python) -m ruff check --fix --quiet . ; $(python) -m ruff format .

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .coverage.*
	find p2pcall tests -name __pycache__ -type d -prune -exec rm -rf {} +

# An interpreter that is new enough, and an environment with pip in it. Debian's python3 without python3-venv
# has no ensurepip: then its pip, if there is one, puts a pip into the environment.
$(base):
	@set -eu; chosen=; \
	for name in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
	  if "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then chosen=$$name; break; fi; \
	done; \
	[ -n "$$chosen" ] || { echo "make: no Python 3.11 or newer found; say PYTHON=/path/to/python3" >&2; exit 1; }; \
	echo "setting up $(VENV) with $$($$chosen --version)"; \
	rm -rf $(VENV); \
	"$$chosen" -m venv $(VENV) >/dev/null 2>&1 || { \
	  rm -rf $(VENV); \
	  "$$chosen" -m venv --without-pip $(VENV) && \
	  "$$chosen" -m pip --python $(python) install --quiet --quiet pip; \
	} || { rm -rf $(VENV); echo "make: $$chosen can make no environment; install its venv or pip (Debian: apt-get install python3-venv)" >&2; exit 1; }; \
	touch $@

$(run): pyproject.toml | $(base)
	@echo "installing p2pcall and what it needs"
	@$(python) -m pip install --quiet --quiet -e .
	@touch $@

$(test): pyproject.toml $(run) | $(base)
	@echo "installing what the tests need"
	@$(python) -m pip install --quiet --quiet -e '.[test]'
	@touch $@
