# make demo: set everything up and run the main job.   make test: set everything up and pass the tests.
PYTHON ?= python3
BIN := .venv/bin
RTSP_PACKAGES := python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good \
	gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly
BROWSER_PACKAGES := chromium fonts-dejavu-core
HAS_RTSP := /usr/bin/python3 tests/rtsp_server.py --check

.PHONY: demo test check bench faults endure mutants kills soak docs clip weights clean system-packages node-packages

demo: .venv/installed
	$(BIN)/argos run configs/demo.yaml

test: .venv/installed-dev system-packages node-packages
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

check: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

# every benchmark of docs/benchmarks.md, about a quarter of an hour on a machine with nothing else to do
bench: .venv/installed-dev
	-$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[export,openvino]'
	$(BIN)/python benchmarks/all.py

# what each fault of a camera, bad company on the publisher's port and slow subscribers do; a quarter of an hour
REPORT = status=$$?; $(BIN)/python benchmarks/render_faults.py; exit $$status
RECONNECTS ?= 1000
faults: .venv/installed
	$(BIN)/python benchmarks/faults.py --reconnects $(RECONNECTS) --json benchmarks/results/faults.json; $(REPORT)
	$(BIN)/python benchmarks/slow_subscribers.py --json benchmarks/results/slow_subscribers.json; $(REPORT)

# how ARGOS bears what is done to it; three hours with nothing else to do
endure: mutants kills soak
	$(MAKE) soak ISOLATE=process

MUTANTS ?= 10000
mutants: .venv/installed-dev
	$(BIN)/python benchmarks/mutants.py --count $(MUTANTS) --json benchmarks/results/mutants.json; $(REPORT)

KILLS ?= 100
kills: .venv/installed-dev
	$(BIN)/python benchmarks/kills.py --count $(KILLS) --json benchmarks/results/kills.json; $(REPORT)

MINUTES ?= 30
ISOLATE ?= thread
soak: .venv/installed-dev
	$(BIN)/python benchmarks/soak.py --minutes $(MINUTES) --reconnects $(RECONNECTS) --isolate $(ISOLATE) \
	  --json benchmarks/results/soak$(if $(filter process,$(ISOLATE)),_process).json; $(REPORT)

# docs/reference from the code; a test fails where it is stale
docs: .venv/installed-dev
	$(BIN)/python docs/make_reference.py

# the shipped sample clip and its ground truth, rendered again
clip: .venv/installed
	$(BIN)/python samples/make_clip.py

# trains the shipped weights again (hours); see docs/training.md
BACKBONE ?= efficientnet-lite0.pth
weights: .venv/installed-dev
	test -f "$(BACKBONE)" || { echo "make weights BACKBONE=FILE: ImageNet weights of EfficientNet-Lite0, see docs/training.md" >&2; exit 2; }
	$(BIN)/argos train people --backbone "$(BACKBONE)" --minutes 76 && $(BIN)/argos train people --ship
	$(BIN)/argos train people --start ssdisb+unet_lite --minutes 92 --out runs/people_large && \
	  $(BIN)/argos train people --ship --out runs/people_large
	$(BIN)/argos train qunet16 --teacher unet_lite --minutes 120 && $(BIN)/argos train qunet16 --ship
	$(BIN)/argos train asbunet --teacher unet_lite --minutes 120 && $(BIN)/argos train asbunet --ship

clean:
	rm -rf .venv build dist out runs *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv .venv || { rm -rf .venv; \
	  echo "$(PYTHON) cannot make virtual environments; on Debian: apt-get install python3-venv" >&2; exit 1; }

.venv/installed: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	touch $@

.venv/installed-dev: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps trackeval==1.3.0  # it asks for another OpenCV
	touch $@ .venv/installed

# the JavaScript sample is run where there is Node and a way to its one package; otherwise its test is skipped, and says so
node-packages:
	@[ -d samples/node_modules/zeromq ] || ! command -v npm >/dev/null \
	  || npm install --prefix samples --no-audit --no-fund --silent >/dev/null 2>&1 \
	  || echo "could not install samples/package.json; the JavaScript test will be skipped"

# the RTSP tests talk to GStreamer's server and those of the live page to Chromium; without the right to install them
# they are skipped and say so
system-packages:
	@missing=; $(HAS_RTSP) 2>/dev/null || missing="$(RTSP_PACKAGES)"; \
	  command -v chromium >/dev/null || missing="$$missing $(BROWSER_PACKAGES)"; \
	  command -v mosquitto >/dev/null || [ -x /usr/sbin/mosquitto ] || missing="$$missing mosquitto"; \
	  command -v Xvfb >/dev/null || missing="$$missing xvfb"; \
	  [ -n "$$missing" ] || exit 0; \
	  command -v apt-get >/dev/null || exit 0; \
	  if [ "$$(id -u)" = 0 ]; then sudo=; elif sudo -n true 2>/dev/null; then sudo=sudo; else exit 0; fi; \
	  $$sudo apt-get update -qq && $$sudo apt-get install -qq -y --no-install-recommends $$missing >/dev/null \
	    || echo "could not install $$missing; the tests that need them will be skipped"
