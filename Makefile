# One entry for everything: `make` alone lists the targets.
# House rules: every target is in .PHONY (some are named like folders) and has a `##` line that says what it does and
# what it needs of the machine. It is quiet when all is well, and names what is missing when something is.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

VENV := .venv
BIN := $(VENV)/bin

# The demo lies in hack/, the test cluster in localcluster/. Safe path: Python never imports from the folder it is
# started in, where `operator` and `tests` are folders.
export PYTHONPATH := $(CURDIR)/hack:$(CURDIR)/localcluster/src
export PYTHONSAFEPATH := 1
# The tests start some hundred processes of ours, and each would compile itself anew: half of its start. Whoever keeps
# Python from writing bytecode elsewhere does not mean that.
unexport PYTHONDONTWRITEBYTECODE
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_WARN_SCRIPT_LOCATION := 1
export PIP_ROOT_USER_ACTION := ignore

# Go and pip keep their caches below HOME; without one they fail or write to odd places.
ifeq ($(strip $(HOME)),)
export HOME := $(shell eval echo "~$$(id -un)")
endif

# What a caller may set. KEEP goes to the demo, CLUSTER to the demo and the tests, KUBERNETES to all test clusters.
PYTHON ?=
ARGS ?=
UPGRADE ?=
VERSION ?=
KEY ?=
IMAGES ?=
REGISTRY ?=
ADDRESS ?=
KEEP ?=
CLUSTER ?=
KUBERNETES ?=
ROOM ?=
# What `make test` runs beside units and laws: of the other files the part that the commit chooses, or all of ARGS.
PART ?= $(if $(ARGS),1/1,$(shell echo $$((0x0$$(git rev-parse HEAD 2>/dev/null | cut -c1-4) % 24 + 1)))/24)
PROGRESS_SECONDS ?= 10
export KEEP CLUSTER KUBERNETES

.PHONY: help venv demo demo-cluster demo-fleet \
	verify lint types test test-all test-live test-unit coverage mutants pairs soak test-argocd test-browser screenshots test-proxies test-matrix test-node bench \
	release release-images verify-release test-upgrade test-workflows \
	docs docs-serve fmt generate requirements clean \
	cluster-build cluster-up cluster-down kind-up kind-down

##@ Start here

help: ## List the targets. Needs awk.
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z][a-z-]*:.*## / { printf "  %-13s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@printf '\nARGS="..." passes arguments to test, bench, demo and cluster targets. PYTHON=... sets the Python.\n'

venv: $(VENV)/.project ## Create or update .venv. Needs Python 3.11 or later and the package registry.

demo: $(VENV)/.project ## Run the demo on a real cluster, Envoy and MCP too. Needs what cluster-up needs. KEEP=1 keeps it running.
	@$(BIN)/python -m demo $(ARGS)

demo-cluster: $(VENV)/.project ## Run the demo in pods on a node, installed by the chart. Needs root on Debian, and what cluster-up needs.
	@$(BIN)/python -m localcluster node-packages
	@$(BIN)/python -m demo.oncluster $(ARGS)

# Its Argo CD, Collector and object store are those of the tests. ARGS=--by-hand does without Argo CD.
demo-fleet: $(VENV)/.project ## Run the demo of a fleet: two clusters, one object store. Needs what test-argocd needs.
	@$(if $(findstring --by-hand,$(ARGS)),,$(BIN)/python -m localcluster argocd-packages)
	@PYTHONPATH="$$PYTHONPATH:$(CURDIR)/tests" $(BIN)/python -m demo.fleet $(ARGS)

##@ Checks

# Each worker that meets a test on an API server has a control plane of its own; a cluster of yours is one, and some tests
# change all of it. tests/conftest.py puts the files in order, and tests/support/lanes.py shares them out by what they
# need, also on two cores: one worker tests a running Bailiwick, one an API server, and one works while the two wait.
workers = $(if $(CLUSTER),,--numprocesses 3 --dist loadfile --no-loadscope-reorder)

