// A stand-in for libcuda.so.1 on the CPU, for tests: the driver calls that
// package driver makes, with kernels compiled by g++ through cuda_host.h. It says
// everywhere that it is no GPU.
//
// It is stricter than a GPU. New memory holds NaNs, and what is around an
// allocation must not be touched, by copies or by kernels. Streams have threads of
// their own, so that waiting for them is real; a kernel that fails loses the context,
// as on a GPU. Copies in a stream are done when their turn comes, and from or to
// page-locked memory alone.
//
// Environment variables set what it stands in for. They are read when a context
// is made, and the first three at every call that asks:
//
//	VANILLA_STANDIN_DEVICES     how many devices there are (1)
//	VANILLA_STANDIN_DRIVER      the version of CUDA that the driver has (13000)
//	VANILLA_STANDIN_CAPABILITY  compute capability of the devices: 7.5, 8.0, 8.6, 8.9, 9.0, 10.0 or 12.0 (9.0)
//	VANILLA_STANDIN_INIT        the CUresult of cuInit (0)
//	VANILLA_STANDIN_MEMORY      bytes of memory of a device (1 GiB)
//	VANILLA_STANDIN_DELAY       milliseconds that every launch takes longer (0)
//	VANILLA_STANDIN_LATE        WHAT:MILLISECONDS, with commas between several: how much
//	                            later every in, out, copy or clear in a stream begins
//	VANILLA_STANDIN_HOLD        a file: while it exists no launch ends, and FILE.begun
//	                            has a byte for every launch that has begun
//	VANILLA_STANDIN_ORDER       of blocks and of a block's threads: forward, reverse or
//	                            shuffled (forward)
//	VANILLA_STANDIN_THREADS     OS threads that run blocks (all cores)
//	VANILLA_STANDIN_FAIL        WHAT:N:CUresult[:DEVICE], with commas between several:
//	                            the Nth launch, alloc, host, in, out, copy or clear of a
//	                            context fails, by default on every device
#include "context.h"

#include <csignal>
#include <elf.h>
#include <sstream>

// The kernels, each file's in an array that ends with a null name. Build writes them.
extern const ch::Kernel *const standin_kernels[];

// Its presence is how package driver knows what it has opened.
extern "C" const char vanilla_standin[] = "stand-in for CUDA on the CPU, not a GPU";

