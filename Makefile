# The version of staticcheck is pinned so that the same code passes tomorrow.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

# Where goroutines share memory.
CONCURRENT := ./graph ./kernels/... ./mnist ./train ./cmd/...

PLATFORMS := linux/arm64 darwin/arm64 windows/amd64

.DEFAULT_GOAL := help
.PHONY: help build train test check format vet staticcheck race cross modules bench generate

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build bin/vanilla: pure Go, no C compiler needed
	CGO_ENABLED=0 go build -trimpath -o bin/vanilla ./cmd/vanilla

train: ## train the default network and save model.safetensors
	go run ./cmd/vanilla train

test: ## run all tests
	go test -tags cpu ./...

check: format vet staticcheck cross modules race ## all that must hold besides the tests: the parts below

format: ## fail on files that gofmt would change
	@files=$$(gofmt -l .) && if [ -n "$$files" ]; then echo "gofmt -w is needed on:" $$files; exit 1; fi

vet: ## go vet, by default and with -tags cpu
	go vet ./...
	go vet -tags cpu ./...

staticcheck: ## staticcheck, downloaded if need be
	go run $(STATICCHECK) ./...

race: ## short tests under the race detector, which needs a C compiler
	CGO_ENABLED=1 go test -race -short $(CONCURRENT)

cross: ## build for other systems and processors
	@set -e; for p in $(PLATFORMS); do \
		echo "build for $$p"; CGO_ENABLED=0 GOOS=$${p%/*} GOARCH=$${p#*/} go build ./...; \
	done

modules: ## fail if modules are damaged, missing or unused
	go mod verify
	go mod tidy -diff

bench: ## seconds per epoch, side by side with other ways to train
	go run ./cmd/vanilla bench

generate: ## regenerate what is generated
	go generate ./...