verify: $(VENV)/.project ## Fail on stale generated files, stale lock files and private paths. Needs git.
	@$(BIN)/python hack/generate_version.py --check
	@$(BIN)/python -m bailiwick_api.manifests.generate --check
	@$(BIN)/python hack/generate_reasons.py --check
	@$(BIN)/python hack/generate_record.py --check
	@$(BIN)/python hack/generate_policy_reference.py --check
	@$(BIN)/python hack/generate_cel_reference.py --check
	@$(BIN)/python hack/generate_recipes.py --check
	@$(BIN)/python hack/generate_schemas.py --check
	@$(BIN)/python hack/generate_openapi.py --check
	@$(BIN)/python hack/generate_metrics.py --check
	@$(BIN)/python hack/generate_cli.py --check
	@$(BIN)/python hack/generate_flags.py --check
	@$(BIN)/python hack/generate_invariants.py --check
	@$(BIN)/python hack/generate_argocd.py --check
	@$(BIN)/python hack/generate_chart.py --check
	@$(BIN)/python hack/generate_sdk_copies.py --check
	@$(BIN)/python -m pictures --check
	@$(BIN)/python hack/verify_requirements.py
	@$(BIN)/python hack/verify_text.py

lint: $(VENV)/.project ## Check ruff's rules and format, the import contracts, spelling and prose. Needs git.
	@status=0; \
	$(BIN)/ruff check || status=1; \
	$(BIN)/ruff format --check || { status=1; echo "Run 'make fmt' to fix the format." >&2; }; \
	$(BIN)/lint-imports --no-logo || status=1; \
	$(BIN)/codespell || status=1; \
	$(BIN)/python hack/verify_prose.py || status=1; \
	exit $$status

types: $(VENV)/.project ## Check types with strict mypy. Needs only .venv.
	@$(BIN)/mypy

test: $(VENV)/.project ## Test units, laws, and a part of all else. Needs what cluster-up needs, or CLUSTER=current.
	@[ -n "$$CLUSTER" ] || $(BIN)/python -m localcluster build > /dev/null
	@HYPOTHESIS_PROFILE=$${HYPOTHESIS_PROFILE:-quick} $(BIN)/pytest -m "not slow and not long" $(workers) --part $(PART) $(ARGS)
	@$(if $(ARGS),,$(BIN)/python hack/reallaws.py --small)

test-all: $(VENV)/.project ## Run these tests and the long ones: outages, floods, races, rotations. Needs what test needs.
	@[ -n "$$CLUSTER" ] || $(BIN)/python -m localcluster build > /dev/null
	@$(BIN)/pytest -m "not slow" $(workers) $(ARGS)
	@$(if $(ARGS),,$(BIN)/python hack/reallaws.py)

test-live: $(VENV)/.project ## Run of test-all what coverage does not run: laws, processes, an API server. Needs what test needs.
	@[ -n "$$CLUSTER" ] || $(BIN)/python -m localcluster build > /dev/null
	@$(BIN)/pytest -m "not slow" --ignore tests/unit $(workers) $(ARGS)

test-unit: $(VENV)/.project ## Run the tests that need no cluster, on all cores; ROOM=engine: one package's. Needs only .venv.
	@[ -d "tests/unit/$(ROOM)" ] || { echo "ROOM=$(ROOM): there is no such folder in tests/unit; choose one of:" $(patsubst tests/unit/%/,%,$(wildcard tests/unit/[a-z]*/)) >&2; exit 2; }
	@$(BIN)/pytest $(if $(ROOM),tests/unit/$(ROOM) -m "not long",-m "not cluster") --numprocesses auto $(ARGS)

coverage: $(VENV)/.project ## Run tests/unit, and fail if its coverage is below a floor. Needs only .venv.
	@$(BIN)/pytest tests/unit --numprocesses auto --cov --cov-report= $(ARGS)
	@$(BIN)/python hack/coverage_floors.py

