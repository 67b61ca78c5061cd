# phasewatch: `make demo` and `make test` need Debian 12 with Python 3.11, and nothing else installed.

PYTHON ?= python3
BIN := .venv/bin
RUN ?= runs/all
SIZES ?= 1000 5000 20000 76660
DEMO := --store corpus --test arm-store --validation pc-tick --out reports/demo
# PyPI's torch for x86-64 brings gigabytes of CUDA; the CPU build is on an index of its own.
TORCH := torch==2.13.0+cpu
TORCH_INDEX := https://download.pytorch.org/whl/cpu

.PHONY: setup demo test check docs reference dashboard tour bench scale results bench-models pi record record-large fit fixtures lock clean

setup: .venv/ready

.venv/ready: pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "phasewatch needs Python 3.11 or newer; this is $$($(PYTHON) -V). Set PYTHON=python3.11"; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv || \
	  { rm -rf .venv; echo "no venv module: apt-get install python3-venv"; exit 1; }
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --no-deps $(TORCH) 2>/dev/null || \
	  $(BIN)/pip install --quiet --no-deps $(TORCH) --extra-index-url $(TORCH_INDEX)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: setup
	$(BIN)/phasewatch run $(DEMO)

test: setup
	$(BIN)/pytest -n auto

check: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

# The documentation as a site, in site/: strict about links, and nothing is loaded from elsewhere.
docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# The pages of the documentation that come from the code: commands, error codes, events, decisions.
reference: setup
	$(BIN)/python docs/generate.py

# The page that `phasewatch serve` shows, from its source; needs Node 20.19 or newer.
dashboard:
	cd dashboard && npm ci --no-audit --no-fund && npm run build
	$(PYTHON) dashboard/digest.py

# Pictures of every scene for the README: RUN is the folder of a run.
tour: setup
	$(BIN)/python dashboard/tour.py --run $(RUN) --store corpus --out docs/images

bench: setup .venv/peers/ready
	$(BIN)/python bench/bench.py

# Every stage at SIZES simulated episodes: CPU, wall, peak memory, growth; fails where memory grows too far.
scale: setup
	$(BIN)/python bench/scale.py --episodes $(SIZES)

# Every model on every split of the corpus, under runs/, and docs/explanation/results.md: hours the first time.
results: setup
	$(BIN)/python bench/results.py

# The same models and their peers on three splits, and on data of others under PHASEWATCH_DATA: an hour and more.
bench-models: setup .venv/peers/ready
	$(BIN)/python bench/models.py --peers .venv/peers/bin/python
	$(BIN)/python bench/other_data.py --peers .venv/peers/bin/python

# Peers have an environment of their own: they ask for older libraries than we do.
.venv/peers/ready: bench/peers.lock
	$(PYTHON) -m venv .venv/peers
	.venv/peers/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r bench/peers.lock
	@.venv/peers/bin/pip install --quiet --no-deps $(TORCH) 2>/dev/null || \
	  .venv/peers/bin/pip install --quiet --no-deps $(TORCH) --extra-index-url $(TORCH_INDEX)
	@touch $@

# An aarch64 Python with the wheels of phasewatch[live], for tests/test_pi.py; needs qemu-user-static.
pi: .venv/pi/ready

.venv/pi/ready: .venv/ready tests/pi.py
	$(BIN)/python tests/pi.py

record: setup
	$(BIN)/phasewatch record --plan plans/corpus.toml --out corpus

# The large plan continues where it was; days of wall time.
record-large: setup
	$(BIN)/phasewatch record --plan plans/large.toml --out recordings/large

# What the simulator knows: after the corpus or recordings/large have changed.
fit: setup
	$(BIN)/python -c 'from pathlib import Path; from phasewatch.cli.commands.simulate import fit_stores; \
	  fit_stores([Path("corpus"), Path("recordings/large")], Path("src/phasewatch/sim/fit.npz"))'

# fixtures/: one broken episode for each thing that can be wrong.
fixtures: setup
	$(BIN)/python -m tests.broken

lock:
	uv pip compile --universal --generate-hashes --all-extras --no-header --no-annotate \
	  --python-version 3.11 --override torch.override pyproject.toml torch.in -o requirements.lock
	uv pip compile --universal --generate-hashes --no-header --no-annotate --python-version 3.11 \
	  --override torch.override bench/peers.in torch.in -o bench/peers.lock

clean:
	rm -rf .venv reports data site .mypy_cache .ruff_cache .pytest_cache .hypothesis
