PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo install test coverage torture clean

# The main job: install, train on the bundled corpus, split and tag a page, say how to go on.
demo: $(STAMP)
	$(BIN)/gaoqian train
	@page=$$([ -f ../shared/seed/page.txt ] && echo ../shared/seed/page.txt || echo service/demo-page.txt); \
	  echo; echo "$$page"; $(BIN)/gaoqian tag --page "$$page"; \
	  echo; echo "看理由：$(BIN)/gaoqian tag --page --explain $$page"; \
	  echo "开网页：$(BIN)/gaoqian serve ，再打开 http://127.0.0.1:8600/"

install: $(STAMP)

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,dask,postgres]'
	@touch $@

# Threads of the linear algebra cost more on small tables than they give, and two workers share
# the cores already.
test coverage: export OPENBLAS_NUM_THREADS = 1
TESTS := $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder
test: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/gaoqian corpus check > /dev/null
	$(TESTS)

# The same tests with every line counted, which takes them half as long again.
coverage: $(STAMP)
	$(TESTS) --cov=classifier --cov=training --cov=service --cov-report=term:skip-covered

# The long forms of what `make test` does in short.
torture: $(STAMP)
	KILL_SUBMISSIONS=1000 $(BIN)/python -m pytest tests/test_kill.py
	$(BIN)/python -m pip install --quiet --disable-pip-version-check atheris
	$(BIN)/python -m pytest -s -o faulthandler_timeout=7200 tests/torture

clean:
	rm -rf $(VENV) *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
