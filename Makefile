# The front door. `make` alone lists what there is; targets that build install the Debian packages they need.
# Set MUSTER_NO_INSTALL=1 to be told what is missing instead.
.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.PHONY: help deps run lab engines build test lint asan tsan fuzz sim models bench figures chaos reference release-contract format clean

JOBS ?= $(shell nproc)
FUZZ_SECONDS ?= 600
SEEDS ?= 100000
SEED ?= 1
SECONDS ?= 1200
PAIRS ?= 10
TIMES ?= 20
MEMBERS ?= 20000
PRESETS := dev release asan tsan

help: ## list the targets
	@awk -F':.*## ' '/^[a-z -]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' Makefile

deps: ## install the packages that building and testing need
	@tools/install-packages build test

run: build ## build and start a demonstration server with synthetic members
	@exec build/release/muster demo

engines: ## install the engines that `muster lab` and tests start themselves; none is started as a service
	@tools/install-packages engines

lab: build engines ## build and start a two-center system on this machine; it ends with ctrl-C
	@exec build/release/muster lab up --foreground

build: ## the release binary, build/release/muster
	@tools/install-packages build
	@tools/cmake-build release muster

test: deps ## build everything and run every test (of engines: make engines)
	@tools/cmake-build release all
	@tools/run-tests release

asan tsan: deps ## the tests that can show something under AddressSanitizer+UBSan, or ThreadSanitizer; the long ones are cut short
	@tools/cmake-build $@ all
	@tools/run-tests $@ -LE 'model|fuzz'

fuzz: deps ## every fuzzer for FUZZ_SECONDS (600) each
	@tools/cmake-build asan muster_fuzzers -DMUSTER_FUZZ_SECONDS=$(FUZZ_SECONDS)
	@ctest --test-dir build/asan --output-on-failure -L fuzz -j $(JOBS)

sim: deps ## SEEDS (100000) seeds of the directory simulation, and of that of two centers
	@tools/cmake-build release muster_sim
	@tools/cmake-build release muster_sim_centers
	@build/release/sim/muster_sim --seeds $(SEEDS)
	@build/release/sim/muster_sim_centers --seeds $(SEEDS)

models: deps ## check the Promela models with spin
	@tools/cmake-build release none
	@ctest --test-dir build/release --output-on-failure -R '^model_'

bench: ## the figures of docs/figures.md: a table, and JSON in build/bench/
	@tools/install-packages build test bench
	@tools/cmake-build release all
	@/usr/bin/python3 tests/figures/run.py --build build/release --out build/bench

figures: build engines ## the figures of docs/reliability.md, each loss TIMES (20) times, reads of MEMBERS (20000), and the table of chaos; in build/figures/ and build/chaos/
	@tools/install-packages build test bench
	@for target in muster_sim_centers http_load; do tools/cmake-build release $$target; done
	@/usr/bin/python3 tests/figures/reliability.py --build build/release --out build/figures --times $(TIMES) --members $(MEMBERS); echo $$? > build/figures/exit
	@$(MAKE) chaos
	@exit $$(cat build/figures/exit)

chaos: build engines ## every fault and PAIRS (10) random pairs of SEED (1) on a two-center system, in about SECONDS (1200); report in build/chaos/
	@mkdir -p build/chaos
	@MUSTER_BINARY=build/release/muster /usr/bin/python3 tests/chaos/run.py --seed $(SEED) --faults all --pairs $(PAIRS) --seconds $(SECONDS) \
	  --report build/chaos/seed-$(SEED).md --json build/chaos/seed-$(SEED).json

lint: ## formatting, import directions, ports, the contract, clang-tidy, generated pages
	@tools/install-packages build test lint
	@tools/cmake-build release muster
	@tests/lint/run build/release

reference: build ## write the generated pages of docs/reference again
	@tools/generate-reference docs/reference

release-contract: ## part of a release: from now on changes of proto/ are held to what it is now
	@buf=$$(tools/get-tool buf) && $$buf lint && $$buf build --exclude-source-info -o proto/baseline.binpb

format: ## clang-format everything
	@tools/install-packages lint
	@git ls-files '*.h' '*.cc' | xargs clang-format-19 -i

clean: ## remove what was built
	@rm -rf $(addprefix build/,$(PRESETS)) build/bench build/chaos
