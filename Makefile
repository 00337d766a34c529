# make run: the dashboard on this machine. make test: every test. Both need Python 3.11 or newer and nothing else.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TOOLS := $(VENV)/tools
INSTALL := pip install --quiet --disable-pip-version-check
LOCK := UV_SYSTEM_CERTS=1 $(TOOLS)/bin/uv pip compile --quiet --universal --python-version 3.11.5 --generate-hashes --no-config \
	--no-header --no-annotate --constraint constraints.txt
SITE := build/docs/index.html
# With --quiet, --strict would count no warning.
MKDOCS := NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build
TEMPLATES = $(shell find templates -name '*.html')

# A home and settings that only checks use.
CHECK := CANOPY_HOME=$(VENV)/check-home
PRODUCTION := $(CHECK) CANOPY_HTTPS=1 ALLOWED_HOSTS=canopy.example.org

.PHONY: run dev test check audit bench faults fuzz format texts docs lock sbom clean debian

run: $(STAMP) $(SITE)
	@exec $(BIN)/python manage.py run

# As `make run`, in a home of its own, with DEBUG; worker and web restart when a Python file changes.
dev: $(STAMP)
	@CANOPY_HOME="$${CANOPY_HOME:-var/dev}" CANOPY_DEBUG="$${CANOPY_DEBUG:-$${DEBUG:-1}}" exec $(BIN)/python manage.py run --reload

test: $(STAMP) debian
	$(BIN)/python -m pytest -n 5 --dist loadfile --no-loadscope-reorder

check: $(STAMP) debian audit
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy -p orchestration -p dashboard -p tests
	$(BIN)/lint-imports --no-logo
	$(BIN)/djade --check $(TEMPLATES)
	$(BIN)/typos
	$(BIN)/python -m tests.deployment.manifests
	$(CHECK) $(BIN)/python manage.py makemigrations --check --dry-run -v0
	$(PRODUCTION) $(BIN)/python manage.py check --deploy --fail-level WARNING

bench: $(STAMP) debian
	$(BIN)/python -m tests.benchmarks

# Parts that cause faults on purpose: `make faults PARTS=processors SECONDS=180`. All of them, for an hour each, by default.
faults: $(STAMP)
	$(BIN)/python -m tests.faults $(PARTS) --seconds $(or $(SECONDS),3600)

# Hostile requests to every route, on SQLite and PostgreSQL: `make fuzz INPUTS=10000`.
fuzz: $(STAMP) debian
	$(BIN)/python -m tests.fuzz --inputs $(or $(INPUTS),10000)

# Known vulnerabilities of what production runs on. Without a way to the advisories it says so, and goes on.
audit:
	@$(MAKE) --no-print-directory $(TOOLS)/.installed >/dev/null 2>&1 || \
		{ echo "pip-audit: skipped, because it cannot be installed from here."; exit 0; }; \
	found=$$($(TOOLS)/bin/pip-audit --progress-spinner off --timeout 30 --disable-pip -r requirements.txt 2>&1); ended=$$?; \
	if echo "$$found" | grep -q '^Found [0-9]* known'; then echo "$$found"; exit 1; \
	elif test $$ended != 0 || echo "$$found" | grep -q 'could not be audited'; then \
		echo "pip-audit: skipped, because the advisories cannot be reached from here."; \
	else echo "pip-audit: $$found"; fi

# After a dependency was added or moved (pyproject.toml, constraints.txt): writes the files with hashes.
lock: $(TOOLS)/.installed
	$(LOCK) --extra dashboard --extra otel --extra s3 --output-file requirements.txt pyproject.toml
	$(LOCK) --extra dashboard --extra embedded --extra s3 --extra otel --extra dev --output-file requirements-dev.txt pyproject.toml
	$(LOCK) --group release --output-file requirements-tools.txt

# The site of docs/, into build/docs, which a wheel contains and the dashboard serves at /docs. First
# the pages that are generated from the code.
docs: $(STAMP)
	$(CHECK) $(BIN)/python manage.py docs
	$(MKDOCS) --strict --site-dir build/docs.$$$$ && rm -rf build/docs && mv build/docs.$$$$ build/docs

# So that `make run` has documentation at /docs.
$(SITE): mkdocs.yml CHANGELOG.md CONTRIBUTING.md SECURITY.md $(shell find docs -type f) | $(STAMP)
	@$(MKDOCS) --quiet --site-dir build/docs.$$$$ && rm -rf build/docs && mv build/docs.$$$$ build/docs || echo "The documentation cannot be built."

# What a release consists of, as CycloneDX.
sbom: $(TOOLS)/.installed
	@mkdir -p dist
	$(TOOLS)/bin/cyclonedx-py requirements --pyproject pyproject.toml --output-format JSON --output-file dist/canopy.cdx.json requirements.txt

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

# What requirements-dev.txt names, each file with a hash that it has to have; again whenever that changes.
$(STAMP): pyproject.toml requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11, 5))' || \
		{ echo "Canopy needs Python 3.11.5 or newer; '$(PYTHON)' is not. Name one: make PYTHON=..." >&2; exit 1; }
	@echo "Installing into $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/$(INSTALL) --require-hashes --no-deps --requirement requirements-dev.txt
	@$(BIN)/$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(TOOLS)/.installed: requirements-tools.txt
	@$(PYTHON) -m venv $(TOOLS)
	@$(TOOLS)/bin/$(INSTALL) --require-hashes --no-deps --requirement requirements-tools.txt
	@touch $@

debian:
	@sh tests/support/install_debian.sh

clean:
	rm -rf $(VENV) *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build