namespace {

const char *setting(const char *name, const char *otherwise) {
  const char *v = getenv(name);
  return v && *v ? v : otherwise;
}
long number(const char *name, long otherwise) {
  const char *v = getenv(name);
  return v && *v ? atol(v) : otherwise;
}

// ---- what the devices are -------------------------------------------------------

const Capability capabilities[] = {
    {7, 5, 65536, 65536, 0, 1024, 16},
    {8, 0, 166912, 167936, 1024, 2048, 32},
    {8, 6, 101376, 102400, 1024, 1536, 16},
    {8, 9, 101376, 102400, 1024, 1536, 24},
    {9, 0, 232448, 233472, 1024, 2048, 32},
    {10, 0, 232448, 233472, 1024, 2048, 32},
    {12, 0, 101376, 102400, 1024, 1536, 24},
};
const Capability &capability() {
  std::string want = setting("VANILLA_STANDIN_CAPABILITY", "9.0");
  for (const Capability &c : capabilities)
    if (std::to_string(c.major) + "." + std::to_string(c.minor) == want) return c;
  fprintf(stderr, "stand-in for CUDA: VANILLA_STANDIN_CAPABILITY %s: want 7.5, 8.0, 8.6, 8.9, 9.0, 10.0 or 12.0\n", want.c_str());
  abort();
}
const int sms = 4, registers_per_sm = 65536;

int devices() { return number("VANILLA_STANDIN_DEVICES", 1); }

// ---- compiled code ----------------------------------------------------------------

// cubin reads a kernel's facts from the sections of an ELF file. From 9.0 on, the
// section of static shared memory begins with the part that CUDA keeps for itself.
Image cubin(const char *elf, int kept) {
  Image kernels;
  const Elf64_Ehdr *h = (const Elf64_Ehdr *)elf;
  const Elf64_Shdr *sections = (const Elf64_Shdr *)(elf + h->e_shoff);
  const char *names = elf + sections[h->e_shstrndx].sh_offset;
  const Elf64_Sym *symbols = nullptr;
  const char *symbol_names = nullptr;
  for (int i = 0; i < h->e_shnum; i++)
    if (sections[i].sh_type == SHT_SYMTAB) {
      symbols = (const Elf64_Sym *)(elf + sections[i].sh_offset);
      symbol_names = elf + sections[sections[i].sh_link].sh_offset;
    }
  auto after = [&](int i, const char *prefix) -> const char * {
    const char *name = names + sections[i].sh_name;
    size_t n = strlen(prefix);
    return strncmp(name, prefix, n) == 0 ? name + n : nullptr;
  };
  for (int i = 0; i < h->e_shnum; i++)
    if (const char *kernel = after(i, ".text.")) kernels[kernel];
  for (int i = 0; i < h->e_shnum; i++) {
    if (const char *kernel = after(i, ".nv.shared."))
      if (kernels.count(kernel)) kernels[kernel].shared = std::max<int>(0, sections[i].sh_size - kept);
    const char *kernel = after(i, ".nv.info");
    if (!kernel) continue;
    // Attributes: a byte for the format, one for the name, two that are the value
    // or, in format 4, the length of what follows.
    const unsigned char *p = (const unsigned char *)elf + sections[i].sh_offset, *end = p + sections[i].sh_size;
    while (p + 4 <= end) {
      const unsigned char *v = p + 4;
      unsigned length = p[0] == 4 ? p[2] | p[3] << 8 : 0;
      uint32_t word[3] = {};
      memcpy(word, v, std::min<size_t>(length, sizeof word));
      if (p[0] == 4 && (p[1] == 0x2f || p[1] == 0x12) && symbols) { // REGCOUNT, MIN_STACK_SIZE: symbol, number
        auto k = kernels.find(symbol_names + symbols[word[0]].st_name);
        if (k != kernels.end()) (p[1] == 0x2f ? k->second.registers : k->second.local) = word[1];
      }
      if (p[0] == 4 && p[1] == 0x05 && *kernel == '.') // MAX_THREADS: x, y, z
        kernels[kernel + 1].max_threads = word[0] * word[1] * word[2];
      p = v + length;
    }
  }
  return kernels;
}

// knows is whether the driver loads machine code of an ABI version: CUDA 12's drivers
// know 7, and from 12.8 on 8 for Blackwell.
bool knows(const char *elf, const Capability &want) {
  long driver = number("VANILLA_STANDIN_DRIVER", 13000);
  int newest = driver >= 13000 || (driver >= 12080 && want.major >= 10) ? 8 : driver >= 12000 ? 7 : 0;
  return elf[EI_ABIVERSION] <= newest;
}

// fatbin finds the code for a capability: the cubin of the same major number and the
// largest minor one that is not larger. The driver of a newer GPU would compile PTX;
// there is none to stand in for.
bool fatbin(const char *data, const Capability &want, Image *found) {
  uint32_t magic;
  memcpy(&magic, data, 4);
  if (magic != 0xba55ed50) return false;
  uint16_t header;
  uint64_t bytes;
  memcpy(&header, data + 6, 2);
  memcpy(&bytes, data + 8, 8);
  int best = -1;
  for (const char *p = data + header, *end = p + bytes; p < end;) {
    uint16_t kind;
    uint32_t entry, arch;
    uint64_t size;
    memcpy(&kind, p, 2);
    memcpy(&entry, p + 4, 4);
    memcpy(&size, p + 8, 8);
    memcpy(&arch, p + 28, 4);
    const char *elf = p + entry;
    if (kind == 2 && (int)arch / 10 == want.major && (int)arch % 10 <= want.minor && (int)arch > best && memcmp(elf, ELFMAG, SELFMAG) == 0 && knows(elf, want)) {
      *found = cubin(elf, want.major >= 9 ? want.shared_reserved : 0);
      for (auto &kernel : *found) kernel.second.architecture = arch;
      best = arch;
    }
    p += entry + size;
  }
  return best > 0;
}

// ---- contexts -----------------------------------------------------------------------

// The current context of this OS thread. Threads that run kernels have none.
__thread Context *current;

// ready is the current context's state, after its launches.
CUresult ready() {
  if (!current) return CUDA_ERROR_INVALID_CONTEXT;
  return current->wait();
}

CUresult copy(const char *what, void *dst, const void *src, CUdeviceptr device, size_t n) {
  if (CUresult r = ready()) return r;
  CUresult r = current->injected(what);
  if (r == CUDA_SUCCESS && !current->holds(device, n)) r = CUDA_ERROR_INVALID_VALUE;
  if (r == CUDA_SUCCESS) memcpy(dst, src, n);
  if (r >= CUDA_ERROR_ILLEGAL_ADDRESS || r == CUDA_ERROR_DEVICE_UNAVAILABLE) current->lost = r;
  return r;
}

// copy_in_stream does what it was given when the stream gets there.
CUresult copy_in_stream(const char *what, CUstream stream, size_t n, CUdeviceptr one, CUdeviceptr other, std::function<void()> run) {
  Context *c = current;
  if (!c) return CUDA_ERROR_INVALID_CONTEXT;
  CUresult injected = c->injected(what);
  bool breaks = injected >= CUDA_ERROR_ILLEGAL_ADDRESS || injected == CUDA_ERROR_DEVICE_UNAVAILABLE;
  if (injected && !breaks) return injected;
  if (!c->holds(one, n) || !c->holds(other, n)) return CUDA_ERROR_INVALID_VALUE;
  int late = c->late[what];
  return c->enqueue(c->stream(stream), [=] {
    std::this_thread::sleep_for(std::chrono::milliseconds(late));
    if (injected == CUDA_SUCCESS) run();
    return injected;
  });
}

// begin_stream begins one whose thread leaves the process's signals to the threads that Go knows.
Stream *begin_stream(Context *c) {
  sigset_t all, before;
  sigfillset(&all);
  for (int s : {SIGSEGV, SIGBUS, SIGFPE, SIGILL}) sigdelset(&all, s);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  Stream *s = c->begin();
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return s;
}

} // namespace

