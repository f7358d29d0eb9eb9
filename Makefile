# Everything a developer or CI does here. `make` alone explains.

# Packages tested at once. Tests start debuggers, JVMs and compilers of their own: more at once only makes each one time out.
PARALLEL ?= 2
TEST_FLAGS ?=
PKGS ?= ./...

.DEFAULT_GOAL := help
.PHONY: help build demo test lint cross bench fuzz

help: ## show this help
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' Makefile

build: ## build brokerd and brokerctl into bin/
	go build -o bin/ ./cmd/...

demo: ## a whole debug session, explained step by step; needs Go only
	@go run ./integration/demo

test: ## all tests with the race detector; installs or names the debug servers that are missing
	@integration/setup.sh
	@go test -race -timeout 20m -p $(PARALLEL) $(TEST_FLAGS) $(PKGS)

lint: ## gofmt, go vet, staticcheck
	@unformatted=$$(gofmt -l $$(git ls-files -co --exclude-standard '*.go')) || exit 1; \
	if [ -n "$$unformatted" ]; then echo "gofmt would change:"; echo "$$unformatted"; exit 1; fi
	go vet ./...
	go tool staticcheck ./...

cross: ## compile for the other systems that are supported
	GOOS=linux GOARCH=arm64 CGO_ENABLED=0 go build ./...
	GOOS=darwin GOARCH=amd64 CGO_ENABLED=0 go build ./...
	GOOS=darwin GOARCH=arm64 CGO_ENABLED=0 go build ./...

bench: ## measure against ssh -L, autossh and scripts made by hand; prints ratios
	@integration/setup.sh bench
	go test -count=1 -run '^$$' -bench . -timeout 60m ./integration/bench

fuzz: ## run every fuzz target for a while (FUZZTIME=3000x inputs each)
	@integration/setup.sh
	@integration/fuzz.sh
