# Every command of the project. `make` alone lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

BIN := node_modules/.bin
AUTOMQ := node dist/cli/automq.js
# Named files, since `node --test FOLDER` means different things in Node 20 and 22. From the sources, so that a stale
# file in dist never runs. Left out: what needs other programs than node (make test-clients, make test-stores, make test-chaos).
UNIT_TESTS = $(shell find broker cli cluster io operator scripts std test bench -name '*.test.ts' -not -path 'test/clients/*' -not -path 'test/chaos/*' | sort | sed 's|^|dist/|; s|\.ts$$|.js|')
CHAOS_TESTS = $(shell find test/chaos -name '*.test.ts' | sort | sed 's|^|dist/|; s|\.ts$$|.js|')
CLIENT_TESTS = $(shell find test/clients -name '*.test.ts' | sort | sed 's|^|dist/|; s|\.ts$$|.js|')

.PHONY: help
help: ## list these targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-14s %s\n", $$1, $$2 }'

.PHONY: node-version
node-version:
	@command -v node >/dev/null || { echo 'Node.js is missing: install version 20.11 or later (https://nodejs.org), then try again.' >&2; exit 1; }
	@node -e 'const [a, b] = process.versions.node.split(".").map(Number); if (a < 20 || (a === 20 && b < 11)) { console.error("Node.js " + process.versions.node + " is too old: this project needs 20.11 or later."); process.exit(1); }'
	@command -v npm >/dev/null || { echo 'npm is missing: it comes with Node.js (https://nodejs.org); on Debian: apt-get install npm.' >&2; exit 1; }

# Compared by content: a checkout changes times, not content.
.PHONY: install
install: node-version
	@cmp -s package-lock.json node_modules/.installed-lock.json || { npm ci --no-audit --no-fund --loglevel=error && cp package-lock.json node_modules/.installed-lock.json; }

.PHONY: build
build: install ## install what is needed and compile into dist/
	@$(BIN)/tsc -p tsconfig.json

.PHONY: run
run: build ## a local broker on 127.0.0.1:9092, data in ./data   (ARGS="--port 9093 --data elsewhere")
	@exec $(AUTOMQ) up $(ARGS)

.PHONY: test
test: build ## all unit tests, a short simulation, a short fuzz, tidiness
	@node --test --test-timeout=300000 $(UNIT_TESTS)

.PHONY: check
check: install ## types, lint, format, dead code, tidiness
	$(BIN)/tsc -p tsconfig.json
	node dist/scripts/protocol-types.js --check
	$(BIN)/oxlint --type-aware --deny-warnings .
	$(BIN)/biome format .
	$(BIN)/knip
	@node --test --test-reporter=dot dist/test/tidy.test.js || node --test dist/test/tidy.test.js

.PHONY: format
format: install ## rewrite the files as `make check` wants them
	@$(BIN)/biome format --write .

.PHONY: generate
generate: build ## rewrite broker/protocol/messages.gen.ts from the schema
	@node dist/scripts/protocol-types.js

.PHONY: golden
golden: build ## make the golden files anew with Apache Kafka's own classes (JDK 17, Maven)
	@node dist/scripts/protocol-golden.js && node dist/scripts/batch-golden.js && node dist/scripts/protocol-diff.js

.PHONY: docs
docs: build ## rewrite docs/configuration.md from the tables of settings
	@node dist/scripts/write-configuration-page.js

.PHONY: sim
sim: build ## the deterministic simulation   (SEEDS=300 SEED=1: how many, from which on; SEED=7 alone replays one)
	@node dist/test/simulation/run.js --seed $(or $(SEED),1) --seeds $(or $(SEEDS),$(if $(SEED),1,100))

.PHONY: model
model: ## check the model of fencing, moves and collection in docs/design/model (Java 17, Maven; minutes)
	@for each in wal own own-move own-ckpt own-done gc gc-move gc-restart; do docs/design/model/run.sh $$each || exit 1; done

.PHONY: fuzz
fuzz: build ## a million mutated frames against the decoders   (CASES=1000000)
	@AUTOMQ_FUZZ_CASES=$(or $(CASES),1000000) node --test $(filter %fuzz.test.js,$(UNIT_TESTS))

.PHONY: test-stores
test-stores: build ## the store contracts against real servers: versitygw, MinIO, etcd (fetched and built the first time)
	@scripts/test-stores.sh

.PHONY: test-clients
test-clients: build ## real clients against our broker: kcat, Java tools, Python   (TARGET=kafka: against Apache Kafka instead)
	@node --test --test-concurrency=1 --test-timeout=300000 $(CLIENT_TESTS)

.PHONY: chaos
chaos: build ## real processes under faults: brokers, etcd, an S3 server, clients   (SECONDS=300 SEED=1, ARGS="--metadata etcd-3.4")
	@node --no-warnings dist/test/chaos/run.js --seconds $(or $(SECONDS),300) --seed $(or $(SEED),1) $(ARGS)

.PHONY: test-chaos
test-chaos: build ## four scripted faults with assertions: a zombie, no etcd, no S3, a rolling restart   (FULL=1: for 60 s each)
	@AUTOMQ_CHAOS_FULL=$(FULL) node --no-warnings --test --test-concurrency=1 --test-timeout=600000 $(CHAOS_TESTS)

.PHONY: test-nodes
test-nodes: build ## the unit tests on Node 22 and 24
	@scripts/test-nodes.sh $(UNIT_TESTS)

.PHONY: bench
bench: build ## side by side with Apache Kafka   (QUICK=1 for a look of some seconds; see bench/README.md)
	@node dist/bench/run.js $(ARGS)

.PHONY: bench-scale
bench-scale: build ## a start after kill -9 with gigabytes of log, and 10,000 idle partitions   (QUICK=1)
	@node dist/bench/scale.js $(ARGS)

.PHONY: bench-scale-cluster
bench-scale-cluster: build ## 100,000 partitions over 20 brokers: what grows how   (ARGS="--quick", ARGS="--etcd")
	@node dist/bench/scale-cluster.js $(ARGS)

.PHONY: bench-availability
bench-availability: build ## what clients see when a broker dies or stops, or partitions move; beside Apache Kafka   (QUICK=1)
	@node dist/bench/availability/run.js

.PHONY: clean
clean: ## remove dist/ and node_modules/ (never data/)
	@rm -rf dist .build node_modules