extern "C" {

// ---- the driver -------------------------------------------------------------------------

CUresult cuInit(unsigned) { return (CUresult)number("VANILLA_STANDIN_INIT", 0); }

CUresult cuDriverGetVersion(int *version) {
  *version = number("VANILLA_STANDIN_DRIVER", 13000);
  return CUDA_SUCCESS;
}

// The results that are met with, by their names.
static const struct {
  CUresult code;
  const char *name, *text;
} results[] = {
#define RESULT(name, text) {name, #name, text " (stand-in for CUDA on the CPU)"}
    RESULT(CUDA_ERROR_INVALID_VALUE, "invalid argument"),
    RESULT(CUDA_ERROR_OUT_OF_MEMORY, "out of memory"),
    RESULT(CUDA_ERROR_DEVICE_UNAVAILABLE, "CUDA-capable device(s) is/are busy or unavailable"),
    RESULT(CUDA_ERROR_NO_DEVICE, "no CUDA-capable device is detected"),
    RESULT(CUDA_ERROR_INVALID_DEVICE, "invalid device ordinal"),
    RESULT(CUDA_ERROR_INVALID_IMAGE, "device kernel image is invalid"),
    RESULT(CUDA_ERROR_INVALID_CONTEXT, "invalid device context"),
    RESULT(CUDA_ERROR_NO_BINARY_FOR_GPU, "no kernel image is available for execution on the device"),
    RESULT(CUDA_ERROR_ECC_UNCORRECTABLE, "uncorrectable ECC error encountered"),
    RESULT(CUDA_ERROR_INVALID_PTX, "a PTX JIT compilation failed"),
    RESULT(CUDA_ERROR_NOT_FOUND, "named symbol not found"),
    RESULT(CUDA_ERROR_NOT_READY, "device not ready"),
    RESULT(CUDA_ERROR_ILLEGAL_ADDRESS, "an illegal memory access was encountered"),
    RESULT(CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, "too many resources requested for launch"),
    RESULT(CUDA_ERROR_LAUNCH_TIMEOUT, "the launch timed out and was terminated"),
    RESULT(CUDA_ERROR_ASSERT, "device-side assert triggered"),
    RESULT(CUDA_ERROR_ILLEGAL_INSTRUCTION, "an illegal instruction was encountered"),
    RESULT(CUDA_ERROR_LAUNCH_FAILED, "unspecified launch failure"),
    RESULT(CUDA_ERROR_SYSTEM_DRIVER_MISMATCH, "system has unsupported display driver / cuda driver combination"),
    RESULT(CUDA_ERROR_UNKNOWN, "unknown error"),
#undef RESULT
};

CUresult cuGetErrorName(CUresult code, const char **name) {
  for (auto &r : results)
    if (r.code == code) return *name = r.name, CUDA_SUCCESS;
  return *name = nullptr, CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGetErrorString(CUresult code, const char **text) {
  for (auto &r : results)
    if (r.code == code) return *text = r.text, CUDA_SUCCESS;
  return *text = nullptr, CUDA_ERROR_INVALID_VALUE;
}

CUresult cuDeviceGetCount(int *n) { return *n = devices(), CUDA_SUCCESS; }

CUresult cuDeviceGet(CUdevice *d, int ordinal) {
  if (ordinal < 0 || ordinal >= devices()) return CUDA_ERROR_INVALID_DEVICE;
  return *d = ordinal, CUDA_SUCCESS;
}

CUresult cuDeviceGetName(char *name, int n, CUdevice) {
  snprintf(name, n, "%s", vanilla_standin);
  return CUDA_SUCCESS;
}

CUresult cuDeviceTotalMem(size_t *bytes, CUdevice) { return *bytes = number("VANILLA_STANDIN_MEMORY", 1 << 30), CUDA_SUCCESS; }

CUresult cuDeviceGetAttribute(int *v, CUdevice_attribute attribute, CUdevice d) {
  if (d < 0 || d >= devices()) return CUDA_ERROR_INVALID_DEVICE;
  const Capability &c = capability();
  switch (attribute) {
  case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: *v = c.major; break;
  case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: *v = c.minor; break;
  case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: *v = sms; break;
  case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK: *v = shared_without_opt_in; break;
  case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN: *v = c.shared_per_block; break;
  case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR: *v = c.shared_per_sm; break;
  case CU_DEVICE_ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK: *v = c.shared_reserved; break;
  case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR: *v = c.threads_per_sm; break;
  case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK: *v = 1024; break;
  case CU_DEVICE_ATTRIBUTE_WARP_SIZE: *v = 32; break;
  default: return CUDA_ERROR_INVALID_VALUE;
  }
  return CUDA_SUCCESS;
}

// ---- contexts -----------------------------------------------------------------------------

CUresult cuCtxCreate(CUcontext *made, unsigned, CUdevice d) {
  if (d < 0 || d >= devices()) return CUDA_ERROR_INVALID_DEVICE;
  std::unique_ptr<Context> c(new Context);
  c->device = d;
  c->capability = &capability();
  c->memory = number("VANILLA_STANDIN_MEMORY", 1 << 30);
  c->delay = number("VANILLA_STANDIN_DELAY", 0);
  std::istringstream late(setting("VANILLA_STANDIN_LATE", ""));
  for (std::string item; std::getline(late, item, ',');) {
    char what[16];
    int milliseconds;
    if (sscanf(item.c_str(), "%15[a-z]:%d", what, &milliseconds) < 2) {
      fprintf(stderr, "stand-in for CUDA: VANILLA_STANDIN_LATE %s: want WHAT:MILLISECONDS\n", item.c_str());
      abort();
    }
    c->late[what] = milliseconds;
  }
  c->hold = setting("VANILLA_STANDIN_HOLD", "");
  c->threads = number("VANILLA_STANDIN_THREADS", std::max(1u, std::thread::hardware_concurrency()));
  std::string order = setting("VANILLA_STANDIN_ORDER", "forward");
  c->order = order == "reverse" ? ch::Order::reverse : order == "shuffled" ? ch::Order::shuffled : ch::Order::forward;
  std::istringstream list(setting("VANILLA_STANDIN_FAIL", ""));
  for (std::string item; std::getline(list, item, ',');) {
    char what[16];
    int nth, code, device = d;
    if (sscanf(item.c_str(), "%15[a-z]:%d:%d:%d", what, &nth, &code, &device) < 3) {
      fprintf(stderr, "stand-in for CUDA: VANILLA_STANDIN_FAIL %s: want WHAT:N:CUresult[:DEVICE]\n", item.c_str());
      abort();
    }
    if (device == d) c->failures.push_back({what, nth, code});
  }
  begin_stream(c.get());
  current = c.get();
  *made = (CUcontext)c.release();
  return CUDA_SUCCESS;
}

CUresult cuCtxDestroy(CUcontext handle) {
  Context *c = (Context *)handle;
  CUresult r = c->wait();
  while (!c->streams.empty()) c->end(c->streams.back().get());
  for (auto &a : c->host) munmap(a.first, a.second);
  for (auto &a : c->allocations) arena().give_back(a.second.pages, a.second.page_count * page_bytes);
  if (current == c) current = nullptr;
  delete c;
  return r;
}

CUresult cuCtxSetCurrent(CUcontext c) { return current = (Context *)c, CUDA_SUCCESS; }

CUresult cuCtxSynchronize() { return ready(); }

// ---- streams and events ---------------------------------------------------------------------

// Of the default stream is asked whether all are done, which is when it would be.
CUresult cuStreamQuery(CUstream s) {
  if (!current) return CUDA_ERROR_INVALID_CONTEXT;
  std::lock_guard<std::mutex> lock(current->mutex);
  if (current->lost != CUDA_SUCCESS) return current->lost;
  return (s ? *((Stream *)s)->last : current->idle()) ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
}

CUresult cuStreamCreate(CUstream *made, unsigned flags) {
  if (!current) return CUDA_ERROR_INVALID_CONTEXT;
  if (flags != CU_STREAM_DEFAULT) return CUDA_ERROR_INVALID_VALUE;
  return *made = (CUstream)begin_stream(current), CUDA_SUCCESS;
}

CUresult cuStreamDestroy(CUstream s) {
  if (!current) return CUDA_ERROR_INVALID_CONTEXT;
  current->end((Stream *)s);
  return current->lost;
}

CUresult cuStreamWaitEvent(CUstream s, CUevent e, unsigned) {
  if (!current) return CUDA_ERROR_INVALID_CONTEXT;
  std::lock_guard<std::mutex> lock(current->mutex);
  current->stream(s)->after.push_back(((Event *)e)->done);
  return current->lost;
}

CUresult cuEventCreate(CUevent *made, unsigned) {
  if (!current) return CUDA_ERROR_INVALID_CONTEXT;
  current->events.emplace_back(new Event);
  return *made = (CUevent)current->events.back().get(), CUDA_SUCCESS;
}

CUresult cuEventDestroy(CUevent e) {
  if (!current) return CUDA_ERROR_INVALID_CONTEXT;
  auto found = std::find_if(current->events.begin(), current->events.end(), [&](auto &other) { return other.get() == (Event *)e; });
  if (found == current->events.end()) return CUDA_ERROR_INVALID_VALUE;
  current->events.erase(found);
  return current->lost;
}

CUresult cuEventRecord(CUevent e, CUstream s) {
  if (!current) return CUDA_ERROR_INVALID_CONTEXT;
  if (CUresult r = current->enqueue(current->stream(s), [] { return CUDA_SUCCESS; })) return r;
  std::lock_guard<std::mutex> lock(current->mutex);
  ((Event *)e)->done = current->stream(s)->last;
  return CUDA_SUCCESS;
}

CUresult cuEventSynchronize(CUevent e) {
  if (!current) return CUDA_ERROR_INVALID_CONTEXT;
  Context *c = current;
  std::unique_lock<std::mutex> lock(c->mutex);
  std::shared_ptr<bool> done = ((Event *)e)->done;
  c->changed.wait(lock, [&] { return *done; });
  return c->lost;
}

// ---- memory ---------------------------------------------------------------------------------

CUresult cuMemGetInfo(size_t *free, size_t *total) {
  if (CUresult r = ready()) return r;
  *total = current->memory;
  *free = current->memory - current->used;
  return CUDA_SUCCESS;
}

CUresult cuMemAlloc(CUdeviceptr *p, size_t n) {
  if (CUresult r = ready()) return r;
  if (CUresult r = current->injected("alloc")) return r;
  if (n == 0) return CUDA_ERROR_INVALID_VALUE;
  size_t aligned = (n + alignment - 1) / alignment * alignment;
  if (aligned > current->memory - current->used) return CUDA_ERROR_OUT_OF_MEMORY;
  Allocation a;
  a.bytes = n;
  a.page_count = (aligned + page_bytes - 1) / page_bytes;
  a.pages = arena().take(a.page_count * page_bytes);
  if (!a.pages) return CUDA_ERROR_OUT_OF_MEMORY;
  a.data = a.end() - aligned;
  memset(a.pages, canary, a.data - a.pages);
  memset(a.data + n, canary, aligned - n);
  const unsigned char nan[4] = {0xad, 0xdb, 0xba, 0xff};
  for (size_t i = 0; i < n; i++) a.data[i] = nan[i % 4];
  current->used += aligned;
  current->allocations[a.data] = a;
  *p = (CUdeviceptr)a.data;
  return CUDA_SUCCESS;
}

CUresult cuMemFree(CUdeviceptr p) {
  if (CUresult r = ready()) return r;
  auto found = current->allocations.find((char *)p);
  if (found == current->allocations.end()) return CUDA_ERROR_INVALID_VALUE;
  Allocation a = found->second;
  bool damaged = current->damaged(a);
  arena().give_back(a.pages, a.page_count * page_bytes);
  current->used -= (a.bytes + alignment - 1) / alignment * alignment;
  current->allocations.erase(found);
  return damaged ? current->lost = CUDA_ERROR_ILLEGAL_ADDRESS : CUDA_SUCCESS;
}

CUresult cuMemcpyHtoD(CUdeviceptr d, const void *s, size_t n) { return copy("in", (void *)d, s, d, n); }

CUresult cuMemcpyDtoH(void *d, CUdeviceptr s, size_t n) { return copy("out", d, (void *)s, s, n); }

CUresult cuMemsetD8(CUdeviceptr p, unsigned char v, size_t n) {
  std::vector<unsigned char> zeros(n, v);
  return copy("clear", (void *)p, zeros.data(), p, n);
}

CUresult cuMemHostAlloc(void **p, size_t n, unsigned) {
  if (CUresult r = ready()) return r;
  if (CUresult r = current->injected("host")) return r;
  *p = mmap(nullptr, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (*p == MAP_FAILED) return CUDA_ERROR_OUT_OF_MEMORY;
  return current->host[(char *)*p] = n, CUDA_SUCCESS;
}

// What is read from it afterwards is a fault, not an old number.
CUresult cuMemFreeHost(void *p) {
  if (CUresult r = ready()) return r;
  auto found = current->host.find((char *)p);
  if (found == current->host.end()) return CUDA_ERROR_INVALID_VALUE;
  munmap(p, found->second);
  current->host.erase(found);
  return CUDA_SUCCESS;
}

CUresult cuMemcpyHtoDAsync(CUdeviceptr d, const void *s, size_t n, CUstream stream) {
  if (current && !current->locked(s, n)) return CUDA_ERROR_INVALID_VALUE;
  return copy_in_stream("in", stream, n, d, d, [=] { memcpy((void *)d, s, n); });
}

CUresult cuMemcpyDtoHAsync(void *d, CUdeviceptr s, size_t n, CUstream stream) {
  if (current && !current->locked(d, n)) return CUDA_ERROR_INVALID_VALUE;
  return copy_in_stream("out", stream, n, s, s, [=] { memcpy(d, (void *)s, n); });
}

CUresult cuMemcpyDtoDAsync(CUdeviceptr d, CUdeviceptr s, size_t n, CUstream stream) {
  return copy_in_stream("copy", stream, n, d, s, [=] { memcpy((void *)d, (void *)s, n); });
}

CUresult cuMemsetD8Async(CUdeviceptr p, unsigned char v, size_t n, CUstream stream) {
  return copy_in_stream("clear", stream, n, p, p, [=] { memset((void *)p, v, n); });
}

// ---- kernels ----------------------------------------------------------------------------------

CUresult cuModuleLoadDataEx(CUmodule *module, const void *data, unsigned n, CUjit_option *options, void **values) {
  if (CUresult r = ready()) return r;
  char *log = nullptr;
  size_t log_bytes = 0;
  for (unsigned i = 0; i < n; i++) {
    if (options[i] == CU_JIT_ERROR_LOG_BUFFER) log = (char *)values[i];
    if (options[i] == CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES) log_bytes = (size_t)values[i];
  }
  if (strncmp((const char *)data, ".version", 8) == 0) {
    if (log) snprintf(log, log_bytes, "the stand-in for CUDA cannot compile PTX");
    return CUDA_ERROR_INVALID_PTX;
  }
  uint32_t magic;
  memcpy(&magic, data, 4);
  if (magic != 0xba55ed50) return CUDA_ERROR_INVALID_IMAGE;
  std::unique_ptr<Module> m(new Module);
  if (!fatbin((const char *)data, *current->capability, &m->image)) return CUDA_ERROR_NO_BINARY_FOR_GPU;
  *module = (CUmodule)m.get();
  current->modules.push_back(std::move(m));
  return CUDA_SUCCESS;
}

CUresult cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name) {
  if (CUresult r = ready()) return r;
  Image &image = ((Module *)module)->image;
  auto compiled = image.find(name);
  if (compiled == image.end()) return CUDA_ERROR_NOT_FOUND;
  for (auto file = standin_kernels; *file; file++)
    for (auto k = *file; k->name; k++)
      if (strcmp(k->name, name) == 0) {
        std::unique_ptr<Function> f(new Function{k, compiled->second});
        *function = (CUfunction)f.get();
        current->functions.push_back(std::move(f));
        return CUDA_SUCCESS;
      }
  return CUDA_ERROR_NOT_FOUND;
}

CUresult cuFuncGetAttribute(int *v, CUfunction_attribute attribute, CUfunction function) {
  Function *f = (Function *)function;
  switch (attribute) {
  case CU_FUNC_ATTRIBUTE_BINARY_VERSION: *v = f->compiled.architecture; break;
  case CU_FUNC_ATTRIBUTE_NUM_REGS: *v = f->compiled.registers; break;
  case CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES: *v = f->compiled.local; break;
  case CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES: *v = f->compiled.shared; break;
  case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK: *v = std::min(f->compiled.max_threads, registers_per_sm / std::max(1, (f->compiled.registers + 7) / 8 * 8) / 32 * 32); break;
  case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES: *v = f->max_dynamic; break;
  default: return CUDA_ERROR_INVALID_VALUE;
  }
  return CUDA_SUCCESS;
}

CUresult cuFuncSetAttribute(CUfunction function, CUfunction_attribute attribute, int v) {
  Function *f = (Function *)function;
  if (attribute != CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES || v < 0 || v + f->compiled.shared > current->capability->shared_per_block)
    return CUDA_ERROR_INVALID_VALUE;
  f->max_dynamic = v;
  return CUDA_SUCCESS;
}

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int *n, CUfunction function, int block, size_t dynamic) {
  Function *f = (Function *)function;
  const Capability &c = *current->capability;
  int warps = (block + 31) / 32, registers = std::max(1, (f->compiled.registers + 7) / 8 * 8) * 32 * warps;
  size_t shared = f->compiled.shared + dynamic + c.shared_reserved;
  *n = std::min({c.blocks_per_sm, c.threads_per_sm / (32 * warps), registers_per_sm / registers, (int)(c.shared_per_sm / std::max<size_t>(1, shared))});
  return CUDA_SUCCESS;
}

CUresult cuLaunchKernel(CUfunction function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned dynamic, CUstream stream, void **arguments, void **) {
  Context *c = current;
  if (!c) return CUDA_ERROR_INVALID_CONTEXT;
  {
    std::lock_guard<std::mutex> lock(c->mutex);
    if (c->lost != CUDA_SUCCESS) return c->lost;
  }
  Function *f = (Function *)function;
  if (!gx || !gy || !gz || !bx || !by || !bz || (uint64_t)bx * by * bz > 1024) return CUDA_ERROR_INVALID_VALUE;
  if ((int)dynamic > f->max_dynamic || (int)dynamic + f->compiled.shared > c->capability->shared_per_block) return CUDA_ERROR_INVALID_VALUE;
  int max_threads;
  cuFuncGetAttribute(&max_threads, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, function);
  if ((int)(bx * by * bz) > max_threads) return CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES;
  CUresult injected = c->injected("launch");
  if (injected == CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES || injected == CUDA_ERROR_OUT_OF_MEMORY) return injected;

  auto body = f->kernel->bind(arguments);
  ch::Launch launch{f->kernel->name, {gx, gy, gz}, {bx, by, bz}, dynamic, c->order, c->threads};
  return c->enqueue(c->stream(stream), [=]() -> CUresult {
    std::this_thread::sleep_for(std::chrono::milliseconds(c->delay));
    c->wait_while_held();
    if (injected) return injected;
    CUresult r = (CUresult)ch::run(launch, body);
    for (auto &a : c->allocations)
      if (r == CUDA_SUCCESS && c->damaged(a.second)) r = CUDA_ERROR_ILLEGAL_ADDRESS;
    return r;
  });
}

} // extern "C"
