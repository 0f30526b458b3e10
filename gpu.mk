# CUDA: the compiler, the kernels and the binaries with the tag gpu. Nothing of
# NVIDIA's need be installed: .cache/cuda holds the compiler, pinned in
# kernels/cuda/requirements.txt.

CUDA := $(CURDIR)/.cache/cuda

# With these, the go command builds with -tags gpu. The directory link holds the
# empty libcuda.so that the binary is linked with.
CUDA_CFLAGS  := -O2 -g -I$(CUDA)/nvidia/cuda_runtime/include
CUDA_LDFLAGS := -L$(CURDIR)/internal/cuda/driver/link
GPU := CGO_ENABLED=1 CGO_CFLAGS="$(CUDA_CFLAGS)" CGO_LDFLAGS="$(CUDA_LDFLAGS)"

.PHONY: cuda cuda-anew gpu gpu-env functions kernels check-kernels model check-model test-gpu test-gpu-packages test-gpu-processes test-gpu-command standin vet-gpu check-gpu race-gpu soak-gpu bundle-files gpu-bundle check-bundle gpu-check gpu-bench

# What is installed is told by the requirements' text, not by times: a checkout is
# newer than a cache that fits it.
cuda: ## install the CUDA compiler in .cache/cuda: 380 MB, no root
	@cmp -s kernels/cuda/requirements.txt $(CUDA)/installed || $(MAKE) --no-print-directory cuda-anew

cuda-anew:
	rm -rf $(CUDA)
	python3 -m venv $(CUDA)
	$(CUDA)/bin/pip install --quiet --no-deps --requirement kernels/cuda/requirements.txt
	cd $(CUDA) && ln -s lib/python3*/site-packages/nvidia nvidia
	cp kernels/cuda/requirements.txt $(CUDA)/installed

gpu: cuda ## build bin/vanilla-gpu: CUDA where there is a GPU, the CPU elsewhere
	$(GPU) go build -tags gpu -buildvcs=auto -trimpath -ldflags='-s -w' -o bin/vanilla-gpu ./cmd/vanilla

gpu-env: cuda ## print what the go command needs in its environment for -tags gpu
	@echo 'export $(GPU)'

functions: cuda ## list anew the driver's functions that the binary calls
	$(GPU) internal/cuda/driver/functions.sh >functions.h.new
	mv functions.h.new internal/cuda/driver/functions.h

kernels: cuda ## compile kernels/cuda/*.cu into internal/cuda/image, which is committed
	go run ./internal/cuda/image/compile

check-kernels: cuda ## fail unless the committed kernels are what the sources compile to, byte for byte
	go run ./internal/cuda/image/compile -check

# What the kernels would take on an H100, by a model that reads their machine code.
MODEL = $(GPU) python3 kernels/cuda/model/table.py --nvdisasm $(CUDA)/nvidia/cu13/bin/nvdisasm --sources $$(sed -n 's/^sources: //p' internal/cuda/image/stamp.txt)

model: cuda ## model the kernels' time anew, into kernels/cuda/model/cycles.txt, which is committed
	$(MODEL)

check-model: cuda ## fail if a kernel got more than 5 % slower in the model
	$(MODEL) --check

# The packages that are different, or tested differently, with the tag gpu.
GPU_PACKAGES := ./internal/cuda/... ./kernels/cuda/... ./kernels/device

# What there runs processes of its own, which keep all cores busy. Other tests set what
# the stand-in stands in for in their process's environment, so that they run one after
# the other.
GPU_PROCESSES := ^(TestPlantedMistakes|TestBarriers|TestRaces)$$

# -count=1: go test does not see that the stand-in's library changes with the kernels.
GPU_TEST := $(GPU) go test $(TIMEOUT) -count=1 -tags gpu

# Two parts at a time, of these and of all: each has stretches in which it keeps one core busy.
BESIDE := --no-print-directory --jobs=2 --output-sync=target

test-gpu: cuda ## run the tests of the tag gpu, with kernels on the CPU in the place of a GPU
	$(MAKE) $(BESIDE) test-gpu-packages test-gpu-processes test-gpu-command

test-gpu-packages: standin
	$(GPU_TEST) -skip '$(GPU_PROCESSES)' $(GPU_PACKAGES)

test-gpu-processes: standin
	$(GPU_TEST) -run '$(GPU_PROCESSES)' ./kernels/cuda

