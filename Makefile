# Every target sets itself up: `make demo` and `make test` are all that a fresh clone needs.
#   make demo   send 2,000 contacts through a local sandbox        make bench  measure
#   make install  put `dispatcher` into .venv/bin                  make fmt    format the code
#   make test   all checks and all tests                           make lock   pin requirements again
#   make check  format, lint, types, import contracts              make crash  kill runs, compare
#   make clean  remove what the targets made
#   make round-trip  from Snowflake and back, against a local server
#   make picture  draw docs/demo.svg from a demo              make diagnose  faults by monitors
#   make properties  1,000 examples of each property that has no number of its own (EXAMPLES=1000)
#   make test-long  plays of minutes, most with PostgreSQL, that are too long for make test
#   make test-postgres  the acceptance suites with ledgers in PostgreSQL
#   make crash-posts  kill runs while clients repeat every post, compare
#   make crash LEDGER=postgres  kill runs whose ledger is in PostgreSQL, and servers, compare
#   make sinks  kill exports to each kind of sink at each step, compare the rows
#   make failover  kill, stop and drain the leader of two dispatchers, compare (KILLS=50)
#   make page-check  look at the page of a run in a real browser (needs chromium and npm)
#   make schema  write the schema of dispatcher.toml from settings and comments
#   make contract  write docs/openapi-*.json and docs/postman-*.json, lint and play them (needs npm)
#   make fuzz  2,000 requests of schemathesis to each dialect of the sandbox
#   make receiver  send metrics to npm's statsd (needs node and npm), and compare what it reads
#   make docs   build the documentation as a site, in var/site      make man    man page, completions
#   make dist   wheel and source distribution      make wheel-check  build twice, install, send
#   make sbom   the parts of the product, CycloneDX
#   make container-check  execute the image's steps without an engine (needs root)
#   make systemd-check  boot systemd in a namespace, and run the unit (needs root)
# Another Python: make test PYTHON=python3.12. Kills with first calls learnt: make crash FIRST_CALL=learn

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
WORKERS ?= 6
FIRST_CALL ?= check
KILLS ?= 50
LEDGER ?= file
EXAMPLES ?= 1000
CONTRACT_TOOLS = @stoplight/spectral-cli@6.16.3 @redocly/cli@2.77.0 newman@6.2.2 @taplo/cli@0.7.0
PARTS ?= postgres
export PIP_DISABLE_PIP_VERSION_CHECK = 1

INSTALL = $(BIN)/python -m pip install --quiet
LOCKED = $(INSTALL) --require-hashes -r requirements/build.txt
PROJECT = PYTHONWARNINGS=ignore $(INSTALL) --no-deps --no-build-isolation -e .
COMPILE = CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet --no-config $(UPGRADE) \
	--generate-hashes --strip-extras --allow-unsafe --no-emit-options

.DEFAULT_GOAL = help
.PHONY: help demo install test test-long test-postgres check bench round-trip crash crash-posts failover \
	sinks diagnose properties picture receiver fmt lock clean page-check schema contract fuzz dist \
	wheel-check container-check systemd-check sbom man docs

help:
	@sed -n '/^#/!q; s/^# \{0,1\}//p' Makefile

demo: $(VENV)/.run
	@$(BIN)/dispatcher demo $(ARGS)

install: $(VENV)/.run
	@echo "To use it in this shell: . $(abspath $(VENV))/bin/activate"

test: check
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup $(ARGS)

check: $(VENV)/.dev
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m tests.support.wording

bench: $(VENV)/.bench
	@$(BIN)/python -m benchmarks.run $(ARGS)

test-long: $(VENV)/.dev
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -m long $(ARGS)

test-postgres: $(VENV)/.dev
	@LEDGER=postgres $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup tests/acceptance $(ARGS)

crash-posts: $(VENV)/.dev
	@$(BIN)/python -m tests.support.posting_crash $(ARGS)

sinks: $(VENV)/.dev
	@$(BIN)/python -m tests.support.sinks_whole $(ARGS)

crash: $(VENV)/.dev
	@$(BIN)/python -m tests.support.crash_whole --first-call $(FIRST_CALL) --ledger $(LEDGER) \
		$(ARGS)

failover: $(VENV)/.dev
	@$(BIN)/python -m tests.support.failover --kills $(KILLS) $(ARGS)

diagnose: $(VENV)/.dev
	@$(BIN)/python -m tests.diagnose.run $(ARGS)

properties: $(VENV)/.dev
	@EXAMPLES=$(EXAMPLES) $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal tests/property $(ARGS)

round-trip: $(VENV)/.dev
	@$(BIN)/python -m tests.support.round_trip

picture: $(VENV)/.dev
	@$(BIN)/python -m tests.support.demo_picture

