# The version of staticcheck is pinned so that the same code passes tomorrow.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.1.4

# The Python environment of other frameworks, which are timed and compared with.
PEERS := .cache/peers

# Go kills a package's tests after this: it is there for tests that hang, and is no
# limit on slow or busy machines.
TIMEOUT := -timeout 60m

# The tests that drive a browser are a module of their own, see its go.mod.
BROWSER := internal/browser

# What depends on the processor's instruction set, or on the size of an int.
ARITHMETIC := ./kernels ./kernels/cpu ./kernels/warp ./model/... ./infer/... ./train/... ./cmd/vanilla
WORDS := ./graph/ir ./kernels ./kernels/ref ./mnist ./dataset ./model/... ./train/... ./internal/...

# What there takes long and shows the same with any instruction set.
ANY_SET := ^(TestEffectsSimulated|TestExamples|TestBenchSuites|TestBenchAgainst|TestFigureFiles|TestVizAll|TestGallery|TestPredictBadImages)$$

# How long, and on how many inputs at least, each fuzz target runs.
FUZZ_TIME := 5s
FUZZ_INPUTS := 5000

# Where goroutines share memory.
CONCURRENT := ./graph ./kernels ./kernels/cpu ./kernels/tape ./mnist ./dataset ./train/... ./cmd/...

# What there runs in one goroutine, or again what other tests run, at a tenth of the speed under the race detector: make test
# has it.
SEQUENTIAL := ^TestFromImage|^TestFromPhoto|^TestDoubts|^TestTensors$$|^TestSamples$$|^TestSetsAgree|^TestAccumulate$$|^TestMultiply$$|^TestReadmeCounts$$|^TestCoupled$$|^TestOrder|^TestNormal|^TestAugmented|^TestConformance/Trajectories|^TestConformance/.*/Trajectories|^TestGallery|^TestLessonsClaims$$|^TestHostileNPZ$$|^TestHeadersFirst$$|^TestRecordRoutines$$|^TestWidths$$|^TestElementwise$$|$(ANY_SET)

PLATFORMS := linux/arm64 darwin/arm64 windows/amd64

.DEFAULT_GOAL := help
# Every target with a text for help, here and in gpu.mk.
.PHONY: $(shell sed -n 's/^\([a-z0-9-]*\):.*\#\#.*/\1/p' Makefile gpu.mk)

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build bin/vanilla: pure Go, no C compiler needed
	CGO_ENABLED=0 go build -buildvcs=auto -trimpath -ldflags='-s -w' -o bin/vanilla ./cmd/vanilla

train: ## train the default network and save model.safetensors
	go run ./cmd/vanilla train

test: ## run all tests: about 3 minutes on two cores
	go test $(TIMEOUT) -tags cpu ./...
	cd $(BROWSER) && go test $(TIMEOUT) ./...

test-sets: ## run what depends on the instruction set with every set that this processor has
	.ci/sets --slower '-skip=$(ANY_SET)' go test $(TIMEOUT) -tags cpu $(ARITHMETIC)

test-32: ## run what depends on the size of an int as a 32-bit program, on amd64
	CGO_ENABLED=0 GOARCH=386 go vet ./...
	CGO_ENABLED=0 GOARCH=386 go test $(TIMEOUT) $(WORDS)
	CGO_ENABLED=0 GOARCH=386 go test $(TIMEOUT) ./cmd/vanilla -run 'Flags|Wrong|Recipe|Eval|Help|Export'

test-arm64: ## run what computes as a program of arm64, emulated by qemu-user: 10 minutes
	CGO_ENABLED=0 GOARCH=arm64 go vet ./...
	CGO_ENABLED=0 GOARCH=arm64 go test $(TIMEOUT) -short -exec qemu-aarch64 ./graph/ir ./kernels ./kernels/ref ./kernels/cpu ./model

vulnerabilities: ## fail on known weaknesses in what the binary calls: govulncheck, downloaded if need be
	go run $(GOVULNCHECK) ./...

fuzz: ## run every fuzz target on thousands of inputs, a few seconds each
	.ci/fuzz $(FUZZ_TIME) $(FUZZ_INPUTS)

soak: ## what takes longer than a commit should: kills, long fuzzing, sets of vectors on all networks, the race detector
	$(MAKE) kills
	$(MAKE) kill-sweeps
	$(MAKE) kill-flips
	$(MAKE) fuzz FUZZ_TIME=2m FUZZ_INPUTS=100000
	VANILLA_SOAK=1 go test ./kernels/cpu -run 'Agree' -count 1 -timeout 2h
	CGO_ENABLED=1 go test $(TIMEOUT) -race ./...
	$(MAKE) race-gpu
	$(MAKE) soak-gpu