mutants: $(VENV)/.project ## Break the engine one check at a time, and fail if no test notices. Needs only .venv.
	@$(BIN)/python -m mutants $(ARGS)

pairs: $(VENV)/.project ## Hold diff against every call of a small world, on 10,000 random pairs of policies. Needs only .venv.
	@PYTHONPATH="$$PYTHONPATH:$(CURDIR)/tests" $(BIN)/python -m property.regions.pairs $(ARGS)

soak: $(VENV)/.project ## Flood all ports for ten minutes beside innocent tenants, and time these. Needs what cluster-up needs.
	@$(BIN)/python -m localcluster build > /dev/null
	@PYTHONPATH="$$PYTHONPATH:$(CURDIR)/tests" $(BIN)/python -m support.soak $(ARGS)

test-argocd: $(VENV)/.project ## Run the tests with a real Argo CD. Needs what cluster-up needs, git, jq, Redis (Debian: redis-server).
	@$(BIN)/python -m localcluster argocd-packages
	@$(BIN)/python -m localcluster build > /dev/null
	@$(BIN)/pytest tests/argocd $(ARGS)

test-browser: $(VENV)/.project ## Run the console's tests in browsers. Needs cluster-up's, browsers and npm (Debian: by itself, as root).
	@$(BIN)/python -m browsers packages
	@$(BIN)/python -m localcluster build > /dev/null
	@$(BIN)/pytest tests/browser $(ARGS)

screenshots: $(VENV)/.project ## Take the documentation's pictures of console and terminal anew. Needs what test-browser needs.
	@$(BIN)/python -m browsers packages
	@$(BIN)/python -m localcluster build > /dev/null
	@SCREENSHOTS=1 $(BIN)/pytest tests/browser/test_screenshots.py tests/process/cli/test_terminal_pictures.py $(ARGS)

# ARGS="-m long" draws calls at length.
test-proxies: $(VENV)/.project ## Run the tests of real proxies. Needs cluster-up's, nginx and HAProxy (Debian: by itself, as root).
	@$(BIN)/python -m proxies packages
	@$(BIN)/pytest tests/proxies -m "not long" $(ARGS)

# One after the other: each version is built from its own pins the first time. KUBERNETES=1.36-emulated needs no build.
test-matrix: $(VENV)/.project ## Run the support matrix on real Kubernetes 1.36 and 1.35, or on KUBERNETES=... Needs what test needs.
	@status=0; for version in $(or $(KUBERNETES),1.36 1.35); do \
	  echo "=== Kubernetes $$version"; \
	  export KUBERNETES=$$version; \
	  $(BIN)/python -m localcluster build > /dev/null || { status=1; continue; }; \
	  $(BIN)/pytest -m "not slow" $(workers) $(ARGS) tests/cluster/test_kubernetes_version.py \
	    tests/cluster/{guards,crds,admission,chart,operator,webhook/approvals} || status=1; \
	done; exit $$status

test-node: $(VENV)/.project ## Run the tests that need pods, on a real node. Needs root on Debian, and what cluster-up needs.
	@$(BIN)/python -m localcluster node-packages
	@$(BIN)/python -m localcluster build --node > /dev/null
	@$(BIN)/python -m localcluster images > /dev/null
	@$(BIN)/pytest tests/node $(ARGS)

bench: $(VENV)/.project ## Measure speed beside peers and a bare server. Needs wrk, Go, npm and cargo; skips what is missing.
	@PYTHONPATH="$$PYTHONPATH:$(CURDIR)" $(BIN)/python -m benchmarks $(ARGS)

##@ Release

release: $(VENV)/.project ## Make a release of this commit in dist/: VERSION=0.2.0, KEY=file to sign, IMAGES=folder. Needs Go, git.
	@$(BIN)/python -m releasemaker build --version "$(VERSION)" $(if $(KEY),--key "$(KEY)") $(if $(IMAGES),--images "$(IMAGES)") \
	  $(if $(REGISTRY),--registry "$(REGISTRY)") $(if $(ADDRESS),--address "$(ADDRESS)") $(ARGS)

