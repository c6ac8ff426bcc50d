# The two front doors are `make run` and `make test`; everything else is for those who work on Muster.
#
# Both build with one profile (release), because RocksDB's C++ is most of a clean build and then compiles
# once: about 12 minutes on two cores, seconds afterwards.

TARGET := $(or $(CARGO_TARGET_DIR),target)
MUSTER ?= $(TARGET)/release/muster
BUILD  := .ci/with-toolchain

.DEFAULT_GOAL := help
.PHONY: help run cluster build test lint fmt docs audit readme-check bench load soak simulation faults fuzz mutants

help: ## lists what can be made
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 22

run: build ## builds Muster, starts a node on 127.0.0.1:8080 with its data in ./data
	@MUSTER='$(MUSTER)' .ci/start

cluster: build ## starts three nodes on 127.0.0.1:8081 to 8083 and prints what to try; data in ./data-cluster
	@MUSTER='$(MUSTER)' .ci/cluster

build:
	@$(BUILD) cargo build --release --locked

# Published SDKs of the hosted product are run against a node: they come from PyPI and npm.
test: ## runs every test
	@$(BUILD) --also python3-venv --also npm --also openssl cargo test --release --locked --workspace

# Nothing is linked, so RocksDB is not compiled. A target directory of its own: the changed environment
# would make cargo compile RocksDB again in the main one.
lint: ## checks format and lints; changes nothing
	@cargo fmt --all -- --check
	@ROCKSDB_LIB_DIR=/nonexistent CARGO_TARGET_DIR='$(TARGET)/lint' \
		$(BUILD) cargo clippy --locked --workspace --all-targets -- -D warnings

fmt: ## formats every source
	@cargo fmt --all

docs: ## writes docs/api.md anew, from the descriptions in the code
	@MUSTER_REWRITE_DOCS=1 $(BUILD) cargo test --release --locked -p muster --lib api::openapi::page >/dev/null

audit: ## checks licences, sources and known vulnerabilities of the dependencies
	@TOOLS='$(TARGET)/tools' .ci/audit

readme-check: build ## runs the tour of the README against a fresh node and compares the answers
	@MUSTER='$(MUSTER)' .ci/with-toolchain --also curl .ci/readme-check README.md

# Cargo builds the node of this commit on the way. What can be set: benches/report/settings.rs, benches/report/peer.rs.
bench: ## measures everything, half an hour; writes bench/report.html. QUICK=1: a minute; PARTS=workloads,pages
	@$(BUILD) cargo bench --locked --bench report

load: build ## measures a running node; make load ARGS="--workload w4 --groups 1000 --usersig $(target/release/muster usersig --user administrator)"
	@'$(MUSTER)' bench $(ARGS)

soak: build ## overload for an hour, 10,000 simulated clusters, every fault 20 times; SOAK_SECONDS=60 SEEDS=50 FAULT_ROUNDS=1 for a try
	@MUSTER='$(MUSTER)' TARGET='$(TARGET)' .ci/soak
	@$(MAKE) --no-print-directory simulation SEEDS='$(or $(SEEDS),10000)'
	@$(MAKE) --no-print-directory faults FAULT_ROUNDS='$(or $(FAULT_ROUNDS),20)'

# What fails says how it is run alone: MUSTER_SIMULATION_SEED.
simulation: ## runs simulated clusters and checks every answer; SEEDS=50, or SEEDS=100..200 for others
	@MUSTER_SIMULATION_SEEDS='$(or $(SEEDS),50)' $(BUILD) \
		cargo test --release --locked -p muster --test simulation every_seed -- --nocapture

# What each run came to is printed: its seed, the fault, how requests ended, how long no node served a shard.
faults: ## kills, pauses and cuts off nodes under load and checks every answer; FAULT_ROUNDS=20 times each
	@MUSTER_FAULT_ROUNDS='$(or $(FAULT_ROUNDS),1)' $(BUILD) \
		cargo test --release --locked -p muster --test nodes scenarios -- --nocapture --include-ignored

mutants: build ## breaks one rule after the other and insists that a named test notices; MUTANTS="name name" for some
	@TARGET='$(TARGET)' $(BUILD) .ci/mutants

fuzz: build ## looks for inputs that break the readers of requests and UserSigs; FUZZ_SECONDS=60 for each
	@TARGET='$(TARGET)' $(BUILD) .ci/fuzz
