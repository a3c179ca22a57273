# One set of build flags everywhere, the race detector apart: a second set would
# compile the Docker and AWS libraries once more, for two minutes.
export CGO_ENABLED := 0
export GOFLAGS := $(strip $(filter-out -trimpath,$(GOFLAGS)) -trimpath)

.PHONY: help build demo test test-packages test-page lint clean

help: ## what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## bin/weelo-deploy
	go build -tags grpcnotrace -ldflags '-s -w' -o bin/weelo-deploy ./cmd/weelo-deploy

demo: ## replay the incident in the sandbox, with real containers (linux/amd64)
	@scripts/require-host demo
	@scripts/ensure-docker
	@scripts/demo

test: ## all tests, those with real containers included (linux/amd64)
	@scripts/require-host test
	@scripts/ensure-docker
	@scripts/test

test-packages: ## the scan against real npm packages and a real Debian (needs npm, gcc, musl-gcc, apt-get)
	@scripts/require-host test-packages
	@scripts/ensure-docker
	go test -tags packages -count=1 -timeout 10m ./internal/scan/realtest

test-page: ## the sandbox's page in Chromium, which is installed on Debian and Ubuntu as root
	@scripts/test-page

lint: ## gofmt, go vet, staticcheck
	@scripts/lint

clean: ## remove what the targets above have built
	rm -rf bin dist examples/orders/dist examples/broken/*/dist
