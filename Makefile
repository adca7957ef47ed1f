# Everything here does its own set-up; the only thing needed first is Go.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS  := -X main.version=$(VERSION)
ARGS     ?=
RACEARGS ?=
SLOW     := ./internal/clienttest ./internal/clustertest ./transfer ./deploy
FUZZTIME ?= 30s
RACED    ?= ./engine ./api ./accounts ./blobs ./buckets ./lifecycle ./inventory ./fsck ./reseal ./damage \
	./meta/... ./backends/... ./access ./iam ./fair ./bounded
# It measures memory, of which the detector takes its part.
RACED_SKIP := ^TestPolicySize$$
# Under the detector these take most of the time. Continuous integration runs of the first
# two only the tests in which several meet, and nothing of the third.
RACED_LONG := ./engine ./api ./meta/postgres
RACED_MEET := AtOnce|Beside|Linearizable|Races|Meet|OneWinner|WhileAnother|Concurrent|UnderLoad|Meanwhile|TakesTurns|TakeTurns|GivenBack|GivenUp

# Linters, built from their sources and in no other way part of the project.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
DEADCODE    := golang.org/x/tools/cmd/deadcode@v0.52.0

# Programs under test must meet the certificates and credentials of the tests,
# not those of the machine.
UNSET := env -u AWS_CA_BUNDLE -u REQUESTS_CA_BUNDLE -u CURL_CA_BUNDLE \
	-u AWS_PROFILE -u AWS_ACCESS_KEY_ID -u AWS_SECRET_ACCESS_KEY -u AWS_SESSION_TOKEN \
	-u AWS_REGION -u AWS_DEFAULT_REGION -u AWS_ENDPOINT_URL

# Tests of what FIPS 140-3 does not approve: Argon2id, and a GCM whose nonce the
# caller chooses, which only a test needs. TestApprovedAlgorithmsOnly starts itself
# in the mode.
NOT_APPROVED := Passphrase|TestReopened|TestSeveralKeys|TestSealedKeysAreBoundToTheirIDs|TestChanges|TestRefusedChanges|TestFreeze|TestAgainstPython|TestXAESAccumulated|TestApprovedAlgorithmsOnly|^(Test|Fuzz)[A-Za-z]*2$$|Version2

.PHONY: help build run fips test test-race test-race-ci test-clients test-clients-more test-hsm test-peers conformance topology lint bench fuzz clean

help: ## Show this
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-17s %s\n", $$1, $$2}'

build: ## Build bin/gateway
	@scripts/setup.sh go
	go build -trimpath -ldflags '$(LDFLAGS)' -o bin/gateway ./cmd/gateway

fips: ## Build bin/gateway-fips with Go's certified cryptographic module, and run what seals, signs and serves where only approved algorithms may
	@scripts/setup.sh go
	GOFIPS140=certified CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/gateway-fips ./cmd/gateway
	GOFIPS140=certified CGO_ENABLED=0 go test -timeout 15m -exec 'env GODEBUG=fips140=only' -skip '$(NOT_APPROVED)' ./encrypt/... ./sigv4 ./weakhash ./engine
	GOFIPS140=certified CGO_ENABLED=0 go test -timeout 10m -run 'TestScripts/fips' ./cmd/gateway

run: build ## Build and serve; ARGS="--s3 127.0.0.1:9100" and the like are passed on
	exec bin/gateway serve $(ARGS)

lint: ## Check formatting and each go.mod, run go vet and staticcheck, look for dead code, and build for arm64
	@scripts/setup.sh go
	@unformatted=$$(gofmt -l $$(git ls-files -co --exclude-standard '*.go')); \
	if [[ -n $$unformatted ]]; then echo "not formatted by gofmt:" $$unformatted >&2; exit 1; fi
	go mod tidy -diff
	go vet ./...
	go vet -tags clients,more,peers ./...
	go run $(STATICCHECK) -tags clients,more,peers ./...
	@dead=$$(go run $(DEADCODE) -test -tags clients,more,peers ./...); \
	if [[ -n $$dead ]]; then printf 'nothing calls:\n%s\n' "$$dead" >&2; exit 1; fi
	GOARCH=arm64 CGO_ENABLED=0 go build -o /dev/null ./cmd/gateway
	@for file in $$(git ls-files -co --exclude-standard '*/go.mod'); do \
		( cd "$$(dirname "$$file")" && echo "lint $$(dirname "$$file")" && go mod tidy -diff && go vet ./... && go run $(STATICCHECK) ./... ) || exit 1; \
	done

test: ## Unit, contract and integration tests, against real databases, storage servers and clients
	@scripts/setup.sh test
	$(UNSET) go test -timeout 15m ./...

test-race: ## The tests of what runs side by side, under the race detector, which needs a C compiler
	@scripts/setup.sh race
	$(UNSET) CGO_ENABLED=1 go test -race -timeout 40m -skip '$(RACED_SKIP)' $(RACEARGS) $(RACED)

test-race-ci: ## The part of test-race that .ci/run runs
	@$(MAKE) test-race RACED="$(filter-out $(RACED_LONG) ./meta/...,$(RACED)) ./meta ./meta/sqlite"
	@$(MAKE) test-race RACED="$(filter-out ./meta/postgres,$(RACED_LONG))" RACEARGS="-run '$(RACED_MEET)'"

test-clients: ## The slower tests: every client over every store and backend, moves of 10,000 objects, kills, the Helm chart
	@scripts/setup.sh clients
	$(UNSET) go test -count=1 -timeout 30m -tags clients $(SLOW)

test-clients-more: ## Clients that take many minutes to build: rclone of today
	@scripts/setup.sh clients-more
	$(UNSET) go test -count=1 -timeout 30m -tags clients,more -run '^TestMore' ./internal/clienttest

test-hsm: ## The key provider over PKCS#11, which needs a C compiler, on SoftHSM
	@scripts/setup.sh pkcs11
	CGO_ENABLED=1 go vet -tags pkcs11 ./encrypt/pkcs11 ./cmd/gateway ./scripts/decrypt
	CGO_ENABLED=1 go run $(STATICCHECK) -tags pkcs11 ./encrypt/pkcs11 ./cmd/gateway
	CGO_ENABLED=1 go test -timeout 10m -tags pkcs11 ./encrypt/pkcs11
	CGO_ENABLED=1 go test -timeout 10m -tags pkcs11 -run PKCS11 ./cmd/gateway ./scripts/decrypt

test-peers: ## The S3 backend against MinIO, which takes minutes to build
	@scripts/setup.sh peers
	$(UNSET) go test -count=1 -timeout 30m -tags peers ./backends/s3/...

conformance: ## The S3 tests of versitygw, minio-go and rclone against a gateway; ARGS="-run versitygw/PutObject/" for a part
	@scripts/setup.sh go
	@go build -o bin/conformance/run ./internal/conformance/run
	@$(UNSET) bin/conformance/run $(ARGS)

topology: ## Start Postgres, an S3 server, three gateways and a load balancer on this machine, until Ctrl-C
	@scripts/setup.sh test
	@go build -o bin/topology ./internal/topology/run
	exec bin/topology $(ARGS)

bench: ## Measure this machine against versitygw and print the table
	@scripts/setup.sh go
	$(UNSET) go run ./internal/bench $(ARGS)

fuzz: ## Run every fuzz target for FUZZTIME (30s)
	@scripts/setup.sh go
	@scripts/fuzz.sh $(FUZZTIME)

clean: ## Remove what was built
	rm -rf bin