test-gpu-command: standin
	$(GPU_TEST) ./cmd/vanilla -run 'GPU|StandIn|Help|Devices'

# Once, for all who need it at the same time.
standin: cuda
	@go run ./internal/cuda/standin/build >/dev/null

vet-gpu: cuda ## go vet and staticcheck with the tag gpu
	$(GPU) go vet -tags gpu ./...
	$(GPU) go run $(STATICCHECK) -tags gpu $(GPU_PACKAGES) ./cmd/...

# The longest parts come first.
check-gpu: cuda ## what must hold with the tag gpu for every commit: the parts above; check-bundle rehearses the bundle besides
	$(MAKE) $(BESIDE) test-gpu-packages test-gpu-processes test-gpu-command check-kernels check-model gpu-bundle vet-gpu

race-gpu: cuda ## the driver's tests under the race detector
	$(GPU) go test $(TIMEOUT) -race -tags gpu ./internal/cuda/driver

soak-gpu: standin ## what takes the stand-in longer than a commit should
	VANILLA_SOAK=1 $(GPU_TEST) ./kernels/cuda -run '^TestSpreadStream(Conformance|PyTorch)$$'

# What a machine with a GPU, and without Go, needs: see kernels/cuda/bundle/README.md.
BUNDLE := bin/vanilla-gpu-bundle
GPU_TESTS := kernels/cuda internal/cuda/driver kernels/device
SANITIZER := $(CUDA)/nvidia/cu13

bundle-files: gpu
	rm -rf $(BUNDLE)
	mkdir -p $(BUNDLE)/bin $(BUNDLE)/bench $(BUNDLE)/mnist $(BUNDLE)/sanitizer/bin $(BUNDLE)/sanitizer/lib
	cp kernels/cuda/bundle/* $(BUNDLE)
	$(GPU) go build -tags gpu -buildvcs=auto -trimpath -ldflags='-s -w' -o $(BUNDLE)/bin/vanilla-gpu ./cmd/vanilla
	set -e; for p in $(GPU_TESTS); do \
		mkdir -p $(BUNDLE)/tests/$$p; \
		$(GPU) go test -c -tags gpu -trimpath -ldflags='-s -w' -o $(BUNDLE)/tests/$$p/$${p##*/}.test ./$$p; \
		if [ -d $$p/testdata ]; then cp -r $$p/testdata $(BUNDLE)/tests/$$p; fi; \
	done
	cp kernels/cuda/*.cu kernels/cuda/*.cuh $(BUNDLE)/tests/kernels/cuda # which tests compare with the host's structs
	cp internal/cuda/driver/functions.h $(BUNDLE)/tests/internal/cuda/driver # and with CUDA 12.0's functions
	cp -r bench/peers $(BUNDLE)/bench
	rm -rf $(BUNDLE)/bench/peers/__pycache__
	cp -r mnist/data $(BUNDLE)/mnist
	cp -P $(SANITIZER)/bin/compute-sanitizer $(SANITIZER)/bin/libsanitizer-collection.so $(BUNDLE)/sanitizer/bin
	cp -P $(SANITIZER)/lib/libInterceptorInjectionTarget.so $(SANITIZER)/lib/libTreeLauncher*.so $(SANITIZER)/lib/libsanitizer-public.so $(BUNDLE)/sanitizer/lib

# 64 MiB at most, so that it can be carried anywhere. MNIST is in it three times, compressed already: a dictionary that
# spans the whole archive stores it once.
gpu-bundle: bundle-files ## pack the GPU's binaries, tests, scripts and peers for a machine without Go
	tar -C bin --owner=0 --group=0 -cf - $(notdir $(BUNDLE)) | xz --threads=1 --lzma2=preset=1,dict=192MiB >$(BUNDLE).tar.xz
	@bytes=$$(stat -c %s $(BUNDLE).tar.xz); echo "$(BUNDLE).tar.xz: $$bytes bytes"; [ $$bytes -lt 67108864 ]

gpu-check: bundle-files ## prove the CUDA executor on this machine's GPU; fails without one
	$(BUNDLE)/gpu-check

gpu-bench: bundle-files ## time the CUDA executor on this machine's GPU
	$(BUNDLE)/gpu-bench --out bench/results

check-bundle: gpu-bundle ## unpack the bundle elsewhere and try its scripts on a machine without a GPU, which they must refuse
	kernels/cuda/check-bundle $(BUNDLE).tar.xz $$(go run ./internal/cuda/standin/build)
