# Two commands do everything on a fresh machine with Python 3.11 or newer, make and a compiler.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# The lowest Python of pyproject.toml, for the lowest versions of everything else.
PYTHON_OLDEST ?= python3.11
OLDEST := .venv-oldest
# The quickstart trains in bf16, which PyTorch computes about ten times slower than fp32 on CPUs without instructions
# for it. An arm in fp32 has its own digest, and the report prints the setting.
FAST_BF16 := $(shell grep -qsE 'avx512bw|avx_ne_convert|bf16' /proc/cpuinfo && echo yes)
QUICKSTART := ablations/quickstart.yaml $(if $(FAST_BF16),,--set precision=fp32)

.PHONY: run test test-all test-oldest lint types rules bench bench-gpu clean

run: $(STAMP)
	$(BIN)/yolact-bench run $(QUICKSTART)

# In the order of folders: by the number of their tests, files of one long test would come last, on one core.
test: $(STAMP) lint
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder \
		-m "not slow and not gpu" --ignore=tests/benchmarks

test-all: $(STAMP) lint
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder

# With the lowest versions that pyproject.toml allows: once before a release.
test-oldest: $(OLDEST)/.installed
	OMP_NUM_THREADS=1 $(OLDEST)/bin/python -m pytest -n auto --dist loadfile --no-loadscope-reorder \
		-m "not slow and not gpu" --ignore=tests/benchmarks

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(MAKE) --jobs=2 types rules

types: $(STAMP)
	$(BIN)/mypy

rules: $(STAMP)
	$(BIN)/lint-imports
	$(BIN)/yolact-bench check ablations/*.yaml sweeps/*.yaml

# An arm that does not agree with its plain formulation fails; the table of the others is printed.
# Without the checks of shapes (addopts), which only tests pay for.
bench: $(STAMP)
	mkdir -p work
	status=0; OMP_NUM_THREADS=1 $(BIN)/pytest tests/benchmarks --benchmark-enable --benchmark-only \
		-m "not gpu" -o addopts="--strict-markers --import-mode=importlib" --benchmark-json=work/benchmarks.json || status=$$?; \
	$(BIN)/python -m tests.benchmarks.table work/benchmarks.json; exit $$status

# On a machine with a GPU, within ten minutes: reports/records/<gpu>.json, and its table. The same command does what
# is left. GPU="--parts micro,gate" does these parts again, GPU="--small --device cpu" tries all of it on a CPU.
bench-gpu: $(STAMP)
	$(BIN)/python -m tests.benchmarks.gpu_session $(GPU)

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --no-compile --editable '.[dev]'
	touch $@

$(OLDEST)/.installed: pyproject.toml
	@command -v $(PYTHON_OLDEST) >/dev/null || \
		{ echo "Python 3.11 is needed: make test-oldest PYTHON_OLDEST=/path/to/python3.11"; exit 1; }
	test -x $(OLDEST)/bin/python || $(PYTHON_OLDEST) -m venv $(OLDEST)
	$(OLDEST)/bin/python -m pip install --quiet --upgrade pip uv
	$(OLDEST)/bin/uv pip install --quiet --python $(OLDEST)/bin/python --resolution lowest-direct \
		--editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) $(OLDEST) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
