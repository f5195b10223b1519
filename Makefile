# make demo, make test: see README.md. uv is used where it is installed, else pip.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SERVING := container/custom_algorithm/byoc_serving/requirements
APPS := container/custom_algorithm/apps/requirements
NEEDS := -c constraints.txt -r $(SERVING).txt -r $(APPS).txt
# A comma in a call would end its argument.
DEMO := .[cli,debug,local,sdk]
DESCRIBED := pyproject.toml constraints.txt $(SERVING).txt $(APPS).txt

.PHONY: help demo test test-check test-docker test-sdk bench bench-children bench-local fuzz soak lint lock clean
# Two targets that run at once would install into one environment.
.NOTPARALLEL:

help:  ## Say what can be made.
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

demo: $(VENV)/.demo  ## Train, upload, pull, serve and call a model, all on this machine.
	@$(BIN)/python -m byoc demo

test: $(VENV)/.dev  ## Everything that needs no Docker; ARGS chooses among it.
	$(BIN)/python -m pytest -m "not check and not docker and not sdk" -n 3 --dist worksteal $(ARGS)

test-check: $(VENV)/.dev  ## Every rule of byoc check, on a program with its fault and on one without.
	$(BIN)/python -m pytest tests/byoc/check -m check -n 4 --dist worksteal $(ARGS)

test-docker: $(VENV)/.dev  ## Build, push, pull and run the image with a real engine and registry.
	$(BIN)/python -m pytest tests/docker -m docker

test-sdk: $(VENV)/.dev  ## User-written SDK v2 and v3, boto3 and aws CLI on the local SageMaker.
	$(BIN)/python -m pytest tests/sdk tests/test_generate_endpoint.py -m sdk

bench: $(VENV)/.dev  ## How fast we serve, beside other servers; ARGS=--short takes 3 minutes.
	$(BIN)/python bench/serving.py $(ARGS)

bench-children: $(VENV)/.dev  ## What a parent and its children gain or lose against one model.
	$(BIN)/python bench/children.py $(ARGS)

fuzz: $(VENV)/.dev  ## Broken HTTP, and requests made from our OpenAPI document, through both doors: 5 minutes.
	$(BIN)/python -m fuzz $(ARGS)

soak: $(VENV)/.dev  ## 10 minutes at 70 % of capacity with a worker killed every 20 s; ARGS=--short: 1 minute.
	$(BIN)/python bench/soak.py $(ARGS)

bench-local: $(VENV)/.dev  ## What the hop through the local SageMaker costs, and how fast its S3 is.
	$(BIN)/python bench/local.py
	$(BIN)/python bench/s3.py

lint: $(VENV)/.dev  ## ruff, mypy, shellcheck.
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m ruff check .
	$(BIN)/python -m mypy
	$(BIN)/shellcheck .ci/run container/*.sh

lock:  ## Pin the image's dependencies with hashes, and the laptop's to the same versions (needs uv).
	uv pip compile -q --universal --python-version 3.11 --no-header --no-emit-index-url --generate-hashes \
	    $(SERVING).txt -o $(SERVING).lock
	uv pip compile -q --universal --python-version 3.11 --no-header --no-emit-index-url --generate-hashes \
	    -c $(SERVING).lock $(APPS).txt -o $(APPS).lock
	uv pip compile -q --universal --python-version 3.11 --no-header --no-emit-index-url --all-extras \
	    -c $(SERVING).lock -c $(APPS).lock pyproject.toml $(SERVING).txt $(APPS).txt -o constraints.txt

clean:  ## Remove the environment and what training left.
	rm -rf $(VENV) container/custom_algorithm/apps/.temps

$(VENV)/.demo: $(DESCRIBED)
	@$(call install,$(DEMO))

$(VENV)/.dev: $(DESCRIBED)
	@$(call install,.[dev])

# A half-made environment has no stamp and is completed; one whose Python is gone is created again. Nothing runs by
# a script of the environment's bin/, as those name the folder that the checkout once was in.
define install
	set -e; \
	command -v "$(PYTHON)" >/dev/null \
	    || { echo "$(PYTHON) is not installed. Name a Python: make PYTHON=python3.12" >&2; exit 1; }; \
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	    || { echo "Python 3.11 or newer is needed, $$($(PYTHON) --version) was found: make PYTHON=python3.13" >&2; exit 1; }; \
	if test -t 2; then quiet=; else quiet=-q; fi; \
	if command -v uv >/dev/null; then \
	    $(BIN)/python -c '' 2>/dev/null || { $(making); uv venv -q --python "$(PYTHON)" $(VENV); }; \
	    $(installing); \
	    uv pip install $$quiet --compile-bytecode -p $(BIN)/python $(NEEDS) -e '$(1)'; \
	else \
	    $(BIN)/python -m pip --version >/dev/null 2>&1 || { $(making); "$(PYTHON)" -m venv $(VENV); }; \
	    $(installing); \
	    $(BIN)/python -m pip install $$quiet --disable-pip-version-check $(NEEDS) -e '$(1)'; \
	fi; \
	touch $@
endef

making = echo "creating $(VENV)"; rm -rf $(VENV)
installing = echo "installing into $(VENV): this can take minutes"
