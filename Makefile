# The commands of this project, each a line or two. `make` alone lists them.
#   CUDA=1      with run, build, bench: also fetch libtorch's CUDA libraries, and use them
#   DATA=DIR    with run: where Lobar keeps what it stores (./data)
#   ARGS='…'    with run: further arguments for `lobar up`; with test: for ops/run_suites.py;
#                with bench, compare: their own

TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
DATA ?= ./data
CARGO ?= cargo
LOBAR := $(TARGET)/release/lobar
# The executable without libtorch, from the crates that all the others are made of: cargo builds a crate once more for
# each set of features, and what tests ask for it counts only where a test is among what is built.
NODE := --no-default-features --features lobar/node,lobar-opener/default,lobar-sql/default --bin lobar --test rules
LINT := PATH=$(CURDIR)/.lint/bin:$(CURDIR)/.lint/node_modules/.bin:$$PATH
SETUP := CUDA=$(CUDA) sh ops/setup/prepare.sh
ifeq ($(CUDA),1)
export LOBAR_LIBTORCH_CUDA := $(CURDIR)/.libtorch-cuda/torch/lib/libtorch_cuda.so
endif

.PHONY: help run build imagenet test test-processors check bench compare
.NOTPARALLEL:

help: ## list the commands
	@sed -n 's/^\([a-z-]*\):.*## /make \1\t/p' Makefile | expand -t 22

run: build ## install what is missing, build, and start Lobar on this machine
	exec $(LOBAR) up --data $(DATA) $(ARGS)

build: ## make target/release/lobar
	@$(SETUP) build
	@echo "Building Lobar: the first time takes ten to twenty minutes on two cores, later times seconds."
	$(CARGO) build --locked --release -p lobar

imagenet: ## fetch ImageNet weights for a teacher, see docs/training.md
	python3 ops/setup/imagenet.py .imagenet

test: ## install what the tests need, build, run every suite
	@$(SETUP) test
	@echo "Building and testing Lobar: the first time takes about half an hour on two cores."
	LIBTORCH=/nowhere $(CARGO) build --locked --workspace $(NODE)
	cp $(TARGET)/debug/lobar $(TARGET)/debug/lobar-node
	$(CARGO) build --locked --workspace --all-targets
	$(CARGO) test --locked -p lobar-opener --no-default-features
	CARGO=$(CARGO) LOBAR_BIN=$(TARGET)/debug/lobar python3 ops/run_suites.py $(ARGS)

test-processors: imagenet ## the numeric suites as other processors would compute them
	@$(SETUP) build
	CARGO=$(CARGO) sh ops/test-processors.sh

check: ## formatting, lints, documentation, dependencies, scripts, the page, the API document
	@$(SETUP) check
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	LIBTORCH=/nowhere $(CARGO) check --locked -p lobar --no-default-features --features node
	$(CARGO) tree --locked --quiet --depth 0 --manifest-path fuzz/Cargo.toml
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --locked --workspace --no-deps --document-private-items
	$(LINT) cargo-deny --locked --all-features --log-level error check bans licenses sources
	$(LINT) cargo-shear --locked --deny-warnings
	$(LINT) shellcheck .ci/run $(shell git ls-files '*.sh')
	$(LINT) tsc -p api/jsconfig.json
	$(LINT) oxlint -c api/oxlint.json --quiet --deny-warnings api/web
	$(CARGO) build --locked --workspace --example openapi
	$(TARGET)/debug/examples/openapi > $(TARGET)/openapi.json
	$(LINT) REDOCLY_SUPPRESS_UPDATE_NOTICE=true redocly lint --config ops/lint/redocly.yaml --max-problems 20 $(TARGET)/openapi.json

bench: build ## the figures of docs/benchmarks.md
	$(LOBAR) bench all $(ARGS)

compare: build ## Lobar beside Python programs of the same network, on ARGS='PICTURE…'
	@$(SETUP) test
	.venv/bin/python tests/peers/compare.py --lobar $(LOBAR) $(ARGS)
