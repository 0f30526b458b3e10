# CUDA: the compiler, the kernels and the binaries with the tag gpu. Nothing of
# NVIDIA's need be installed: .cache/cuda holds the compiler, pinned in
# kernels/cuda/requirements.txt.

CUDA := $(CURDIR)/.cache/cuda

# With these, the go command builds with -tags gpu. The directory link holds the
# empty libcuda.so that the binary is linked with.
CUDA_CFLAGS  := -O2 -g -I$(CUDA)/nvidia/cuda_runtime/include
CUDA_LDFLAGS := -L$(CURDIR)/kernels/cuda/driver/link
GPU := CGO_ENABLED=1 CGO_CFLAGS="$(CUDA_CFLAGS)" CGO_LDFLAGS="$(CUDA_LDFLAGS)"

.PHONY: cuda gpu gpu-env functions

cuda: $(CUDA)/installed ## install the CUDA compiler in .cache/cuda: 310 MB, no root

$(CUDA)/installed: kernels/cuda/requirements.txt
	python3 -m venv --clear $(CUDA)
	$(CUDA)/bin/pip install --quiet --no-deps --requirement $<
	cd $(CUDA) && ln -s lib/python3*/site-packages/nvidia nvidia
	touch $@

gpu: cuda ## build bin/vanilla-gpu: CUDA where there is a GPU, the CPU elsewhere
	$(GPU) go build -tags gpu -buildvcs=auto -trimpath -o bin/vanilla-gpu ./cmd/vanilla

gpu-env: cuda ## print what the go command needs in its environment for -tags gpu
	@echo 'export $(GPU)'

functions: cuda ## list anew the driver's functions that the binary calls
	$(GPU) kernels/cuda/driver/functions.sh >functions.h.new
	mv functions.h.new kernels/cuda/driver/functions.h
