// A context of the stand-in: its memory, its streams, what fails in it. For libcuda.cpp alone.
#pragma once
#include "cuda_host.h"

#include <chrono>
#include <condition_variable>
#include <cuda.h>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>

namespace {

// Facts of a compute capability: "Technical specifications per compute capability"
// in the CUDA C++ programming guide.
struct Capability {
  int major, minor, shared_per_block, shared_per_sm, shared_reserved, threads_per_sm, blocks_per_sm;
};

// Compiled is what a cubin says of a kernel.
struct Compiled {
  int architecture = 0, registers = 0, shared = 0, local = 0, max_threads = 1024;
};
typedef std::map<std::string, Compiled> Image;

const size_t page_bytes = 4096, alignment = 256;
const unsigned char canary = 0xc5;
const int shared_without_opt_in = 48 << 10;

// Arena is the addresses of device memory. Each allocation has a slot of its own and
// lies in the middle of it; the rest must not be touched, so that an index or pointer
// that is wrong by up to half a slot meets no other memory of the process.
class Arena {
  static constexpr size_t slot_bytes = 16ull << 30, slots = 1024;
  std::mutex mutex;
  char *base;
  std::vector<bool> taken = std::vector<bool>(slots);

public:
  Arena() : base((char *)mmap(nullptr, slots * slot_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)) {}

  // take makes pages usable, and returns null if there are none.
  char *take(size_t bytes) {
    std::lock_guard<std::mutex> lock(mutex);
    auto slot = std::find(taken.begin(), taken.end(), false);
    if (base == MAP_FAILED || slot == taken.end() || bytes > slot_bytes / 4) return nullptr;
    char *pages = base + (slot - taken.begin()) * slot_bytes + slot_bytes / 2;
    if (mprotect(pages, bytes, PROT_READ | PROT_WRITE)) return nullptr;
    *slot = true;
    return pages;
  }

  void give_back(char *pages, size_t bytes) {
    std::lock_guard<std::mutex> lock(mutex);
    mmap(pages, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    taken[(pages - base) / slot_bytes] = false;
  }
};

Arena &arena() {
  static Arena a;
  return a;
}

// Allocation is pages of which the last bytes, but for alignment, are handed out.
struct Allocation {
  char *pages, *data;
  size_t page_count, bytes;
  char *end() const { return pages + page_count * page_bytes; }
};

struct Failure {
  std::string what;
  int nth, code;
};

struct Module {
  Image image;
};

struct Function {
  const ch::Kernel *kernel;
  Compiled compiled;
  int max_dynamic = shared_without_opt_in;
};

// Stream is work that is done in order, on a thread of its own. What is done before what: the work of one stream in the order
// in which it came, an event's waiters after what was there when it was recorded, and the default stream after all others and
// before what comes later in them.
struct Operation {
  std::function<CUresult()> run;
  std::vector<std::shared_ptr<bool>> after; // what must be done first
  std::shared_ptr<bool> done;
};

struct Stream {
  std::deque<Operation> queue;
  std::vector<std::shared_ptr<bool>> after; // for the next operation: events that the stream waits for
  std::shared_ptr<bool> last = std::make_shared<bool>(true);
  bool running = false, closing = false;
  std::thread worker;
};

struct Event {
  std::shared_ptr<bool> done = std::make_shared<bool>(true);
};

struct Context {
  int device;
  const Capability *capability;
  size_t memory, used = 0;
  int delay;
  std::string hold;
  ch::Order order;
  unsigned threads;
  std::vector<Failure> failures;
  std::map<std::string, int> calls, late;
  std::map<char *, Allocation> allocations;
  std::map<char *, size_t> host; // page-locked memory of the host
  std::deque<std::unique_ptr<Module>> modules;
  std::deque<std::unique_ptr<Function>> functions;
  std::deque<std::unique_ptr<Event>> events;

  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::unique_ptr<Stream>> streams; // the default stream first
  CUresult lost = CUDA_SUCCESS; // after a kernel failed, every call's answer

