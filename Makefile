# `make` installs amal into .venv and runs every lab; `make test` installs the test tools too and runs the checks.
PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := labs
.PHONY: labs test lint clean

labs: .venv/installed
	$(BIN)/amal labs

# A process on each core, with one thread: threads that share a core slow each other down. Bytecode is kept, as the tests
# start Python a hundred times. A process begins with whole files (worksteal), so that their fixtures are made once.
test: .venv/installed-test lint
	OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --numprocesses=auto --maxprocesses=8 --dist=worksteal

lint: .venv/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf .venv

# The stamps are touched last: an installation that was cut short is started again.
$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "amal needs Python 3.10 or newer; set one with: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; echo "no virtual environment could be made; on Debian and Ubuntu: apt install python3-venv"; exit 1; }

.venv/installed: setup.cfg pyproject.toml | $(BIN)/pip
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

.venv/installed-test: .venv/installed
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch $@
