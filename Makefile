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

# Trains and ships the weights again by the chains of trainings that the cards tell, 27 hours by the clock. A step that was stopped
# goes on where it was, one that is done (runs/NAME_N/done) is not run again; make -n weights prints them. See docs/training.md.
BACKBONE ?= efficientnet-lite0.pth
STEP = $(BIN)/argos train $(1) --out $(@D) && touch $@
SHIP = $(BIN)/argos train $(1) --ship --out $(@D) && touch $@
PAIR = runs/people_$(1)/ssdisb.safetensors+runs/people_$(1)/unet_lite.safetensors
weights: runs/people_3/shipped runs/qunet16_6/shipped runs/qunet8_2/shipped runs/qunet32_1/shipped runs/qunet64_1/shipped \
	runs/asbunet_2/shipped runs/ssdisb_multi/shipped runs/dual_aspp_camvid/shipped runs/essnet_camvid_2/shipped

runs/people_1/done: | .venv/installed-dev
	test -f "$(BACKBONE)" || { echo "make weights BACKBONE=FILE: ImageNet weights of EfficientNet-Lite0, see docs/training.md" >&2; exit 2; }
	$(call STEP,people --backbone "$(BACKBONE)" --minutes 76)
runs/people_2/done: | runs/people_1/done
	$(call STEP,people --start $(call PAIR,1) --minutes 93)
runs/people_3/done: | runs/people_2/done
	$(call STEP,people --start $(call PAIR,2) --minutes 89)

# unet_lite, shipped by the line above, teaches the others; the first QU-Net had no teacher
runs/qunet16_1/done: | .venv/installed-dev
	$(call STEP,qunet16 --minutes 93)
runs/qunet16_2/done: | runs/qunet16_1/done runs/people_3/shipped
	$(call STEP,qunet16 --start runs/qunet16_1/average.pt --teacher unet_lite --minutes 45)
runs/qunet16_3/done: | runs/qunet16_2/done
	$(call STEP,qunet16 --start runs/qunet16_2/average.pt --teacher unet_lite --minutes 107)
runs/qunet16_4/done: | runs/qunet16_3/done
	$(call STEP,qunet16 --start runs/qunet16_3/average.pt --teacher unet_lite --minutes 85)
runs/qunet16_5/done: | runs/qunet16_4/done
	$(call STEP,qunet16 --start runs/qunet16_4/average.pt --teacher unet_lite --minutes 103)
runs/qunet16_6/done: | runs/qunet16_5/done
	$(call STEP,qunet16 --start runs/qunet16_5/average.pt --teacher unet_lite --minutes 81)
runs/qunet8_1/done: | runs/people_3/shipped
	$(call STEP,qunet8 --teacher unet_lite --minutes 32)
runs/qunet8_2/done: | runs/qunet8_1/done
	$(call STEP,qunet8 --start runs/qunet8_1/average.pt --teacher unet_lite --minutes 36)
runs/qunet32_1/done: | runs/qunet16_5/done
	$(call STEP,qunet32 --start runs/qunet16_5/average.pt --teacher unet_lite --minutes 47)
runs/qunet64_1/done: | runs/qunet16_6/done
	$(call STEP,qunet64 --start runs/qunet16_6/average.pt --teacher unet_lite --minutes 104)

# its first views were taken in five sittings; with weights to begin with they are larger
runs/asbunet_1/done: | runs/people_3/shipped
	$(call STEP,asbunet --teacher unet_lite --minutes 418)
runs/asbunet_2/done: | runs/asbunet_1/done
	$(call STEP,asbunet --start runs/asbunet_1/average.pt --teacher unet_lite --minutes 107)

# by files, from the models shipped above
runs/ssdisb_multi/done: | runs/people_3/shipped
	$(call STEP,configs/train/ssdisb_multi.yaml --minutes 17)
runs/dual_aspp_camvid/done: | runs/people_3/shipped
	$(call STEP,configs/train/dual_aspp.yaml --minutes 78)
runs/essnet_camvid_1/done: | .venv/installed-dev
	$(call STEP,configs/train/essnet_modern.yaml --set precision=float32 --minutes 30)
runs/essnet_camvid_2/done: | runs/essnet_camvid_1/done
	$(call STEP,configs/train/essnet_modern.yaml --set start=runs/essnet_camvid_1/average.pt --minutes 24)
runs/ssdisb_multi/shipped: | runs/ssdisb_multi/done
	$(call SHIP,configs/train/ssdisb_multi.yaml)
runs/dual_aspp_camvid/shipped: | runs/dual_aspp_camvid/done
	$(call SHIP,configs/train/dual_aspp.yaml)
runs/essnet_camvid_2/shipped: | runs/essnet_camvid_2/done
	$(call SHIP,configs/train/essnet_modern.yaml)

runs/%/shipped: | runs/%/done
	$(call SHIP,$(firstword $(subst _, ,$*)))

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
