# Two commands for a fresh machine: `make demo` and `make test`. Each installs what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: help venv deb demo run test quick cover lint format screenshots bench bench-peers endurance fleet mutants lock clean e2e e2e-arm64 e2e-screen
.DEFAULT_GOAL := help

help: ## the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(STAMP): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || tools/need ensurepip:python3-venv
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

venv: $(STAMP) ## the virtual environment, from the committed lock

demo: $(STAMP) ## the whole product on a simulated crowd; Ctrl-C ends it and leaves nothing behind
	@tools/need mosquitto mosquitto_sub:mosquitto-clients
	@$(BIN)/python -m edge_scanner.demo $(DEMO_ARGS)

run: $(STAMP) ## the daemon with config/scanner.toml
	$(BIN)/edge-scanner run --config config/scanner.toml

test: $(STAMP) ## every test that an ordinary user can run: no root, no guest machine
	@tools/need $(TEST_TOOLS)
	$(BIN)/python -m pytest -m 'not system' $(PARALLEL) $(PYTEST_ARGS)

e2e: $(STAMP) ## every test that boots, mounts or installs; root: guests with a real kernel and bluetoothd, clean Debian trees
	@[ "$$(id -u)" = 0 ] || { echo "make e2e boots, mounts and installs; run it as root" >&2; exit 77; }
	@tools/need $(TEST_TOOLS) $(SYSTEM_TOOLS)
	$(BIN)/python -m pytest -m system $(PARALLEL) $(PYTEST_ARGS)

# Most tests wait: three processes keep two cores busy. The tests of a file stay together.
PARALLEL := -n 3 --dist loadfile --no-loadscope-reorder
TEST_TOOLS := mosquitto mosquitto_sub:mosquitto-clients dbus-daemon:dbus systemd-analyze:systemd chromium zbarimg:zbar-tools \
  pdftoppm:poppler-utils promtool:prometheus pg_ctlcluster:postgresql
SYSTEM_TOOLS := ip:iproute2 debootstrap dpkg-deb:dpkg qemu-aarch64-static:qemu-user-static qemu-system-x86_64:qemu-system-x86 \
  busybox:busybox-static cpio depmod:kmod bluetoothd:bluez

e2e-arm64: $(STAMP) ## the arm64 package under systemd in a QEMU guest, with a virtual adapter; root, ten minutes
	@tools/need $(ARM64_BED)
	$(BIN)/python -m tests.e2e.arm64.run

e2e-screen: $(STAMP) ## the venue's screen on Debian 12 and 13, each in a QEMU guest with a display; root, five minutes
	@tools/need $(SCREEN_BED)
	$(BIN)/python -m tests.e2e.screen.run

SCREEN_BED := qemu-system-x86_64:qemu-system-x86 mmdebstrap dpkg-deb:dpkg mke2fs:e2fsprogs cpio depmod:kmod zbarimg:zbar-tools
ARM64_BED := qemu-system-aarch64:qemu-system-arm qemu-aarch64-static:qemu-user-static arch-test mmdebstrap dpkg-deb:dpkg mke2fs:e2fsprogs cpio depmod:kmod

quick: $(STAMP) ## the unit tests
	$(BIN)/python -m pytest tests/unit -m 'not slow'

cover: $(STAMP) ## the unit tests reach every branch of core and protocols
	$(BIN)/python -m pytest -q $(PARALLEL) tests/unit --cov=edge_scanner.core --cov=edge_scanner.protocols --cov-branch --cov-fail-under=100

lint: $(STAMP) ## formatter, linter, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(STAMP) ## rewrite the sources in the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

screenshots: $(STAMP) ## the guides' pictures of kiosk, bench and doctor, into docs/images
	@tools/need chromium
	$(BIN)/python -m tests.support.screenshots
	$(BIN)/python -m tests.support.fleet_screens

deb: $(STAMP) ## the box's Debian packages for amd64 and arm64, into dist/
	@tools/need dpkg-deb:dpkg
	$(BIN)/python tools/make-deb --arch amd64
	$(BIN)/python tools/make-deb --arch arm64

bench: $(STAMP) ## the quick benchmarks, as tables; BENCH_ARGS="load --json" chooses
	@tools/need mosquitto dbus-daemon:dbus chromium
	$(BIN)/python -m tests.bench $(BENCH_ARGS)

.cache/peers/.installed:
	$(PYTHON) -m venv .cache/peers
	.cache/peers/bin/pip install --quiet "TheengsGateway==1.8.0" "habluetooth==7.1.2"
	@touch $@

bench-peers: $(STAMP) .cache/peers/.installed ## ours beside Theengs Gateway, habluetooth and bare bleak, into docs/measurements.md
	@tools/need mosquitto mosquitto_sub:mosquitto-clients dbus-daemon:dbus
	$(BIN)/python -m tests.bench.peers --write

endurance: $(STAMP) ## a fortnight of twenty venues in half an hour, into docs/measurements.md
	$(BIN)/python -m tests.bench.endurance --write

fleet: $(STAMP) ## 10,000 boxes on one broker, a RabbitMQ cluster that loses a node, into docs/measurements.md
	@tools/need mosquitto rabbitmq-server
	$(BIN)/python -m tests.bench.fleet --write
	$(BIN)/python -m tests.bench.rabbitmq --write

.cache/mutmut:
	$(BIN)/pip install --quiet --target $@ "mutmut==3.8.1"

mutants: $(STAMP) .cache/mutmut ## mutation testing of core and protocols within half an hour, into docs/measurements.md
	$(BIN)/python -m tests.bench.mutants --minutes 25 --write

lock: ## renew requirements.lock from pyproject.toml
	uv pip compile --universal --python-version 3.11 --all-extras --generate-hashes --no-emit-index-url --no-header \
	  --output-file requirements.lock pyproject.toml requirements.build.in

clean: ## remove what make made
	rm -rf $(VENV) .demo .cache build dist .mypy_cache .ruff_cache .pytest_cache
