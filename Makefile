# Two commands matter: `make demo` and `make test`. Both set up what they need.
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
# Without bytecode every process would compile the project anew, and the sandbox its workflows for each request.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo dev test check faults planted bench histories lock clean
.DEFAULT_GOAL := help

help:            ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 12

$(VENV)/.ready: requirements-dev.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Kaiji needs $(PYTHON); set PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

setup: $(VENV)/.ready  ## virtual environment with kaiji in it

demo: setup      ## the whole story on real servers (KEEP=1 leaves them running)
	@$(BIN)/kaiji demo $(if $(KEEP),--keep)

dev: setup       ## the stack to explore, until Ctrl-C
	@$(BIN)/kaiji dev

check: setup     ## ruff, mypy --strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check      ## all checks and the whole test suite
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

faults: setup    ## processes killed at many more moments, and all else that takes longer than `make test` may
	$(BIN)/pytest tests/faults -m "long or not long"
	$(BIN)/pytest --ignore=tests/faults -m long

planted: setup   ## bugs planted one by one, to see the random interleavings find each
	$(BIN)/python -m tests.workflows.planted

bench: setup     ## requests through closure, as a ratio to a bare workflow
	$(BIN)/python -m benchmarks.requests

histories: setup ## record the workflows' histories anew
	$(BIN)/python -m tests.histories.record

lock:            ## hashed requirements from the .in files, without a registry's address
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header requirements.in -o requirements.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -c requirements.txt requirements-dev.in -o requirements-dev.txt

clean:           ## remove what was built, not the home
	rm -rf $(VENV) build *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
