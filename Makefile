# make run: the dashboard on this machine. make test: every test. Both need Python 3.11 or newer and nothing else.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TEMPLATES = $(shell find templates -name '*.html')

# A home and settings that only checks use.
CHECK := CANOPY_HOME=$(VENV)/check-home
PRODUCTION := $(CHECK) CANOPY_HTTPS=1 ALLOWED_HOSTS=canopy.example.org

.PHONY: run dev test check bench faults format texts clean debian

run: $(STAMP)
	@exec $(BIN)/python manage.py run

# As `make run`, in a home of its own, with DEBUG; worker and web restart when a Python file changes.
dev: $(STAMP)
	@CANOPY_HOME="$${CANOPY_HOME:-var/dev}" CANOPY_DEBUG="$${CANOPY_DEBUG:-$${DEBUG:-1}}" exec $(BIN)/python manage.py run --reload

test: $(STAMP) debian
	$(BIN)/python -m pytest -n 5 --dist loadfile --no-loadscope-reorder

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy -p orchestration -p dashboard -p tests
	$(BIN)/lint-imports --no-logo
	$(BIN)/djade --check $(TEMPLATES)
	$(BIN)/typos
	$(CHECK) $(BIN)/python manage.py makemigrations --check --dry-run -v0
	$(PRODUCTION) $(BIN)/python manage.py check --deploy --fail-level WARNING

bench: $(STAMP) debian
	$(BIN)/python -m tests.benchmarks

# Parts that cause faults on purpose: `make faults PARTS=processors SECONDS=180`. All of them, for an hour each, by default.
faults: $(STAMP)
	$(BIN)/python -m tests.faults $(PARTS) --seconds $(or $(SECONDS),3600)

# After a text was added or changed: finds them all, then compiles the translations. Needs Debian's gettext.
texts: $(STAMP)
	$(BIN)/python manage.py texts
	$(BIN)/python manage.py makemessages --locale de --ignore '.venv*' --ignore 'tests*' --ignore 'var*' --ignore 'docs*' --no-obsolete
	$(BIN)/python manage.py makemessages --locale de --domain djangojs --ignore '.venv*' --ignore 'tests*' --ignore 'var*' --no-obsolete
	$(BIN)/python manage.py compilemessages --locale de --ignore '.venv*'

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/djade $(TEMPLATES)

# Everything of pyproject.toml at the exact versions of constraints.txt, again whenever one of them changes.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Canopy needs Python 3.11 or newer; '$(PYTHON)' is not. Name one: make PYTHON=..." >&2; exit 1; }
	@echo "Installing into $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dashboard,embedded,dev]'
	@touch $@

debian:
	@sh tests/support/install_debian.sh

clean:
	rm -rf $(VENV) *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
