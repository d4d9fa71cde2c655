# One environment (.venv), one command a purpose. Extra pip arguments: make ... PIP_ARGS=...
PYTHON ?= python3
CORES ?= all
CONFIG ?= config/paper.yaml
DIRECTORY ?= .
ARGS ?= --cores $(CORES)
PIP_ARGS ?=
WORKERS ?= 2
BIN := .venv/bin
PYTEST := $(BIN)/pytest --numprocesses $(WORKERS) --dist worksteal
RUN := $(BIN)/snakemake --cores $(CORES)

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

reproduce: .venv/ready ## the laptop scale: tables and figures in results/, held against the shipped ones
	$(RUN)
	@$(BIN)/selfgen verify

quick: .venv/ready ## a first table: summarization with four methods
	$(RUN) --directory runs/quick --configfile config/quick.yaml
	@cat runs/quick/results/tables/main.md

smoke: .venv/ready ## the wiring, on random weights, in its own folder
	$(RUN) --directory runs/smoke --configfile config/smoke.yaml

synthetic: .venv/ready ## small models from nothing: ablations with intervals, over an hour
	$(RUN) --directory runs/synthetic --configfile config/synthetic.yaml

evidence: .venv/ready ## checked steps, tuned rates, up to 17 arms, five seeds: can be stopped and goes on
	$(RUN) --directory runs/evidence --configfile config/evidence.yaml

test: .venv/ready ## the fast suite
	$(PYTEST) -m "not slow"

test-slow: .venv/ready ## the rest of the suite
	$(PYTEST) -m slow

test-all: .venv/ready ## everything, and a run that is killed 25 times; coverage of src/selfgen
	SELFGEN_KILLS=25 $(BIN)/coverage run $(PYTEST)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

lint: .venv/ready ## check formats, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/mypy

resume: .venv/ready ## go on after a crash, as it was called: make resume DIRECTORY=runs/paper ARGS="..."
	$(BIN)/selfgen resume --directory $(DIRECTORY) -- $(ARGS)

report: .venv/ready ## the laptop run as one page, report.html
	$(BIN)/selfgen report

archive: .venv/ready ## the laptop run as one zip for an archive with a DOI, archive.zip
	$(BIN)/selfgen archive

docs: .venv/ready ## the documentation as a site, in site/
	$(BIN)/python docs/_site/build.py site

plan: .venv/ready ## what a configuration takes: make plan CONFIG=config/paper.yaml
	$(BIN)/selfgen plan $(CONFIG)

clean: ## what a run made, but not downloads and not .venv
	rm -rf results runs logs scratch site report.html snakemake.html archive.zip .snakemake

.venv/ready: envs/requirements.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11, 5))" || \
	  { echo "make: found no Python 3.11.5 or newer as $(PYTHON), which the pins of envs/requirements.txt need; name one: make PYTHON=python3.12 ..." >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install $(PIP_ARGS) -r envs/requirements.txt
	$(BIN)/python -m pip install $(PIP_ARGS) --no-deps -e .
	touch $@

# Validators that tests hold this repository against; what needs them is skipped without.
.venv-standards/ready: envs/standards.txt
	$(PYTHON) -m venv .venv-standards
	.venv-standards/bin/python -m pip install $(PIP_ARGS) -r envs/standards.txt
	touch $@

.PHONY: reproduce quick smoke synthetic evidence test test-slow test-all lint resume report archive docs plan clean help
