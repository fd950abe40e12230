# make demo    train a VAE and a GAN on real images, write runs/demo/report.html
# make test    of each kind of thing a few            make test-all    all tests
# make lint    ruff, pyrefly, import-linter           make clean       remove the environment
# make docs    write the API reference into build/docs
# make accelerator-kit    pack what a GPU without a network needs into build/accelerator-kit
#
# Each sets up .venv by itself. PYTHON=... chooses the interpreter (3.11 or newer).

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
N ?= 2
ARGS ?=

VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || echo none)
ifneq ($(filter none 2.% 3.0 3.1 3.2 3.3 3.4 3.5 3.6 3.7 3.8 3.9 3.10,$(VERSION)),)
ifneq ($(MAKECMDGOALS),clean)
$(error genjax needs Python 3.11, 3.12 or 3.13; PYTHON=$(PYTHON) is $(VERSION). Try: make $(MAKECMDGOALS) PYTHON=python3.12)
endif
endif

# The stamps name the interpreter's version: another PYTHON makes a fresh environment.
VENV_STAMP := $(VENV)/.made-with-$(VERSION)
CORE := $(VENV)/.core-$(VERSION)
DEV := $(VENV)/.dev-$(VERSION)
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test test-all lint docs clean accelerator-kit
.DEFAULT_GOAL := demo

$(VENV_STAMP):
	@echo "Making $(VENV) with $(PYTHON) ($(VERSION))"
	@$(PYTHON) -m venv --clear $(VENV) || { echo "venv failed; on Debian and Ubuntu: apt install python$(VERSION)-venv"; exit 1; }
	@touch $@

$(CORE): pyproject.toml constraints.txt | $(VENV_STAMP)
	@echo "Installing genjax into $(VENV) (a few minutes the first time)"
	@$(PIP) -e .
	@touch $@

$(DEV): pyproject.toml constraints.txt | $(VENV_STAMP)
	@echo "Installing genjax with its development tools into $(VENV) (a few minutes the first time)"
	@$(PIP) -e '.[dev,docs,logs]'
	@touch $@ $(CORE)

demo: $(CORE)
	$(BIN)/genjax demo $(ARGS)

test: $(DEV)
	$(BIN)/python -m pytest -q -n $(N) --dist worksteal -m "not slow" --durations=15 $(ARGS)

test-all: $(DEV)
	$(BIN)/python -m pytest -q -n $(N) --dist worksteal $(ARGS)

lint: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/pyrefly check --python-interpreter-path $(BIN)/python
	$(BIN)/lint-imports

docs: $(DEV)
	$(BIN)/python .ci/docs.py build/docs

accelerator-kit: $(DEV)
	PYTHONPATH=. $(BIN)/python -m experiments.accelerator.kit $(ARGS)

clean:
	rm -rf $(VENV)
