# Two commands for a fresh machine: `make demo` and `make test`. Each installs what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCKS := packaging/locks
# The runtime alone, with what the demo's centre or an authority's desk needs besides, and with all tools.
BOX := $(VENV)/.box
DEMO := $(VENV)/.demo
DESK := $(VENV)/.desk
STAMP := $(VENV)/.installed
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: help venv docs deb laptop central release demo demo-tracing run test quick cover lint format advisories screenshots bench ratios compare bench-peers endurance fleet mutants lock clean e2e e2e-arm64 e2e-screen
.DEFAULT_GOAL := help

help: ## the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

# A target's NEEDS (commands and their Debian packages) are asked for at once with what the environment itself needs.
# Nothing is resolved or built while installing: a lock says it all, so what is published later changes nothing.
# Nothing is compiled, either: Python keeps that of what is imported; all of it would be a quarter of the disk.
LOCKED := -m pip install --quiet --no-deps --no-compile --only-binary=:all: --require-hashes -r $(LOCKS)

$(BOX): pyproject.toml $(LOCKS)/box.lock $(LOCKS)/build.lock
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || tools/need ensurepip:python3-venv $(NEEDS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "make: $(PYTHON) is no Python 3.11 or newer; name one: make PYTHON=python3.12 ..." >&2; exit 69; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python $(LOCKED)/box.lock -r $(LOCKS)/build.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	$(BIN)/python -m pip check
	@touch $@

$(DEMO): $(BOX) $(LOCKS)/demo.lock
	$(BIN)/python $(LOCKED)/demo.lock
	$(BIN)/python -m pip check
	@touch $@

$(DESK): $(BOX) $(LOCKS)/laptop.lock
	$(BIN)/python $(LOCKED)/laptop.lock
	$(BIN)/python -m pip check
	@touch $@

$(STAMP): $(BOX) $(LOCKS)/developer.lock
	$(BIN)/python $(LOCKED)/developer.lock
	$(BIN)/python -m pip check
	@touch $@

venv: $(STAMP) ## the virtual environment with all tools, from the committed locks

demo: NEEDS = mosquitto mosquitto_sub:mosquitto-clients
demo: $(DEMO) ## box, broker and centre on a simulated crowd; Ctrl-C ends it and leaves nothing behind
	@tools/need $(NEEDS)
	@$(BIN)/python -m edge_scanner.demo $(DEMO_ARGS)

demo-tracing: NEEDS = mosquitto mosquitto_sub:mosquitto-clients
demo-tracing: $(DESK) ## a health authority's night on the demo's box, step by step: order, approval, pull, release, report
	@tools/need $(NEEDS)
	@$(BIN)/python -m edge_scanner.demo.tracing $(DEMO_ARGS)

run: $(BOX) ## the daemon with config/scanner.toml
	$(BIN)/edge-scanner run --config config/scanner.toml

test: NEEDS = $(TOOLS) $(USER_TOOLS)
test: PROCESSES := 8
test: $(STAMP) ## every test that an ordinary user can run: no root, no guest machine
	@tools/need $(NEEDS)
	$(BIN)/python -m pytest -m 'not system' $(PARALLEL) $(PYTEST_ARGS)

e2e: NEEDS = $(TOOLS) $(SYSTEM_TOOLS)
e2e: $(STAMP) ## every test that boots, mounts, installs, or repeats a proof at length; root: guests with a real kernel and bluetoothd, clean Debian trees
	@[ "$$(id -u)" = 0 ] || { echo "make e2e boots, mounts and installs; run it as root" >&2; exit 77; }
	@tools/need $(NEEDS)
	$(BIN)/python -m pytest -m system $(PARALLEL) $(PYTEST_ARGS)

# The tests of a file stay together. Most tests of `make test` wait, so it takes more processes to keep two cores busy.
PROCESSES := 4
PARALLEL = -n $(PROCESSES) --dist loadfile --no-loadscope-reorder
TOOLS := softhsm2-util:softhsm2 mosquitto mosquitto_sub:mosquitto-clients dbus-daemon:dbus systemd-analyze:systemd minisign
# Playwright brings a program of its own that asks for libatomic, which Debian 12's Chromium does not.
BROWSER := chromium libatomic.so.1:libatomic1
USER_TOOLS := $(BROWSER) zbarimg:zbar-tools pdftoppm:poppler-utils promtool:prometheus pg_ctlcluster:postgresql \
  man:man-db fish zsh
SYSTEM_TOOLS := ip:iproute2 ssh:openssh-client debootstrap dpkg-deb:dpkg qemu-aarch64-static:qemu-user-static qemu-system-x86_64:qemu-system-x86 \
  busybox:busybox-static cpio depmod:kmod xz:xz-utils buildah

e2e-arm64: NEEDS = $(ARM64_BED)
e2e-arm64: $(STAMP) ## the arm64 package under systemd in a QEMU guest, with a virtual adapter; root, ten minutes
	@tools/need $(NEEDS)
	$(BIN)/python -m tests.e2e.arm64.run

e2e-screen: NEEDS = $(SCREEN_BED)
e2e-screen: $(STAMP) ## the venue's screen on Debian 12 and 13, each in a QEMU guest with a display; root, five minutes
	@tools/need $(NEEDS)
	$(BIN)/python -m tests.e2e.screen.run

SCREEN_BED := qemu-system-x86_64:qemu-system-x86 mmdebstrap dpkg-deb:dpkg mke2fs:e2fsprogs cpio depmod:kmod zbarimg:zbar-tools
ARM64_BED := qemu-system-aarch64:qemu-system-arm qemu-aarch64-static:qemu-user-static arch-test mmdebstrap dpkg-deb:dpkg mke2fs:e2fsprogs cpio depmod:kmod

quick: $(STAMP) ## the unit tests
	$(BIN)/python -m pytest tests/unit -m 'not slow'

cover: $(STAMP) ## the unit tests reach every branch of core and protocols
	$(BIN)/python -m pytest -q $(PARALLEL) tests/unit --cov=edge_scanner.core --cov=edge_scanner.protocols --cov-branch --cov-fail-under=100

lint: $(STAMP) ## formatter, linter, types, workflows, changelog fragments
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/zizmor --quiet --offline --no-progress --persona=auditor .github
	$(BIN)/towncrier build --draft --version next >/dev/null

format: $(STAMP) ## rewrite the sources in the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.cache/docs/.installed: $(LOCKS)/docs.lock $(LOCKS)/laptop.lock
	$(PYTHON) -m venv --clear .cache/docs
	.cache/docs/bin/python $(LOCKED)/laptop.lock
	.cache/docs/bin/python $(LOCKED)/docs.lock
	@touch $@

docs: .cache/docs/.installed ## the documentation as a site, into build/site
	PYTHONPATH=. .cache/docs/bin/mkdocs build --config-file tools/site/mkdocs.yml

screenshots: NEEDS = $(BROWSER)
screenshots: $(STAMP) ## the guides' pictures of kiosk, bench and doctor, into docs/images
	@tools/need $(NEEDS)
	$(BIN)/python -m tests.support.screenshots
	$(BIN)/python -m tests.support.fleet_screens

deb: NEEDS = dpkg-deb:dpkg
deb: $(BOX) ## the box's Debian packages for amd64 and arm64, into dist/
	@tools/need $(NEEDS)
	$(BIN)/python tools/make-deb --arch amd64
	$(BIN)/python tools/make-deb --arch arm64

# A folder for machines without a network. Words: the lock, and the programs whose manual pages it holds.
define FOLDER
	rm -rf dist/$@ build
	$(BIN)/python -m pip download --quiet --no-deps --only-binary=:all: --require-hashes -r $(LOCKS)/$(1).lock --dest dist/$@
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist/$@ .
	cp $(LOCKS)/$(1).lock dist/$@
	$(BIN)/python tools/manuals.py $(2) dist/$@/share
endef

laptop: $(BOX) ## wheels, manual pages and completions for a laptop with this Python and processor, into dist/laptop
	$(call FOLDER,laptop,edge-authority=edge_scanner.authority.cli edge-provision=provisioning.cli)

central: $(BOX) ## the same for the centre's machine, into dist/central
	$(call FOLDER,central,edge-central=edge_scanner.central.cli)

release: NEEDS = dpkg-deb:dpkg
release: $(BOX) ## packages, bills of materials, wheel and SHA256SUMS of the tag that is checked out, into dist/
	@tools/need $(NEEDS)
	PYTHON=$(abspath $(BIN)/python) tools/make-release

bench: NEEDS = mosquitto dbus-daemon:dbus $(BROWSER)
bench: $(STAMP) ## the quick benchmarks, as tables; BENCH_ARGS="load --json" chooses
	@tools/need $(NEEDS)
	$(BIN)/python -m tests.benchmarks $(BENCH_ARGS)

ratios: $(STAMP) ## this version's ratios, measured on an idle machine in four minutes and kept; `make compare` reads them
	@tools/need mosquitto dbus-daemon:dbus
	$(BIN)/python -m tests.benchmarks.ratios --write

compare: $(STAMP) ## the ratios of the two newest releases beside each other
	$(BIN)/python -m tests.benchmarks.ratios

.cache/advisories/.installed: $(LOCKS)/advisories.lock
	$(PYTHON) -m venv --clear .cache/advisories
	.cache/advisories/bin/python $(LOCKED)/advisories.lock
	.cache/advisories/bin/python -m pip check
	@touch $@

# Each lock is read as it is: pip-audit resolves and installs nothing.
advisories: .cache/advisories/.installed ## known weaknesses in what the locks pin, from the index's own database
	@for lock in $(LOCKS)/*.lock; do \
	  echo "$$lock"; .cache/advisories/bin/pip-audit --strict --progress-spinner off --disable-pip --require-hashes -r $$lock || bad=1; \
	done; [ -z "$$bad" ]

.cache/peers/.installed: $(LOCKS)/peers-build.lock $(LOCKS)/peers.lock
	@tools/need $(NEEDS)
	$(PYTHON) -m venv --clear .cache/peers
	.cache/peers/bin/python $(LOCKED)/peers-build.lock
	# Three of theirs are published as sources alone: built with what the line above has installed, and a compiler.
	PATH="$(abspath .cache/peers/bin):$$PATH" .cache/peers/bin/python $(LOCKED)/peers.lock \
	  --no-binary=pyric,theengsdecoder,theengsgateway --no-build-isolation --use-pep517
	.cache/peers/bin/python -m pip check
	@touch $@

bench-peers: NEEDS = g++ mosquitto mosquitto_sub:mosquitto-clients dbus-daemon:dbus
bench-peers: $(STAMP) .cache/peers/.installed ## ours beside Theengs Gateway, habluetooth and bare bleak, into docs/measurements.md
	@tools/need $(NEEDS)
	$(BIN)/python -m tests.benchmarks.peers --write

endurance: $(STAMP) ## a fortnight of twenty venues in half an hour, into docs/measurements.md
	$(BIN)/python -m tests.benchmarks.endurance --write

fleet: NEEDS = mosquitto rabbitmq-server
fleet: $(STAMP) ## 10,000 boxes on one broker, a RabbitMQ cluster that loses a node, into docs/measurements.md
	@tools/need $(NEEDS)
	$(BIN)/python -m tests.benchmarks.fleet --write
	$(BIN)/python -m tests.benchmarks.rabbitmq --write

.cache/mutmut: $(STAMP) $(LOCKS)/mutants.lock
	rm -rf $@
	$(BIN)/python $(LOCKED)/mutants.lock --target $@
	@touch $@

mutants: .cache/mutmut ## mutation testing of core and protocols, and each rule against old attacks taken out, into docs/measurements.md
	$(BIN)/python -m tests.benchmarks.mutants --minutes 25 --write
	$(BIN)/python -m tests.benchmarks.rules --write

# The developer's lock is made first; the others hold a part of it, in the same versions.
COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header
lock: ## renew packaging/locks from pyproject.toml: each serves x86-64 and aarch64, Python 3.11 to 3.14
	$(COMPILE) --all-extras --group build --output-file $(LOCKS)/developer.lock pyproject.toml
	$(COMPILE) --extra authority --extra hsm --constraint $(LOCKS)/developer.lock --output-file $(LOCKS)/laptop.lock pyproject.toml
	$(COMPILE) --extra central --extra parquet --constraint $(LOCKS)/developer.lock --output-file $(LOCKS)/central.lock pyproject.toml
	$(COMPILE) --extra central --constraint $(LOCKS)/developer.lock --output-file $(LOCKS)/demo.lock pyproject.toml
	$(COMPILE) --constraint $(LOCKS)/developer.lock --output-file $(LOCKS)/box.lock pyproject.toml
	$(COMPILE) --group build --constraint $(LOCKS)/developer.lock --output-file $(LOCKS)/build.lock
	$(COMPILE) --group advisories --output-file $(LOCKS)/advisories.lock
	$(COMPILE) --group docs --constraint $(LOCKS)/laptop.lock --output-file $(LOCKS)/docs.lock
	$(COMPILE) --group mutants --constraint $(LOCKS)/developer.lock --output-file $(LOCKS)/mutants.lock
	$(COMPILE) --group peers --output-file $(LOCKS)/peers.lock
	$(COMPILE) --group peers-build --output-file $(LOCKS)/peers-build.lock
	@# Nothing is compiled on a box, a desk or a centre: the index has a wheel of everything for every machine.
	@for lock in box build laptop central demo developer; do for python in 3.11 3.12 3.13 3.14; do for cpu in x86_64 aarch64; do \
	  uv pip install --quiet --dry-run --target .cache/none --python-platform $$cpu-manylinux_2_36 --python-version $$python \
	    --no-deps --only-binary=:all: --require-hashes -r $(LOCKS)/$$lock.lock || { echo "$$lock.lock: $$cpu, Python $$python" >&2; exit 1; }; \
	done; done; done

clean: ## remove what make made
	rm -rf $(VENV) .demo .cache build dist .mypy_cache .ruff_cache .pytest_cache
