# Every target makes what it needs in .venv, from a bare clone.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

# Some machines set these for the sake of old OpenBLAS builds; they slow a current one,
# and a fair comparison is with the opponent at its best.
FAIR := env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE

.PHONY: demo test test-fast test-exhaustive test-long test-frozen test-layers test-boundscheck test-oldest promises bench company serving bench-check peers lint clean

demo: $(VENV)/.demo
	$(FAIR) $(BIN)/python -m benchmarks.demo

# Two files of tests at a time: some 20 minutes with an empty cache on two cores. In their order:
# xdist would begin with those of many tests, and end with the few that compile for minutes.
SUITE := -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

test: $(VENV)/.test
	$(BIN)/python $(SUITE) --durations=20 $(call REPORT,suite)
	$(BIN)/python -m pytest --doctest-modules --ignore-glob='*/hook-*.py' --pyargs fastnet

# The inner loop, a minute and a half with a warm cache: neither processes nor what takes long.
FAST := not processes and not thorough and not exhaustive and not long and not frozen
test-fast: $(VENV)/.test
	$(BIN)/python $(SUITE) -m "$(FAST)"

# All 2**32 floats, and thousands of fits beside scikit-learn's.
test-exhaustive: $(VENV)/.test
	$(BIN)/python -m pytest -m exhaustive

# Endurance, fuzzing, arrays of many GB: half an hour, and 16 GB of memory.
test-long: $(VENV)/.test
	$(BIN)/python -m pytest -m long $(call REPORT,long)

# An application made by PyInstaller, which is no dependency: its license is the GPL.
test-frozen: $(VENV)/.test
	$(PIP) install pyinstaller
	$(BIN)/python -m pytest -m frozen

# The suite on each of numba's threading layers; TBB from PyPI is not where the loader looks.
test-layers: $(VENV)/.test
	for layer in omp tbb workqueue; do \
	    NUMBA_THREADING_LAYER=$$layer LD_LIBRARY_PATH="$(CURDIR)/$(VENV)/lib:$$LD_LIBRARY_PATH" \
	    $(BIN)/python $(SUITE) $(call REPORT,$$layer) || exit 1; done

# The suite with numba's bounds checks, for every index that is not in a vector intrinsic.
test-boundscheck: $(VENV)/.test
	NUMBA_BOUNDSCHECK=1 $(BIN)/python $(SUITE) $(call REPORT,boundscheck)

# The suite on the lower bounds of pyproject.toml, in an environment of its own.
test-oldest:
	$(PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/python -m pip --quiet install --constraint tests/oldest.txt --editable ".[test]"
	.venv-oldest/bin/python $(SUITE) $(call REPORT,oldest)

# Every run behind docs/promises.md, which takes two hours, and their outcomes into that page.
RUNS := suite omp tbb workqueue boundscheck oldest long
REPORT = $(if $(REPORTS),--ignore=tests/package/test_promises.py --junitxml=$(REPORTS)/$(1).xml)
promises:
	$(MAKE) test test-layers test-boundscheck test-oldest test-long REPORTS=.promises
	$(BIN)/python docs/promises.py $(RUNS:%=.promises/%.xml)

bench: $(VENV)/.bench
	$(FAIR) $(BIN)/python -m pytest benchmarks --benchmark-json=benchmarks/results.json
	$(FAIR) $(BIN)/python -m benchmarks.growth --plot docs/growth.png
	$(FAIR) $(BIN)/python -m benchmarks.dominance --json benchmarks/dominance.json
	$(BIN)/python -m benchmarks.report benchmarks/results.json \
	    --dominance benchmarks/dominance.json

# The race against torch, jax, onnxruntime and, where libfann-dev is installed, FANN: after
# `make bench`, adds their table to the README's.
peers: $(VENV)/.bench
	$(PIP) install --requirement benchmarks/peers/requirements.txt
	$(FAIR) $(BIN)/python -m benchmarks.compare --json benchmarks/compare.json
	$(BIN)/python -m benchmarks.report benchmarks/results.json --compare benchmarks/compare.json

# What several threads cost beside other processes and libraries: ten minutes.
company: $(VENV)/.bench
	$(FAIR) $(BIN)/python -m benchmarks.company --json benchmarks/company.json
	$(BIN)/python -m benchmarks.report --company benchmarks/company.json

# What one, ten and a hundred rows take: Predictor, onnxruntime, generated C; two minutes.
serving: $(VENV)/.bench
	$(PIP) install onnx onnxruntime
	$(FAIR) $(BIN)/python -m benchmarks.serving --json benchmarks/serving.json
	$(BIN)/python -m benchmarks.report --serving benchmarks/serving.json

# Every benchmark once, its results checked, nothing timed.
bench-check: $(VENV)/.test
	$(BIN)/python -m pytest benchmarks --benchmark-disable --numprocesses 2 --dist loadfile
	$(BIN)/python -m benchmarks.growth --shortened
	$(BIN)/python -m benchmarks.company --shortened
	$(BIN)/python -m benchmarks.dominance --shortened --draws 10
	$(BIN)/python -m benchmarks.serving --shortened

# mypy does not follow an editable install: it sees an installed wheel, from elsewhere.
lint: $(VENV)/.lint
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	rm -rf $(VENV)/wheel build && $(PIP) install --no-deps --target $(VENV)/wheel . && rm -rf build
	cd $(VENV) && MYPYPATH=wheel bin/mypy --config-file ../pyproject.toml \
	    --python-executable bin/python -p fastnet

clean:
	rm -rf $(VENV) .venv-oldest build *.egg-info

$(VENV)/.base: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.%: $(VENV)/.base
	$(PIP) install --editable ".[$*]"
	touch $@
