# Needs Python 3.11 and make; everything else goes into .venv (packages) and var/ (state).

PORT ?= 8000
DASHBOARD_PORT ?= 8265
PROFILE ?= fast
WORKLOADS_DIR ?=
WORKLOADS ?=
QUICK ?=
CONTENDERS ?=
ARMS ?=
DURATION_S ?=
ROUNDS ?=
RATE ?=
SEED ?=
COUNT ?=
PACKAGE ?=
STAGE ?=
VICTIM ?=
CPUS ?=
COMMA := ,

BIN := .venv/bin
STAMP := .venv/.installed
BENCH_STAMP := .venv-bench/.installed
PYTHON ?= $(shell for p in python3.11 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null && { echo $$p; break; }; done)

# containers
ENGINE ?= $(notdir $(firstword $(shell command -v podman docker)))
COMPOSE ?= $(if $(filter podman,$(ENGINE)),podman-compose,docker compose)
IMAGE ?= localhost/raysonde:latest
BASE_IMAGE ?=
PIP_CONF ?=
BUILD_OPTIONS ?=
RUN_OPTIONS ?=
MONITORING ?= yes

.DEFAULT_GOAL := help
.PHONY: help up down train check test properties mutants first-start faults soak fuzz bench bench-bodies bench-growth bench-throughput burst scaling clean wheel \
	image image-check compose-up compose-down

help:
	@echo "make up       make the environment, train the first models, start everything (Ctrl-C stops it)"
	@echo "              variables: PORT=8000 DASHBOARD_PORT=8265 PROFILE=fast|plain WORKLOADS=apogee CPUS=half"
	@echo "              WORKLOADS_DIR=folder adds workloads of your own (docs/tutorial/adding-a-workload.md)"
	@echo "make down     end what a start that was killed has left behind"
	@echo "make train    train again and register new versions: WORKLOADS=apogee"
	@echo "make check    ruff, mypy --strict, import rules"
	@echo "make mutants  mutate a sample of the pure packages: what no unit test notices (a quarter of an hour)"
	@echo "              variables: SEED=1 COUNT=60 PACKAGE=features,deployments/domain/routing.py"
	@echo "make test     the whole test suite, and which lines and branches the unit tests cover"
	@echo "make properties  the property tests with four times as many examples"
	@echo "make first-start  the README in a fresh clone, with the training of all workloads (ten minutes)"
	@echo "make faults   kill, hang and attack the parts of a running system, at each stage of the self-healing loop (an hour)"
	@echo "              variables: STAGE=calm|drifting|job|shadowing|promoting|probation VICTIM=LifecycleController|Monitor|Router|job"
	@echo "make soak     ten minutes of requests with truths, while a part is killed every 20 s: MINUTES=10"
	@echo "make fuzz     requests made up from every OpenAPI document and contract, on SQLite and PostgreSQL (some minutes)"
	@echo "make bench    measure raysonde beside other servers (about an hour; needs wrk), into docs/benchmarks/benchmarks.md"
	@echo "              variables: QUICK=1 CONTENDERS=raysonde-fast,fastapi ARMS=linear DURATION_S=10 STARTS=3"
	@echo "make bench-growth  the same with more arms and a long journal (12 minutes), into docs/benchmarks/growth.md"
	@echo "make bench-throughput  of a system that runs: rows a minute in batches, windows a second (needs wrk)"
	@echo "make bench-bodies  what long and wrong bodies cost in one process: delay of others, answer, memory left"
	@echo "make burst    bursts of requests at a system of its own: replicas go out and come back, into docs/benchmarks/scaling.md"
	@echo "              (eight minutes) variables: QUICK=1 ROUNDS=3 DURATION_S=60 RATE=500"
	@echo "make scaling  throughput by replicas and nodes, and what more takes, into docs/benchmarks/scaling.md (six minutes)"
	@echo "make wheel    build dist/raysonde-*.whl, which needs no checkout: pip install it, then raysonde up"
	@echo "make image    build the container image with podman or docker (docs/how-to/deploy-in-containers.md)"
	@echo "              variables: IMAGE=localhost/raysonde:latest BASE_IMAGE=... PIP_CONF=file BUILD_OPTIONS=..."
	@echo "make image-check   run the image: it trains, serves, answers and ends (some minutes)"
	@echo "make compose-up    a cluster of containers: two nodes, PostgreSQL, MLflow, Prometheus, Grafana"
	@echo "              variables: CPUS=half (of the cores, for the nodes) WORKLOADS=apogee MONITORING="
	@echo "make compose-down  stop it; what it keeps is in its volumes"
	@echo "make clean    remove environments and caches; var/ (models, journal, key) is kept"

up train: export RAYSONDE_CPUS ?= $(CPUS)

up: $(STAMP)
	@$(BIN)/raysonde up --port $(PORT) --dashboard-port $(DASHBOARD_PORT) --profile $(PROFILE) --workloads "$(WORKLOADS)" \
	  $(if $(WORKLOADS_DIR),--workloads-dir "$(WORKLOADS_DIR)")

down: $(STAMP)
	@$(BIN)/raysonde down

train: $(STAMP)
	@$(BIN)/raysonde train $(or $(subst $(COMMA), ,$(WORKLOADS)),apogee) $(if $(WORKLOADS_DIR),--workloads "$(WORKLOADS_DIR)")

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Unit tests by file on two cores, each with one thread for numbers: with more they wait for each other. What they
# cover is shown at the end, and must not fall (fail_under in pyproject.toml).
# The others start systems that have the machine to themselves.
test: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/pytest tests/unit -n 2 --dist loadfile --cov
	$(BIN)/pytest tests/integration

