# Every target sets up what it needs: a virtual environment in .venv with the pins of requirements.lock.
# Needed before: Python 3.10 to 3.13, and make. The tests with a real broker and cluster also take Java 17 and Maven.

PYTHON ?= python3
KAFKA ?= embedded
VENV := .venv
RUN := $(VENV)/bin/python
READY := $(VENV)/.ready
CANARY := .canary
PYTHONS := 3.10 3.11 3.12 3.13

# What may change under us without a new major version, and the tests that lean on its insides: fastavro's parsed
# schemas; Beam's option parser, FnApiRunner's metrics and Beam's harness; confluent-kafka's HTTP client and headers;
# botocore's connections and its handlers of requests.
CANARY_PACKAGES := apache-beam "confluent-kafka[schemaregistry]" fastavro boto3
CANARY_TESTS := tests/aep/formats/test_avro.py tests/aep/formats/test_avro_decoder.py \
    tests/pipelines/options/test_declarations.py tests/pipelines/options/test_merge.py \
    tests/pipelines/runtime/test_local_runner.py tests/pipelines/runtime/test_run.py \
    tests/transforms/worker tests/transforms/kafka/test_confluent_registry.py \
    tests/transforms/kafka/test_record.py tests/transforms/kafka/test_restriction.py \
    tests/kinesis/test_replies.py tests/kinesis/test_put_body.py

.PHONY: help setup demo demo-kinesis test test-fast test-packages test-pythons test-slow check bench bench-docs soak canary docs lock clean

help:
	@echo "make demo        try it: Kafka, a local AEP, 2 % broken events, every one accounted for"
	@echo "                 (KAFKA=apache: with a real Apache Kafka broker)"
	@echo "make demo-kinesis  profiles of a local AEP, out to a local Amazon Kinesis, every change accounted for"
	@echo "make test        all checks, and tests; what this machine lacks is skipped, with CI=true it fails"
	@echo "make test-slow   the tests of more than a minute each, which make test leaves out"
	@echo "make test-fast   checks, and the tests that need Python packages only"
	@echo "make test-pythons  these tests on each Python from 3.10 to 3.13 that this machine has"
	@echo "make bench       the benchmark table; BENCH=\"--only kinesis-write\" for a part of it"
	@echo "                 FLINK=1 measures on a Flink cluster, too;"
	@echo "                 ADOBE_CONNECTOR=JAR measures Adobe's Kafka Connect sink beside ours"
	@echo "make bench-docs  its figures and plots into docs/"
	@echo "make soak        10 minutes of random faults, every record accounted for; SOAK=\"--minutes 60\" for more;"
	@echo "                 then 10 minutes without Kinesis; SOAK_KINESIS=\"--minutes 1\" for less"
	@echo "make canary      the tests that depend on internals of Beam, boto3, confluent-kafka and fastavro, with their newest versions"
	@echo "make docs        docs/outcomes.md from the rules, docs/configuration.md from the declarations of the options,"
	@echo "                 the dashboard in deploy/grafana from pipelines/dashboard.py, the parameters of the template for"
	@echo "                 Dataflow from the options"
	@echo "make lock        requirements.lock from the pins"

setup: $(READY)

$(READY): requirements.lock setup.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or later is needed, this is " + sys.version)'
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(RUN) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(READY)
	$(RUN) -m demo --kafka $(KAFKA)

demo-kinesis: $(READY)
	$(RUN) -m demo.kinesis

check: $(READY)
	$(RUN) -m ruff check
	$(RUN) -m ruff format --check
	$(RUN) -m mypy

# three at a time also on two cores: many tests wait most of their time
test: check
	$(RUN) -m pytest -n 3 --dist loadfile --durations=10 -m "not slow"

test-slow: $(READY)
	$(RUN) -m pytest --durations=10 -m slow

test-fast: check test-packages

test-packages: $(READY)
	$(RUN) -m pytest -n 3 --dist loadfile -m "not kafka and not flink and not node and not zjsonpatch and not promtool and not browser and not slow"

# Each in a virtual environment of its own, .venv-3.12 and so on.
test-pythons:
	@for version in $(PYTHONS); do \
	    if python=$$(.ci/python $$version); then \
	        $(MAKE) --no-print-directory test-packages VENV=.venv-$$version PYTHON=$$python || exit 1; \
	    else echo "this machine has no Python $$version: skipped"; fi; \
	done

bench: $(READY)
	$(RUN) -m bench $(if $(ADOBE_CONNECTOR),--adobe_connector=$(ADOBE_CONNECTOR)) $(if $(FLINK),--flink) $(BENCH)

# Figures of the last `make bench` into docs/performance.md and docs/scaling.md, with their plots.
bench-docs: $(READY)
	$(RUN) -m bench.page

soak: $(READY)
	$(RUN) -m bench.soak $(SOAK)
	$(RUN) -m bench.soak.kinesis $(SOAK_KINESIS)

# An environment of its own: pins first, so that only what is named here is newer.
canary:
	$(PYTHON) -m venv --clear $(CANARY)
	$(CANARY)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(CANARY)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade $(CANARY_PACKAGES)
	$(CANARY)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	$(CANARY)/bin/python -m pip --disable-pip-version-check list | grep -iE "^(apache-beam|botocore|confluent-kafka|fastavro) "
	$(CANARY)/bin/python -m pytest $(CANARY_TESTS)

docs: $(READY)
	$(RUN) -m pipelines.destinations.aep.outcome_page > docs/outcomes.md
	$(RUN) -m pipelines.cli.dead_letters.page > docs/dead-letter-codes.md
	$(RUN) -m pipelines.page > docs/configuration.md
	$(RUN) -m pipelines.dashboard > deploy/grafana/beam-aep.json
	$(RUN) -m pipelines.flex_template > deploy/dataflow/metadata.json

lock: $(READY)
	$(RUN) -m pip install --quiet --disable-pip-version-check uv==0.13.9
	$(RUN) -m uv pip compile --quiet --universal --python-version 3.10 --fork-strategy fewest --generate-hashes --no-annotate \
	    --no-emit-index-url --no-emit-find-links \
	    --custom-compile-command "make lock" --output-file requirements.lock requirements-dev.txt
	$(RUN) -m uv pip compile --quiet --universal --python-version 3.10 --no-deps --generate-hashes --no-annotate \
	    --no-emit-index-url --no-emit-find-links \
	    --custom-compile-command "make lock" --output-file testing/services/python/aepp.lock testing/services/python/aepp.txt
	$(RUN) -m uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-annotate --no-emit-index-url \
	    --no-emit-find-links --extra emulator --extra kinesis --extra msk --constraint requirements.lock \
	    --custom-compile-command "make lock" --output-file deploy/docker/requirements.lock setup.py
	$(RUN) -m uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-annotate --no-emit-index-url \
	    --no-emit-find-links --extra gcp --extra kinesis --extra msk --constraint requirements.txt \
	    --custom-compile-command "make lock" --output-file deploy/dataflow/requirements.lock setup.py

clean:
	rm -rf $(VENV) $(PYTHONS:%=.venv-%) $(CANARY) .demo .demo-kinesis .bench dead-letters
