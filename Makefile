# `make help` lists what there is. The first command installs what it needs into .tools and .venv: nothing system-wide.
# PYTHON=/path/to/python3.13 chooses the interpreter, before the first command.

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint bench bench-telemetry bench-audit bench-outbox bench-retention bench-service test-matrix test-image clean

SERVICE := {{cookiecutter.project_slug}}
TOOLS := .tools
UV := $(TOOLS)/bin/uv
RUN := .venv/bin
BAKE := $(RUN)/cookiecutter . --no-input --default-config --output-dir
JOBS := auto
QUICK :=
PYTEST := $(RUN)/pytest -n $(JOBS) --dist loadgroup
# The interpreter that .tools was made with; nothing is downloaded to replace it.
export UV_PYTHON_DOWNLOADS := never
# The machine's certificates: behind a company's proxy there are no others.
export UV_SYSTEM_CERTS := 1
unexport VIRTUAL_ENV
# Some images set it: each process would then compile all of its libraries again, which takes longer than to start.
unexport PYTHONDONTWRITEBYTECODE

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' Makefile

setup: .venv/.synced ## install everything, and no more
	@:

demo: .venv/.synced ## make a service, start it, follow five requests through it; WALK=--exit stops after them
	@echo "Making a service in .bake/demo ..."
	@rm -rf .bake/demo && $(BAKE) .bake/demo >/dev/null
	@$(MAKE) --no-print-directory -C .bake/demo/order-service TOOLS=../../../$(TOOLS) demo
	@echo "The service is yours to read and run: cd .bake/demo/order-service && make up"

test: lint ## everything: answers, rendering, and the checks of the services that come out
	$(PYTEST)

lint: .venv/.synced ## style and types of the template's own code
	$(RUN)/ruff format --check .
	$(RUN)/ruff check .
	$(RUN)/mypy

bench: bench-service ## CPU per request against bare FastAPI, and time to the first answer; also in benchmarks/results
	@$(BENCH)/.venv/bin/python benchmarks/bench_telemetry.py $(BENCH) get
	@$(RUN)/python benchmarks/bench_start.py

bench-telemetry: bench-service ## what logs, metrics and traces cost: CPU per request, memory, time to start; a collector that hangs
	@$(BENCH)/.venv/bin/python benchmarks/bench_telemetry.py $(BENCH)

bench-audit: bench-service ## what writers pay for the audit log, beside two chains inside the transaction
	@$(BENCH)/.venv/bin/python benchmarks/bench_audit.py $(BENCH)

bench-outbox: bench-service ## what the outbox promises, each beside a variant that must break it; QUICK=--quick for a minute's worth
	@$(BENCH)/.venv/bin/python benchmarks/bench_outbox.py $(BENCH) $(QUICK)

bench-retention: bench-service ## a million old rows archived, verified and removed, and what customers notice of it; QUICK=--quick
	@$(BENCH)/.venv/bin/python benchmarks/bench_retention.py $(BENCH) $(QUICK)

test-matrix: .venv/.synced ## a service's checks on every Python here, with the oldest and the newest dependencies
	$(RUN)/pytest tests/matrix.py

test-image: .venv/.synced ## the tests of the image alone: built, described, scanned, and run without rights
	$(RUN)/pytest tests/test_image.py

clean: ## delete what was installed, made and cached
	rm -rf .venv .tools .bake .cache .mypy_cache .ruff_cache .pytest_cache benchmarks/results
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# As the template is now.
BENCH := .bake/bench/order-service
PEERS := asgi-correlation-id loguru opentelemetry-instrumentation-fastapi prometheus-fastapi-instrumentator

bench-service: .venv/.synced ## the service that is measured, and the libraries that it is compared with
	@rm -rf .bake/bench && $(BAKE) .bake/bench >/dev/null
	@$(MAKE) --no-print-directory -C $(BENCH) TOOLS=../../../$(TOOLS) setup
	@$(UV) pip install --quiet --prerelease if-necessary-or-explicit --python $(BENCH)/.venv/bin/python $(PEERS)

$(UV):
	@sh '$(SERVICE)/dev/install_uv.sh' $(TOOLS)

.venv/.synced: pyproject.toml | $(UV)
	@echo "Installing the dependencies into .venv ..."
	@$(UV) sync --quiet --python $(TOOLS)/bin/python
	@touch $@