release-images: $(VENV)/.project ## Build the images of this commit in build/release-images: VERSION=0.2.0. Needs root on Debian for amd64.
	@$(BIN)/python -m localcluster node-packages
	@$(BIN)/python -m releasemaker images --version "$(VERSION)" $(ARGS)

# RELEASE_FOLDER=dist RELEASE_KEY=release.key tries one that is made already, before anybody is told of it.
verify-release: $(VENV)/.project ## Make a release, push it, verify it, install it; IMAGES=folder, on a node. Needs cluster-up's, skopeo.
	@$(BIN)/python -m releasemaker packages
	@$(if $(IMAGES),$(BIN)/python -m localcluster node-packages)
	@$(BIN)/python -m localcluster build $(if $(IMAGES),--node) > /dev/null
	@RELEASE_IMAGES="$(IMAGES)" $(BIN)/pytest tests/release $(ARGS)

test-upgrade: $(VENV)/.project ## Upgrade the last release to this checkout, and roll it back. Needs cluster-up's, git and its history.
	@$(BIN)/python -m localcluster build > /dev/null
	@$(BIN)/pytest tests/upgrade $(ARGS)

test-workflows: $(VENV)/.project ## Check the workflows of GitHub Actions with actionlint and zizmor. Needs Go.
	@$(BIN)/python -m releasemaker workflows

##@ Documentation

docs: $(VENV)/.project ## Build the documentation as a site, in build/docs. Needs only .venv. VERSION=... names it.
	@$(BIN)/python -m book build $(if $(VERSION),--version $(VERSION)) $(ARGS)

docs-serve: $(VENV)/.project ## Serve the site of docs on 127.0.0.1, port 8000. Needs only .venv.
	@$(BIN)/python -m book serve $(ARGS)

##@ Change

fmt: $(VENV)/.project ## Format the code and apply the fixes of ruff. Needs only .venv.
	@$(BIN)/ruff check --quiet --fix-only
	@$(BIN)/ruff format --quiet

generate: $(VENV)/.project ## Regenerate files from the models, the engine, the help texts and the test marks. Needs only .venv.
	@$(BIN)/python hack/generate_version.py
	@$(BIN)/python -m bailiwick_api.manifests.generate
	@$(BIN)/python hack/generate_reasons.py
	@$(BIN)/python hack/generate_record.py
	@$(BIN)/python hack/generate_policy_reference.py
	@$(BIN)/python hack/generate_cel_reference.py
	@$(BIN)/python hack/generate_recipes.py
	@$(BIN)/python hack/generate_schemas.py
	@$(BIN)/python hack/generate_openapi.py
	@$(BIN)/python hack/generate_metrics.py
	@$(BIN)/python hack/generate_cli.py
	@$(BIN)/python hack/generate_flags.py
	@$(BIN)/python hack/generate_invariants.py
	@$(BIN)/python hack/generate_argocd.py
	@$(BIN)/python hack/generate_chart.py
	@$(BIN)/python hack/generate_sdk_copies.py
	@$(BIN)/python -m pictures

requirements: $(VENV)/.project ## Recompile requirements/*.txt. UPGRADE=1 selects the newest versions. Needs the package registry.
	@set -e; \
	lock() { \
	  echo "requirements/$$1.txt"; \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes $(if $(UPGRADE),--upgrade) \
	    --no-header --annotation-style line --no-strip-extras --no-emit-index-url --no-emit-find-links \
	    --output-file requirements/$$1.txt "$${@:2}" > /dev/null; \
	}; \
	lock dev --all-extras pyproject.toml requirements/dev.in; \
	lock build requirements/build.in; \
	lock webhook --extra grpc --extra tracing pyproject.toml requirements/webhook.in; \
	lock operator --extra operator pyproject.toml requirements/operator.in; \
	lock cli --extra cli --extra console --extra notifications --extra objects pyproject.toml requirements/cli.in; \
	lock gateway --extra mcp pyproject.toml requirements/gateway.in