check: format vet staticcheck cross modules check-generate race ## all that must hold besides the tests: the parts below

format: ## fail on files that gofmt would change
	@files=$$(gofmt -l .) && if [ -n "$$files" ]; then echo "gofmt -w is needed on:" $$files; exit 1; fi

vet: ## go vet, by default and with the tags cpu and purego
	go vet ./...
	go vet -tags cpu ./...
	go vet -tags purego ./kernels/cpu
	cd $(BROWSER) && go vet ./...

staticcheck: ## staticcheck, downloaded if need be
	go run $(STATICCHECK) ./...
	cd $(BROWSER) && go run $(STATICCHECK) ./...

race: ## short tests under the race detector, which needs a C compiler
	CGO_ENABLED=1 go test $(TIMEOUT) -race -short -skip '$(SEQUENTIAL)' $(CONCURRENT)

cross: ## build for other systems and processors
	@set -e; for p in $(PLATFORMS); do \
		echo "build for $$p"; CGO_ENABLED=0 GOOS=$${p%/*} GOARCH=$${p#*/} go build ./...; \
	done

modules: ## fail if modules are damaged, missing or unused
	go mod verify
	go mod tidy -diff
	cd $(BROWSER) && go mod tidy -diff

lines: ## count the lines of Go that are neither tests nor generated
	@git ls-files -z '*.go' | xargs -0 grep -LE '^// Code generated .* DO NOT EDIT' | grep -vE '_test\.go$$|(^|/)testdata/|^internal/browser/' | xargs cat | wc -l

bench: build ## seconds per epoch, side by side with other ways to train
	bin/vanilla bench

peers: $(PEERS)/installed ## install PyTorch, JAX, numpy, scikit-learn and ONNX in .cache/peers: 6 GB on Linux

$(PEERS)/installed: bench/peers/requirements.txt
	python3 -m venv --clear $(PEERS)
	$(PEERS)/bin/pip install --quiet --requirement $<
	touch $@

peers-cuda: peers ## what JAX needs besides to run on an NVIDIA GPU
	$(PEERS)/bin/pip install --quiet --requirement bench/peers/requirements-cuda.txt

bench-peers: build peers ## the same beside PyTorch, JAX, numpy and scikit-learn
	bin/vanilla bench --peers $(PEERS)/bin/python

bench-all: peers ## measure all suites into bench/results: 15 minutes, on a machine that does nothing else
	bench/all.sh $(PEERS)/bin/python

bench-repeat: build ## hold the harness against its own intervals: equal runs, and a planted slowdown
	bin/vanilla bench --suite repeat

# Nothing but the arithmetic decides, so it may run beside other work.
accuracy: ## train every recipe from 20 seeds into bench/results, with vectors and in portable Go: 6 minutes
	bench/all.sh python3 accuracy
	GODEBUG=cpu.avx512f=off,cpu.avx2=off bench/all.sh python3 accuracy

reproduce: ## train two seeds of every recipe and the networks in model/zoo again: they must come to the same numbers and bytes
	go run ./cmd/vanilla bench --reproduce bench/results
	@set -e; tmp=$$(mktemp -d); trap 'rm -rf '$$tmp EXIT; go build -o $$tmp/vanilla ./cmd/vanilla; \
		if $$tmp/vanilla devices | grep -q '^cpu.*, AVX'; then \
			$$tmp/vanilla train -o $$tmp/default.safetensors >$$tmp/log 2>&1; \
			$$tmp/vanilla train --recipe lesson --seed 2 -o $$tmp/lesson.safetensors >$$tmp/log 2>&1; \
			for f in default lesson; do cmp $$tmp/$$f.safetensors model/zoo/$$f.safetensors || { echo "make models trains it anew"; exit 1; }; done; \
		else echo "NOT RUN: model/zoo is made with AVX2"; fi

results: ## make the page of bench/results and the README's figures from the results
	go test ./bench -run '^TestPage$$' -count 1 -update

generate: ## regenerate what is generated
	go generate ./...

# What generates the assembly, in a copy of its own: the files name the command.
check-generate: ## fail unless the committed assembly is what its generator writes, byte for byte
	@set -e; tmp=$$(mktemp -d); trap 'rm -rf '$$tmp EXIT; for which in cpu:dense warp:warp; do \
		pkg=$${which%:*} file=$${which#*:}; mkdir $$tmp/$$pkg; cp -r kernels/$$pkg/_asm $$tmp/$$pkg; (cd $$tmp/$$pkg/_asm; \
		go mod tidy -diff; go vet .; go run . -out ../$${file}_amd64.s -stubs ../$${file}_amd64.go -pkg $$pkg); \
		for f in $$(cd $$tmp/$$pkg && ls *_amd64.*); do cmp $$tmp/$$pkg/$$f kernels/$$pkg/$$f || \
			{ echo "kernels/$$pkg/$$f is not what kernels/$$pkg/_asm generates: run make generate"; exit 1; }; done; done

