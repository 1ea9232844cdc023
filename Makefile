# `make run` and `make test` do all the set-up there is; the rest is for working on the project.

PYTHON3 ?= python3
VENV ?= .venv
PYTHON = $(VENV)/bin/python

.PHONY: run test slow trust audit lowest highest lint types contract check checkpoints benchmarks pictures

run: $(VENV)/run
	$(PYTHON) -m streamlit run app.py

test: $(VENV)/test
	$(PYTHON) -m pytest

slow: $(VENV)/test  ## what CI does not wait for
	$(PYTHON) -m pytest -m slow --ignore tests/trust --ignore tests/load --ignore tests/core/test_properties.py

trust: $(VENV)/test  ## every promise in full, hours on two cores; prints the table
	$(PYTHON) -m pytest -m slow tests/trust tests/load tests/core/test_properties.py

audit: $(VENV)/test  ## known holes in what is installed; asks the package index
	$(VENV)/bin/pip-audit

lowest:  ## all tests on the lowest versions that the requirements allow, in an environment of its own
	sed -nE 's/^([A-Za-z0-9._-]+)>=([^,]+).*/\1==\2/p' requirements*.txt > .venv-lowest.txt
	PIP_CONSTRAINT=.venv-lowest.txt $(MAKE) VENV=.venv-lowest test

highest:  ## and on the highest
	rm -f .venv-highest/test  # a newer version changes no file here
	PIP_UPGRADE=1 PIP_UPGRADE_STRATEGY=eager $(MAKE) VENV=.venv-highest test

lint: $(VENV)/test
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .

types: $(VENV)/test
	$(PYTHON) -m mypy

contract: $(VENV)/test
	$(VENV)/bin/lint-imports

check: lint types contract test

checkpoints: $(VENV)/test  ## trains the bundled networks anew, half an hour on two cores
	$(PYTHON) -m benchmarks.make_checkpoints runs/checkpoints

benchmarks: $(VENV)/test  ## on an idle machine, an hour; MNIST and Fashion-MNIST in LENET_DATA_DIR
	$(PYTHON) -m benchmarks.startup
	$(PYTHON) -m benchmarks.first_point
	$(PYTHON) -m benchmarks.lens
	$(PYTHON) -m benchmarks.classroom
	$(PYTHON) -m benchmarks.draw_latency
	$(PYTHON) -m benchmarks.feature_maps
	$(PYTHON) -m benchmarks.draw_latency --training
	$(PYTHON) -m benchmarks.allocator
	$(PYTHON) -m benchmarks.throughput
	$(PYTHON) -m benchmarks.time_to_accuracy

pictures: $(VENV)/test
	$(PYTHON) -m benchmarks.pictures

$(PYTHON):
	@$(PYTHON3) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
	  { echo "Python 3.11 to 3.13 is needed; name one: make PYTHON3=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON3) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }  # half of one would pass for whole

$(VENV)/run: requirements.txt | $(PYTHON)
	$(PYTHON) -m pip install -r requirements.txt
	touch $@

$(VENV)/test: $(wildcard requirements*.txt) | $(PYTHON)
	$(PYTHON) -m pip install -r requirements-dev.txt
	touch $@
