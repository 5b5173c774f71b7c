# Everything that this project can be asked to do. `make` alone lists it.

CARGO ?= cargo
TARGET := $(shell rustc -vV | sed -n 's/^host: //p')
BINARY := $(or $(CARGO_TARGET_DIR),target)/$(TARGET)/release/cetusguard

.PHONY: help demo test test-engine soak bench bench-check bench-fairness lint audit fuzz build up install clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 22

demo: ## start the proxy in front of this machine's engine, or of a simulated one, and walk through five requests
	@echo 'Building the proxy and the demonstration; the first time takes a few minutes.'
	@$(CARGO) build --release --locked
	@$(CARGO) build --locked --package cetusguard-testkit --example demo
	@echo 'The demonstration stays in the foreground with the log of the proxy: Ctrl-C ends both.'
	@trap '' INT; $(CARGO) run --quiet --locked --package cetusguard-testkit --example demo -- $(BINARY)

test: ## run every test that needs no engine, and report all that fail
	$(CARGO) test --workspace --locked --no-fail-fast

test-engine: build ## run the tests that need a real engine and real clients
	scripts/test-engine $(BINARY)

soak: build ## run every kind of load at once for two minutes, and check every byte, every record, and what is left afterwards
	scripts/soak $(BINARY)

bench: ## measure this tree beside its peers, and write bench/results/latest.md
	scripts/bench

bench-check: build ## count system calls, instructions and memory, and fail where they grew
	$(CARGO) run --quiet --locked --package cetusguard-bench -- check $(BINARY)

bench-fairness: build ## watch one client while another one attacks, in rows with the words in ROW
	$(CARGO) run --quiet --release --locked --package cetusguard-bench -- fairness $(BINARY) $(ROW)

lint: ## check formatting, lints, documentation, imports and scripts
	scripts/lint

audit: ## check licences and sources of the dependencies, and known vulnerabilities
	scripts/audit

fuzz: ## run every fuzz target for a minute, two at a time
	scripts/fuzz

build: ## build the static release binary
	$(CARGO) build --release --locked

up: ## deploy the compose file on this machine's engine
	@if docker compose version >/dev/null 2>&1; then compose='docker compose'; else compose=docker-compose; fi; \
	set -x; $$compose -f compose/core/cetusguard/compose.yaml up --build --detach

install: build ## install the binary, its manual page and completions below $(DESTDIR)/usr/local
	scripts/artefacts $(BINARY) $(DESTDIR)/usr/local

clean: ## remove what was built
	$(CARGO) clean
