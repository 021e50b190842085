# `make run` and `make test` need nothing but make and Python 3.11 or newer.

PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3,\
	$(shell $(name) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(name))))
PY := .venv/bin/python
RUN_STAMP := .venv/installed-run-$(shell cat requirements.lock | cksum | cut -d' ' -f1)
DEV_STAMP := .venv/installed-dev-$(shell cat requirements-dev.lock | cksum | cut -d' ' -f1)
INSTALL := -m pip install --disable-pip-version-check --require-hashes
WORKERS ?= 3

.DEFAULT_GOAL := help
.PHONY: help run test axe fuzz lint lock sbom audit pin-images mutants bench schema clients docs seed clean

help:  ## Say what there is
	@echo "make run    start the CRM: PostgreSQL, Valkey, web, worker, beat (Ctrl-C stops all)"
	@echo "make test   run the whole test suite (WORKERS=3 processes)"
	@echo "make axe    look at every page of the admin site of a running CRM (make run) in a browser (an hour)"
	@echo "make fuzz   send every operation its boundary cases and FUZZ_EXAMPLES=20 others (an hour)"
	@echo "make mutants break each listed guard in turn and see its test fail (an hour; ARGS='--only webhook')"
	@echo "make bench  measure every kind of request at 10,000 to a million leads (half an hour; ARGS='--rows 10000')"
	@echo "make lint   check style, types, layers, migrations, deployment settings, API schema, documentation"
	@echo "make lock   write the locks from the requirements files (ARGS=--upgrade for newer dependencies)"
	@echo "make sbom   write what the image installs as CycloneDX, in sbom.json"
	@echo "make audit  look up what is locked in a database of known faults"
	@echo "make pin-images  write the digests of the base images into deploy/ (needs Docker and its registry)"
	@echo "make schema write docs/openapi.yaml and docs/postman.json from the code"
	@echo "make clients make the Python and TypeScript clients from docs/openapi.yaml, in clients/"
	@echo "make docs   build the documentation as a site, in site/"
	@echo "make seed   add demo data: make seed ARGS='--leads 1000'"
	@echo "make clean  stop the servers; remove their data, .venv and caches"

run: $(RUN_STAMP)
	@exec $(PY) -m backend.development.stack --stop-with-parent

test: $(DEV_STAMP)
	$(PY) -m pytest -n $(WORKERS) --maxschedchunk 8 --reruns 1 -rfER $(ARGS)

lint: $(DEV_STAMP)
	@if [ -n "$$(command -v npm)" ] && { [ ! -d clients/node_modules ] || \
			[ clients/package-lock.json -nt clients/node_modules/.package-lock.json ]; }; then \
		timeout 300 npm ci --prefix clients || { rm -rf clients/node_modules; \
			echo "The document's linters cannot be installed here: they are skipped."; }; fi
	$(PY) -m backend.development.lint

lock: | $(PY)
	@$(PY) -m pip install --disable-pip-version-check --quiet $$(grep -E '^uv==' requirements-dev.txt) packaging
	$(PY) -m backend.development.locks write $(ARGS)

sbom: $(DEV_STAMP)
	$(PY) -m backend.development.supply_chain sbom $(ARGS)

audit: $(DEV_STAMP)
	$(PY) -m backend.development.supply_chain audit $(ARGS)

pin-images: $(DEV_STAMP)
	$(PY) -m backend.development.supply_chain pin-images

axe: $(DEV_STAMP)
	$(PY) -m backend.development.page_check $(ARGS)

fuzz: $(DEV_STAMP)
	FUZZ_EXAMPLES=$(or $(FUZZ_EXAMPLES),20) $(PY) -m pytest tests/test_schema_fuzzing.py $(ARGS)

mutants: $(DEV_STAMP)
	$(PY) -m tests.mutants $(ARGS)

bench: $(DEV_STAMP)
	$(PY) -m benchmarks.performance $(ARGS)

schema: $(DEV_STAMP)
	$(PY) manage.py spectacular --validate --fail-on-warn --file docs/openapi.yaml
	$(PY) -m backend.development.postman

clients: $(DEV_STAMP)
	PATH="$(CURDIR)/.venv/bin:$$PATH" $(PY) -m openapi_python_client generate \
		--path docs/openapi.yaml --output-path clients/python --overwrite
	@if [ -n "$$(command -v npm)" ]; then npm ci --prefix clients && npm run --prefix clients types; \
		else echo "skipped the TypeScript types: there is no Node"; fi

docs: $(DEV_STAMP)
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict
	@echo "The pages are in site/: open site/index.html, or serve them with $(PY) -m http.server -d site"

seed: $(RUN_STAMP)
	$(PY) manage.py seed_demo $(ARGS)

clean:
	@if [ -x $(PY) ]; then $(PY) manage.py services remove || true; fi
	rm -rf .data .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .venv site
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(PY):
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; name it with make PYTHON=/path/to/python3"; exit 1; }
	@echo "Making .venv with $(PYTHON)"
	@$(PYTHON) -m venv .venv || { rm -rf .venv; echo "$(PYTHON) has no venv module: on Debian install python3-venv"; exit 1; }

$(RUN_STAMP): requirements.lock | $(PY)
	@echo "Installing what the CRM runs on (once, some minutes)"
	@$(PY) $(INSTALL) -r requirements.lock
	@rm -f .venv/installed-run-* && touch $@

$(DEV_STAMP): requirements-dev.lock | $(PY)
	@echo "Installing what tests and checks need (once, some minutes)"
	@$(PY) $(INSTALL) -r requirements-dev.lock
	@rm -f .venv/installed-dev-* && touch $@
