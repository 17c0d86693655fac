# `make demo` and `make test` need nothing but Python 3.11 to 3.13 and make: they set up .venv/ themselves.

PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
  $$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin

.PHONY: demo test bench fuzz kills ray-kills lint format clean browser

demo: .venv/installed
	$(BIN)/kcnn fetch demo
	$(BIN)/kcnn train recipes/vgg.py -c demo --set size=28 --set margin=0 --set tta=flip --set shift=0 --set degrees=0 \
	  --set epochs=12
	$(BIN)/kcnn submit -c demo --yes

test: .venv/installed-dev lint browser
	$(BIN)/python -m pytest

# The report's test opens it in Chromium. Debian's is installed where that may be done; else the test is left out.
browser:
	@which chromium >/dev/null 2>&1 || which chromium-browser >/dev/null 2>&1 || which google-chrome >/dev/null 2>&1 || \
	  { [ "$$(id -u)" = 0 ] && which apt-get >/dev/null 2>&1 && apt-get update -qq && \
	    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; } || \
	  echo "note: there is no Chromium here; the test of the report in a browser is left out"

bench: .venv/installed-bench
	for name in cache augmentation epoch views many score; do $(BIN)/python benchmarks/$$name.py || exit 1; done

# Random damage to archives, images, tables, arrays and runs. One seed again: .venv/bin/python tests/fuzz.py --seed N
MINUTES ?= 20
fuzz: .venv/installed-dev
	$(BIN)/python tests/fuzz.py --minutes $(MINUTES)

# SIGKILL at 200 random moments of fetch, look, train, predict, submit, blend, tune and compete; some of them:
# cd tests && ../.venv/bin/python kills.py --only blend compete --kills 10
kills: .venv/installed-dev
	cd tests && ../$(BIN)/python kills.py

# SIGKILL of a worker, of a machine and of the command, on a cluster of Ray.
ray-kills: .venv/installed-dev
	cd tests && PYTHONPATH=.. ../$(BIN)/python ray_kills.py

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.venv/installed: pyproject.toml
	@test -n "$(PYTHON)" || { echo "error: no Python from 3.11 to 3.13 found"; \
	  echo "hint: install one, or name it: make PYTHON=/path/to/python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

.venv/installed-dev: .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

# PyTorch's own index has builds without CUDA, a tenth of the size: make bench TORCH_INDEX=https://download.pytorch.org/whl/cpu
.venv/installed-bench: .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) \
	  --editable '.[bench]'
	touch $@

clean:
	rm -rf .venv .kcnn data runs kcnn.toml submissions/*/