  Stream *begin() {
    std::lock_guard<std::mutex> lock(mutex);
    streams.emplace_back(new Stream);
    Stream *s = streams.back().get();
    s->worker = std::thread(&Context::work, this, s);
    return s;
  }
  Stream *stream(CUstream s) { return s ? (Stream *)s : streams.front().get(); }

  void work(Stream *s) {
    std::unique_lock<std::mutex> lock(mutex);
    auto ready = [&] {
      if (s->queue.empty()) return s->closing;
      const auto &after = s->queue.front().after;
      return lost != CUDA_SUCCESS || std::all_of(after.begin(), after.end(), [](auto &done) { return *done; });
    };
    for (;;) {
      changed.wait(lock, ready);
      if (s->queue.empty()) return;
      Operation o = std::move(s->queue.front());
      s->queue.pop_front();
      if (lost == CUDA_SUCCESS) {
        s->running = true;
        lock.unlock();
        CUresult r = o.run();
        lock.lock();
        s->running = false;
        if (lost == CUDA_SUCCESS) lost = r;
      }
      *o.done = true;
      changed.notify_all();
    }
  }

  // enqueue gives a stream something to do.
  CUresult enqueue(Stream *s, std::function<CUresult()> run) {
    std::lock_guard<std::mutex> lock(mutex);
    if (lost != CUDA_SUCCESS) return lost;
    Operation o{run, std::move(s->after), std::make_shared<bool>(false)};
    s->after.clear();
    if (s == streams.front().get())
      for (auto &other : streams) o.after.push_back(other->last);
    else
      o.after.push_back(streams.front()->last);
    s->last = o.done;
    s->queue.push_back(std::move(o));
    changed.notify_all();
    return CUDA_SUCCESS;
  }

  void wait_while_held() {
    if (hold.empty()) return;
    if (FILE *f = fopen((hold + ".begun").c_str(), "a")) {
      fputc('.', f);
      fclose(f);
    }
    while (access(hold.c_str(), F_OK) == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  bool idle() {
    return std::all_of(streams.begin(), streams.end(), [](auto &s) { return s->queue.empty() && !s->running; });
  }

  // wait waits for all that streams have to do.
  CUresult wait() {
    std::unique_lock<std::mutex> lock(mutex);
    changed.wait(lock, [&] { return idle() || lost != CUDA_SUCCESS; });
    changed.wait(lock, [&] { return std::none_of(streams.begin(), streams.end(), [](auto &s) { return s->running; }); });
    return lost;
  }

  // end ends a stream when it has done what it was given.
  void end(Stream *s) {
    {
      std::lock_guard<std::mutex> lock(mutex);
      s->closing = true;
      changed.notify_all();
    }
    s->worker.join();
    std::lock_guard<std::mutex> lock(mutex);
    streams.erase(std::find_if(streams.begin(), streams.end(), [&](auto &other) { return other.get() == s; }));
  }

  // injected is the CUresult that this call is set to fail with.
  CUresult injected(const char *what) {
    int n = ++calls[what];
    for (const Failure &f : failures)
      if (f.what == what && f.nth == n) return (CUresult)f.code;
    return CUDA_SUCCESS;
  }

  // holds is whether an address range lies in one allocation.
  bool holds(CUdeviceptr p, size_t n) {
    auto a = allocations.upper_bound((char *)p);
    if (a == allocations.begin()) return false;
    --a;
    return (char *)p + n <= a->second.data + a->second.bytes;
  }

  // locked is whether an address range lies in page-locked memory.
  bool locked(const void *p, size_t n) {
    auto a = host.upper_bound((char *)p);
    if (a == host.begin()) return false;
    --a;
    return (char *)p + n <= a->first + a->second;
  }

  // damaged is whether something was written around an allocation, in its pages.
  bool damaged(const Allocation &a) {
    auto clean = [](const char *from, const char *to) {
      return std::all_of(from, to, [](char c) { return (unsigned char)c == canary; });
    };
    if (clean(a.pages, a.data) && clean(a.data + a.bytes, a.end())) return false;
    fprintf(stderr, "stand-in for CUDA: a kernel wrote beside an allocation of %zu bytes\n", a.bytes);
    return true;
  }
};

} // namespace