clean: ## Remove .venv and the tool caches, but no clusters. Needs nothing.
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist
	@find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

##@ Clusters

cluster-build: $(VENV)/.project ## Build the programs of cluster-up, once; whatever needs them does. Needs what cluster-up needs.
	@$(BIN)/python -m localcluster build > /dev/null

cluster-up: $(VENV)/.project ## Start a control plane as plain processes. Needs Go, or the package registry to install Go.
	@$(BIN)/python -m localcluster up $(ARGS)

cluster-down: $(VENV)/.project ## Stop the control plane of cluster-up. Needs only .venv.
	@$(BIN)/python -m localcluster down $(ARGS)

kind-up: $(VENV)/.project ## Start a kind cluster. Needs what cluster-up needs and a running container engine.
	@$(BIN)/python -m localcluster kind-up $(ARGS)

kind-down: $(VENV)/.project ## Delete the kind cluster. Needs a running container engine.
	@$(BIN)/python -m localcluster kind-down $(ARGS)

# ---------------------------------------------------------------- how .venv comes to be

# The first Python that is new enough and can make environments. With PYTHON=... only that one is looked at.
define find_python
found=; python=; \
for candidate in $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11); do \
  version=$$("$$candidate" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2> /dev/null) || continue; \
  if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then python=$$candidate; break; fi; \
  found="$${found:+$$found, }$$candidate $$version"; \
done; \
if [ -z "$$python" ]; then \
  echo "Bailiwick needs Python 3.11 or later, found $${found:-none}. Set PYTHON=... to its path." >&2; exit 1; \
fi; \
if ! "$$python" -c 'import ensurepip, venv' 2> /dev/null; then \
  echo "Bailiwick needs the venv module of Python, but found none in $$python $$version (Debian: python3-venv)." >&2; exit 1; \
fi
endef

# The stamp names the lock and the folder it was made in: the programs in .venv/bin name that folder, so a moved
# checkout starts anew, and a branch with the same lock does not.
stamp := echo "$$(cksum < requirements/dev.txt) $$(pwd -P)"
ifneq ($(shell [ "$$(cat $(VENV)/.locked 2> /dev/null)" = "$$($(stamp))" ] && $(BIN)/python -c '' && echo whole),whole)
.PHONY: $(VENV)/.locked
endif

# How far pip is, one line every PROGRESS_SECONDS. It says nothing while it installs, so count what it has installed.
define show_progress
collected=0 next=$(PROGRESS_SECONDS) word=downloaded; \
while IFS= read -r -t 1 line || [ $$? -gt 128 ]; do \
  case $${line:-} in Collecting*) collected=$$((collected + 1)) ;; Installing\ collected*) word=installed ;; esac; \
  if [ $$SECONDS -ge $$next ]; then \
    [ $$word = downloaded ] || collected=$$(find $(VENV) -maxdepth 5 -name '*.dist-info' | wc -l); \
    echo "  $$SECONDS s: $$((collected)) of $$packages packages $$word"; \
    next=$$((SECONDS + $(PROGRESS_SECONDS))); \
  fi; \
  line=; \
done
endef

# From nothing each time, so that no package lingers that the lock no longer names.
$(VENV)/.locked:
	@set -e; $(find_python); \
	packages=$$(grep -c '^[a-z]' requirements/dev.txt); \
	echo "Creating .venv with Python $$version and $$packages packages. This takes 1 to 5 minutes."; \
	rm -rf $(VENV); \
	"$$python" -m venv $(VENV); \
	$(BIN)/python -m pip install --progress-bar off --require-hashes --requirement requirements/dev.txt | { $(show_progress); } || { \
	  echo "Bailiwick needs the package registry, or pip settings that point to one. See the error of pip above." >&2; exit 1; }; \
	echo "Created .venv in $$SECONDS s."; \
	$(stamp) > $@

# The build backend is in the lock too, so nothing unpinned is fetched here.
$(VENV)/.project: $(VENV)/.locked pyproject.toml
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@