schema: $(VENV)/.dev
	@$(BIN)/python -m tests.support.config_schema

contract: $(VENV)/.dev
	@$(BIN)/python -m dispatcher.sandbox.openapi.write docs
	@npm install --silent --no-audit --no-fund --prefix var/contract $(CONTRACT_TOOLS)
	@PATH="$$PWD/var/contract/node_modules/.bin:$$PATH" $(BIN)/python -m tests.support.contract_tools

fuzz: $(VENV)/.dev requirements/fuzz.txt
	@test -e var/fuzz/bin/schemathesis || $(BIN)/python -m venv var/fuzz
	@var/fuzz/bin/python -m pip install --quiet --require-hashes -r requirements/fuzz.txt
	@$(BIN)/python -m tests.support.fuzz var/fuzz/bin/schemathesis $(ARGS)

receiver: $(VENV)/.dev
	@npm install --silent --no-audit --no-fund --omit=optional --prefix var/receiver statsd@0.9.0
	@$(BIN)/python -m tests.support.real_receiver var/receiver/node_modules

PAGE = var/page
page-check: $(VENV)/.dev
	@npm install --silent --no-audit --no-fund --prefix $(PAGE) axe-core@4.14.1
	@[ -e $(PAGE)/venv/bin/python ] || $(BIN)/python -m venv $(PAGE)/venv
	@$(PAGE)/venv/bin/python -m pip install --quiet playwright==1.65.2
	@$(BIN)/python -m tests.support.page_check $(PAGE)
dist: $(VENV)/.dev
	@$(BIN)/python -m tests.support.distributions dist

wheel-check: $(VENV)/.dev
	@$(BIN)/python -m tests.support.distributions dist --check

container-check: $(VENV)/.dev
	@$(BIN)/python -m tests.support.container_steps

systemd-check: $(VENV)/.dev
	@$(BIN)/python -m tests.support.systemd_steps

man: $(VENV)/.dev
	@$(BIN)/python -m tests.support.man_page dist/man

sbom: $(VENV)/.sbom
	@mkdir -p dist
	@PYTHONWARNINGS=ignore $(BIN)/cyclonedx-py requirements requirements/$(PARTS).txt --pyproject pyproject.toml \
		--output-reproducible --output-file dist/dispatcher.cdx.json

docs: $(VENV)/.docs
	@$(BIN)/python -m tests.support.docs_site

fmt: $(VENV)/.dev
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

# `make lock UPGRADE=--upgrade` takes the newest versions, without it pins that still fit stay.
lock: $(VENV)/.dev
	$(COMPILE) --all-build-deps --only-build-deps -o requirements/build.txt pyproject.toml
	$(COMPILE) -o requirements/base.txt pyproject.toml
	$(COMPILE) --extra dev -c requirements/base.txt -c requirements/build.txt \
		-o requirements/dev.txt pyproject.toml
	$(COMPILE) --extra postgres -c requirements/base.txt -c requirements/dev.txt \
		-o requirements/postgres.txt pyproject.toml
	for tools in bench docs sbom; do $(COMPILE) -c requirements/dev.txt \
		-o requirements/$$tools.txt requirements/$$tools.in || exit 1; done
	$(COMPILE) -o requirements/fuzz.txt requirements/fuzz.in

clean:
	rm -rf $(VENV) build dist var dispatcher.egg-info .pytest_cache .mypy_cache .ruff_cache \
		.hypothesis .import_linter_cache
	find dispatcher tests benchmarks -type d -name __pycache__ -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or newer is needed; name one with: make PYTHON=python3.12" >&2; exit 2; }
	@echo "Creating $(VENV) ..."
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "$(PYTHON) cannot create a virtual environment; is its venv module installed?" >&2; \
		exit 2; }

# The packages of a run; .dev has these and the tools, so that it serves both.
$(VENV)/.run: requirements/build.txt requirements/base.txt pyproject.toml | $(BIN)/python
	@if [ ! -e $(VENV)/.dev ]; then echo "Installing what a run needs ..."; \
		$(LOCKED) -r requirements/base.txt && $(PROJECT); \
	else $(MAKE) --no-print-directory $(VENV)/.dev; fi
	@touch $@

$(VENV)/.dev: requirements/build.txt requirements/dev.txt pyproject.toml | $(BIN)/python
	@echo "Installing what a run, the checks and the tests need ..."
	@$(INSTALL) --require-hashes -r requirements/dev.txt
	@$(PROJECT)
	@touch $@

# The tools of one target: what the benchmarks compare with, what builds the site or lists the parts.
$(VENV)/.bench $(VENV)/.docs $(VENV)/.sbom: $(VENV)/.%: requirements/%.txt $(VENV)/.dev
	@echo "Installing what make $* needs ..."
	@$(INSTALL) --require-hashes -r $<
	@touch $@
