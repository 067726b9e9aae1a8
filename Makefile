# Countersign. `make test` is what continuous integration runs; `make help` lists the rest.

SHELL       := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build

GO ?= go
# A clone owned by somebody else must still build: only `make build` asks git for the commit.
export GOFLAGS ?= -buildvcs=false

# How long one package's tests may take, and how long test-long fuzzes each target.
TIMEOUT  ?= 14m
FUZZTIME ?= 30s

WITH_POSTGRES := bin/withpostgres

.PHONY: help build demo deps node-clients fmt vet lint test test-long bench clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /  \1\t/' | expand -t 16

build: ## one static binary, bin/countersign
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=auto -o bin/countersign ./cmd/countersign

demo: ## play the story over real HTTP, then keep serving
	$(GO) run ./cmd/countersign demo

deps: ## install what the tests need and this machine lacks: PostgreSQL, a C compiler, Chromium, Node.js
	@tools/deps

# The OAuth clients that test/clients runs under Node.js. npm takes the versions of the lock file and checks their hashes;
# no package runs a script of its own.
NODE_CLIENTS := test/clients/node
node-clients: $(NODE_CLIENTS)/node_modules/.package-lock.json ## install the npm packages the tests run, as the lock file has them

$(NODE_CLIENTS)/node_modules/.package-lock.json: $(addprefix $(NODE_CLIENTS)/,package.json package-lock.json .npmrc) | deps
	@echo "installing the packages of $(NODE_CLIENTS)/package-lock.json"
	@cd $(NODE_CLIENTS) && npm ci --loglevel=error --no-progress >/dev/null
	@touch $@

fmt: ## fail where gofmt would change something
	@unformatted=$$(gofmt -l .); \
	if [ -n "$$unformatted" ]; then echo "run gofmt -w on:"; echo "$$unformatted"; exit 1; fi

vet: ## go vet
	$(GO) vet ./...

# golangci-lint is a module tool with its own go.mod, so that its two hundred dependencies are not ours. Building it
# takes a minute and a half the first time on two cores, which is short enough to keep one command for everything.
lint: ## golangci-lint, at the version tools/go.mod pins
	$(GO) tool -modfile=tools/go.mod golangci-lint run --allow-parallel-runners ./...

# The runner is built first and not `go run`, so that the last lines are go test's own.
test: deps node-clients fmt vet lint $(WITH_POSTGRES) ## everything but the long runs, on both engines, with the race detector
	$(WITH_POSTGRES) $(GO) test -race -count=1 -timeout $(TIMEOUT) ./...

test-long: deps $(WITH_POSTGRES) ## fuzz every target (FUZZTIME=30s), then the model check and the fault runs at length
	tools/fuzz $(FUZZTIME)
	$(WITH_POSTGRES) $(GO) test -race -count=1 -timeout 2h -run RotationKeeps ./internal/session -rapid.checks=1000
	COUNTERSIGN_TEST_LONG=1 $(WITH_POSTGRES) $(GO) test -race -count=1 -timeout 2h ./test/faults

bench: deps $(WITH_POSTGRES) ## closed-loop load beside each engine's own ceiling
	$(WITH_POSTGRES) $(GO) run ./bench

.PHONY: $(WITH_POSTGRES)
$(WITH_POSTGRES):
	@$(GO) build -o $@ ./test/pgcluster/cmd/withpostgres

clean: ## remove bin/
	rm -rf bin