models: ## train the networks in model/zoo anew, with the commands of its README
	go run ./cmd/vanilla train -o model/zoo/default.safetensors
	go run ./cmd/vanilla train --recipe lesson --seed 2 -o model/zoo/lesson.safetensors

gallery: ## draw the pictures of viz/GALLERY.md anew, with the commands of that page
	go test ./cmd/vanilla -run '^TestGallery$$' -count 1 -update

page-pictures: ## take the README's pictures of the page anew, in a browser
	cd $(BROWSER) && VANILLA_REQUIRE_BROWSER=1 go test -run '^TestScreenshots$$' -count 1 -update

# What the page's speed is kept as: the machine and the day are in the name.
bench-page: ## measure the page: an update in a browser, and what following a run costs, into bench/results
	cd $(BROWSER) && VANILLA_REQUIRE_BROWSER=1 VANILLA_REVISION=$$(git rev-parse --short=12 HEAD) go test -run '^TestSpeed$$' -count 1 -v -measure
	go test ./viz/page -run '^TestCostOfEvents$$' -count 1 -v -measure $(CURDIR)/bench/results/page-events.json

studies: ## make the files of studies/README.md anew from the sweeps' records, with the commands of that page
	go test ./cmd/vanilla -run '^TestStudyResults$$' -count 1 -update

samples: peers ## write the list of calls behind each graph of graph/samples, and PyTorch's gradients of them
	go test ./graph/samples -run '^TestTraces$$' -count 1 -update
	$(PEERS)/bin/python graph/samples/peers/pytorch.py graph/samples/testdata/traces.json.gz graph/samples/testdata/pytorch.json.gz

mutants: ## change programs that fuse in 20,000 ways: none that fuses may differ
	VANILLA_MUTANTS=20000 go test ./graph/fuse -run '^TestMutants$$' -count 1 -v -timeout 30m

kills: ## kill training with SIGKILL at 200 random moments; every resumed run must end in the same bytes
	VANILLA_KILLS=200 go test ./cmd/vanilla -run '^TestKill$$' -count 1 -v

kill-sweeps: ## kill sweeps with SIGKILL at 50 random moments; every resumed one must end as one that was never killed
	VANILLA_KILLS=50 go test ./cmd/vanilla -run '^TestKillSweep$$' -count 1 -v

kill-flips: ## kill runs and sweeps at 300 random moments and flip a bit of their files; each must end in equal bytes or be refused
	VANILLA_KILLS=150 go test ./cmd/vanilla -run '^TestFlip' -count 1 -v

slurm: ## run the job files of examples/cluster in a Slurm cluster of this machine, installed by apt-get if need be
	@PATH="$$PATH:/usr/sbin"; for p in slurmctld slurmd munged sbatch; do command -v $$p > /dev/null || missing=1; done; \
		[ -z "$$missing" ] || apt-get install --yes --no-install-recommends slurm-wlm munge
	VANILLA_SLURM=1 go test ./cmd/vanilla -run '^TestSlurm$$' -count 1 -v

check-peers: build peers ## compare with ONNX Runtime and PyTorch on all test images
	mkdir -p $(PEERS)/samples
	go test ./model/export -run '^TestONNXOfSamples$$' -count 1 -onnx $(CURDIR)/$(PEERS)/samples
	$(PEERS)/bin/python model/peers/check.py bin/vanilla $(PEERS)/samples
	$(PEERS)/bin/python bench/peers/check.py

# What reads Parquet files besides this project: 400 MB once installed.
PARQUET := .cache/parquet

check-parquet: build $(PARQUET)/installed ## run a small sweep, and read what vanilla results --parquet writes with pandas and DuckDB
	rm -rf $(PARQUET)/sweep
	bin/vanilla sweep --layers 1..2 --hidden 4..16 --lr 0.1..3 --points 12 --halving 1,2 --finalists 2 --final-seeds 2 --out $(PARQUET)/sweep
	$(PARQUET)/bin/python train/sweep/report/peers/check.py bin/vanilla $(PARQUET)/sweep

$(PARQUET)/installed: train/sweep/report/peers/requirements.txt
	python3 -m venv --clear $(PARQUET)
	$(PARQUET)/bin/pip install --quiet --requirement $<
	touch $@

include gpu.mk