properties: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/pytest tests/unit -n 2 --dist loadfile -m hypothesis --hypothesis-profile full

mutants: $(STAMP)
	@$(BIN)/python -m tests.mutants --seed $(or $(SEED),1) --count $(or $(COUNT),60) --package "$(PACKAGE)"

first-start: $(STAMP)
	FRESH_WORKLOADS=$(FRESH_WORKLOADS) $(BIN)/pytest tests/integration/test_fresh_clone.py -m first_start

faults: $(STAMP)
	$(BIN)/pytest tests/faults -m faults $(if $(STAGE),--stage $(STAGE)) $(if $(VICTIM),--victim $(VICTIM))
	$(if $(STAGE)$(VICTIM),,$(BIN)/pytest tests/integration -m faults)

soak: $(STAMP)
	$(BIN)/pytest tests/faults/test_soak.py -m faults $(if $(MINUTES),--soak-minutes $(MINUTES))

fuzz: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/pytest tests/fuzz -m fuzz -s

bench-bodies: $(STAMP)
	@$(BIN)/python -m tests.fuzz.body_cost

bench: $(STAMP) $(BENCH_STAMP)
	@$(BIN)/python -m scripts.benchmarks.bench $(if $(QUICK),--quick) --contenders "$(CONTENDERS)" --arms "$(ARMS)" \
	  --duration-s $(or $(DURATION_S),0) --starts $(or $(STARTS),1)

bench-growth: $(STAMP)
	@$(BIN)/python -m scripts.benchmarks.growth $(if $(QUICK),--quick)

bench-throughput: $(STAMP)
	@$(BIN)/python -m scripts.benchmarks.throughput --url "http://127.0.0.1:$(PORT)" --duration-s $(or $(DURATION_S),20)

burst: $(STAMP)
	@$(BIN)/python -m scripts.benchmarks.burst $(if $(QUICK),--quick) --rounds $(or $(ROUNDS),0) \
	  --duration-s $(or $(DURATION_S),0) --rate $(or $(RATE),500)

scaling: $(STAMP)
	@$(BIN)/python -m scripts.benchmarks.scaling $(if $(QUICK),--quick)

# a build that was made before would leave what is gone from the sources in it
wheel: $(STAMP)
	@rm -rf build
	@$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation -w dist .
	@rm -rf build
	@ls dist

image:
	$(ENGINE) build $(if $(filter podman,$(ENGINE)),--format docker) --file Containerfile --tag $(IMAGE) \
	  --build-arg VERSION="$$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)" \
	  --build-arg COMMIT="$$(git describe --always --abbrev=40 --dirty --exclude='*' 2>/dev/null || echo unknown)" \
	  $(if $(BASE_IMAGE),--build-arg BASE_IMAGE=$(BASE_IMAGE)) \
	  $(if $(PIP_CONF),--secret id=pip$(COMMA)src=$(PIP_CONF)) $(BUILD_OPTIONS) .

image-check: $(STAMP)
	@ENGINE="$(ENGINE)" IMAGE="$(IMAGE)" RUN_OPTIONS="$(RUN_OPTIONS)" $(BIN)/pytest tests/container

# The nodes, two of them, get half of the cores if nothing else is said, and one each at least.
compose-up:
	@scripts/compose-secrets var/secrets
	@$(ENGINE) image inspect $(IMAGE) >/dev/null 2>&1 || $(MAKE) image
	@cpus="$(or $(CPUS),half)"; [ "$$cpus" != half ] || cpus=$$(( $$(getconf _NPROCESSORS_ONLN) / 2 )); \
	  each=$$(( cpus / 2 )); [ "$$each" -ge 1 ] || each=1; \
	  RAYSONDE_CPUS=$$each RAYSONDE_IMAGE=$(IMAGE) $(if $(WORKLOADS),RAYSONDE_NAMES="$(subst $(COMMA), ,$(WORKLOADS))") \
	  $(COMPOSE) $(if $(MONITORING),--profile monitoring) up -d
	@echo "It trains first where the registry is empty: minutes. Then: http://127.0.0.1:$(PORT)"
	@echo "The key is in var/secrets/api_key."

compose-down:
	@$(COMPOSE) --profile monitoring down

clean:
	rm -rf .venv .venv-bench .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache raysonde.egg-info

# Made again only when what is to be installed changes.
$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "raysonde needs Python 3.11: install it, or name it: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || { echo "$(PYTHON) cannot make environments: install its venv package (Debian: python3.11-venv)"; exit 1; }
	@echo "Making the environment in .venv (once, about two minutes) ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --disable-pip-version-check --no-compile -c constraints.txt -e '.[dev]'
	@# on all cores, where pip takes one; some packages carry files for other versions of Python
	@$(BIN)/python -m compileall -qq -j 0 .venv/lib || true
	@touch $@

# The contenders pin what we do not. A newer pip: the one that comes with Python 3.11 knows no groups.
$(BENCH_STAMP): scripts/benchmarks/bench/constraints.txt | $(STAMP)
	@echo "Making the environment of the contenders in .venv-bench (once, about two minutes) ..."
	@$(PYTHON) -m venv .venv-bench
	@.venv-bench/bin/python -m pip install --disable-pip-version-check --upgrade 'pip>=25.1'
	@.venv-bench/bin/python -m pip install --disable-pip-version-check -c scripts/benchmarks/bench/constraints.txt --group bench
	@touch $@
