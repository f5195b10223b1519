# make demo, make test: see README.md. uv is used where it is installed, else pip.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SERVING := container/custom_algorithm/byoc_serving/requirements
APPS := container/custom_algorithm/apps/requirements
NEEDS := -c constraints.txt -r $(SERVING).txt -r $(APPS).txt
DESCRIBED := pyproject.toml constraints.txt $(SERVING).txt $(APPS).txt

.PHONY: help demo test test-docker lint lock clean

help:  ## Say what can be made.
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

demo: $(VENV)/.demo  ## Train, upload, pull, serve and call a model, all on this machine.
	@$(BIN)/byoc demo

test: $(VENV)/.dev  ## Everything that needs no Docker.
	$(BIN)/pytest -m "not docker" -n 2 --dist loadgroup

test-docker: $(VENV)/.dev  ## Build, push, pull and run the image with a real engine and registry.
	$(BIN)/pytest -m docker

lint: $(VENV)/.dev  ## ruff, mypy, shellcheck.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
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
	@$(call install,.[local])

$(VENV)/.dev: $(DESCRIBED)
	@$(call install,.[dev])

# A half-made environment has no stamp and is made again.
define install
	set -e; \
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	    || { echo "Python 3.11 or newer is needed, $$($(PYTHON) --version) was found: make PYTHON=python3.12" >&2; exit 1; }; \
	echo "installing into $(VENV)"; \
	if command -v uv >/dev/null; then \
	    test -x $(BIN)/python || uv venv -q --python $(PYTHON) $(VENV); \
	    uv pip install -q -p $(BIN)/python $(NEEDS) -e '$(1)'; \
	else \
	    test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV); \
	    $(BIN)/python -m pip install -q --disable-pip-version-check $(NEEDS) -e '$(1)'; \
	fi; \
	touch $@
endef
