// The scheduler behind cuda_host.h: fibers, barriers, and what ends a launch early.
#include "cuda_host.h"

#include <csignal>
#include <cstdarg>
#include <link.h>
#include <mutex>
#include <sys/mman.h>
#include <thread>

namespace ch {

__thread Block *block;
__thread Fiber *fiber;

// ---- switching ----------------------------------------------------------------

// System V x86-64: save the registers that a callee keeps, exchange the stacks.
__attribute__((naked, noinline)) static void exchange_stacks(void **, void *) {
  __asm__("push %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\n"
          "mov %rsp,(%rdi)\nmov %rsi,%rsp\n"
          "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\nret\n");
}

// next leaves the current fiber for the next that is ready, or for the scheduler.
static void next() {
  Block *b = block;
  Fiber *from = fiber, *to = b->next < b->ready.size() ? b->ready[b->next++] : &b->scheduler;
  if (b->next == b->ready.size()) {
    b->ready.clear();
    b->next = 0;
  }
  if (to == from) return;
  fiber = to;
  race::become(to->watched);
  exchange_stacks(&from->stack_pointer, to->stack_pointer);
}

static uint32_t hash(uint32_t a, uint32_t b) {
  uint64_t x = (uint64_t)a << 32 | b;
  x = (x ^ x >> 31) * 0x9e3779b97f4a7c15u;
  x = (x ^ x >> 29) * 0xbf58476d1ce4e5b9u;
  return x >> 32;
}

// make_ready appends fibers in the order that is set.
static void make_ready(Block *b, std::vector<Fiber *> &fibers) {
  unsigned round = b->releases++;
  auto before = [&](Fiber *p, Fiber *q) {
    switch (b->order) {
    case Order::forward: return p->index < q->index;
    case Order::reverse: return p->index > q->index;
    case Order::shuffled: break;
    }
    return std::make_pair(hash(round, p->index), p->index) < std::make_pair(hash(round, q->index), q->index);
  };
  if (!std::is_sorted(fibers.begin(), fibers.end(), before)) std::sort(fibers.begin(), fibers.end(), before);
  b->ready.insert(b->ready.end(), fibers.begin(), fibers.end());
  fibers.clear();
}

static void release_if_full(Barrier &barrier, unsigned need) {
  if (!need || barrier.waiting.size() + barrier.arrived != need) return;
  barrier.phase++;
  barrier.arrived = 0;
  make_ready(block, barrier.waiting);
}

void wait(Barrier &barrier, unsigned need, int line, const char *what, bool orders) {
  void *order = &barrier.order[barrier.phase & 1];
  if (orders) race::release(order);
  race::ignore(true); // of what follows, the vectors' memmove
  if (!barrier.waiting.empty() && barrier.line != line)
    fail(failed, "threads wait at different barriers: %s in line %d and in line %d", what, barrier.line, line);
  barrier.line = line;
  barrier.waiting.push_back(fiber);
  release_if_full(barrier, need);
  race::ignore(false);
  next();
  if (orders) race::acquire(order);
}

// ---- named barriers ----------------------------------------------------------------

// counted fails where the hardware would count wrongly: a thread twice in one phase, or threads that disagree about need.
static Barrier &counted(unsigned id, unsigned need) {
  Barrier &barrier = block->named[id];
  unsigned &last = fiber->counted[id];
  if (last == barrier.phase + 1) fail(failed, "a thread is at named barrier %u twice in one phase", id);
  last = barrier.phase + 1;
  if (need % 32 || need > block->fibers.size()) fail(failed, "named barrier %u: for %u threads", id, need);
  if (barrier.arrived + barrier.waiting.size() && barrier.line != (int)need) fail(failed, "named barrier %u: for %d threads and for %u", id, barrier.line, need);
  return barrier;
}

void named_arrive(unsigned id, unsigned need) {
  Barrier &barrier = counted(id, need);
  race::release(&barrier.order[barrier.phase & 1]); // and acquires nothing
  race::ignore(true);
  barrier.line = need;
  barrier.arrived++;
  release_if_full(barrier, need);
  race::ignore(false);
}

void named_sync(unsigned id, unsigned need) {
  Barrier &barrier = counted(id, need);
  wait(barrier, need, barrier.line = need, "bar.sync");
}

// ---- asynchronous copies -----------------------------------------------------------

// A copy reads and writes at any time from here on until its thread has waited for it. So it is a thread of its own, which
// begins after what its thread did, and which the wait orders before what its thread does next: the race checker then also
// sees a thread that uses its own copy too early.
void copy(void *to, const void *from, size_t bytes) {
  Fiber *f = fiber;
  if (!f->copier) f->copier = race::new_thread(block->index.x, block->fibers.size() + f->index);
  race::ignore(true);
  f->copies.push_back({to, from, bytes, f->groups});
  race::ignore(false);
  race::release(&f->copier);
  race::become(f->copier);
  race::acquire(&f->copier);
  race::read(from, bytes, __builtin_return_address(0));
  race::write(to, bytes, __builtin_return_address(0));
  race::become(f->watched);
}

void commit() {
  Fiber *f = fiber;
  if (f->copier) {
    race::become(f->copier);
    race::release((char *)&f->copies + f->groups % 4); // a thread has few groups under way
    race::become(f->watched);
  }
  f->groups++;
}

void wait_copies(unsigned but) {
  Fiber *f = fiber;
  race::ignore(true);
  size_t left = 0;
  for (Copy &c : f->copies)
    if (c.group + but < f->groups) memcpy(c.to, c.from, c.bytes);
    else f->copies[left++] = c;
  f->copies.resize(left);
  race::ignore(false);
  if (f->copier && f->groups > but) race::acquire((char *)&f->copies + (f->groups - 1 - but) % 4);
}

static char launch_end; // orders all of a launch before what its host does next

// thread runs one CUDA thread. It never returns: its fiber is left.
static void thread() {
  (*block->body)();
  race::release(&launch_end);
  race::ignore(true);
  Block *b = block;
  Warp &w = warp();
  fiber->done = true;
  // Barriers wait for threads that have not returned.
  release_if_full(b->barrier, --b->live);
  w.alive &= ~(1u << lane());
  release_if_full(w.barrier, __builtin_popcount(w.alive));
  race::ignore(false);
  next();
  abort();
}

// ---- failing --------------------------------------------------------------------

void fail(Code code, const char *format, ...) {
  char words[400];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(words, sizeof words, format, arguments);
  va_end(arguments);
  Block *b = block;
  fprintf(stderr, "stand-in for CUDA: %s, block %u, thread %u: %s\n", b->kernel, b->index.x, fiber->index, words);
  siglongjmp(b->abandon, code);
}

static struct sigaction previous[NSIG];

// on_signal abandons the launch if a kernel caused the signal. Others are passed on.
static void on_signal(int signal, siginfo_t *info, void *context) {
  if (block && fiber) {
    switch (signal) {
    case SIGSEGV:
    case SIGBUS: fail(illegal_address, "an access to %p, which is not allocated", info->si_addr);
    case SIGFPE: fail(misaligned_or_trap, "a division by zero");
    default: fail(misaligned_or_trap, "an index outside of its array, a misaligned access, or an overflow");
    }
  }
  struct sigaction &p = previous[signal];
  if (p.sa_flags & SA_SIGINFO) p.sa_sigaction(signal, info, context);
  else if (p.sa_handler != SIG_DFL && p.sa_handler != SIG_IGN) p.sa_handler(signal);
  else {
    sigaction(signal, &p, nullptr);
    raise(signal);
  }
}

static void catch_signals() {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction a = {};
    a.sa_sigaction = on_signal;
    a.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    for (int s : {SIGSEGV, SIGBUS, SIGFPE, SIGILL}) sigaction(s, &a, &previous[s]);
  });
}

// ---- blocks ---------------------------------------------------------------------

static const size_t page_bytes = 4096;

// Pages are memory with a page behind and before it that must not be touched.
struct Pages {
  char *data = nullptr;
  size_t bytes = 0;
  char *map = nullptr;
  explicit Pages(size_t want) : bytes((want + page_bytes - 1) / page_bytes * page_bytes) {
    void *m = mmap(nullptr, bytes + 2 * page_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (m == MAP_FAILED) abort();
    map = (char *)m;
    data = map + page_bytes;
    if (bytes && mprotect(data, bytes, PROT_READ | PROT_WRITE)) abort();
  }
  Pages(const Pages &) = delete;
  ~Pages() { munmap(map, bytes + 2 * page_bytes); }
};

// Stacks are those of a block's threads, one behind the other, with a page between
// that must not be touched. They are kept for later launches: to map them takes
// longer than many a launch.
struct Stacks {
  static constexpr size_t bytes = 128 << 10;
  unsigned threads;
  Pages pages;
  explicit Stacks(unsigned threads) : threads(threads), pages((bytes + page_bytes) * threads) {
    for (unsigned i = 0; i < threads; i++) mprotect(pages.data + (bytes + page_bytes) * i, page_bytes, PROT_NONE);
  }
  void **top(unsigned i) { return (void **)(pages.data + (bytes + page_bytes) * (i + 1)); }
};
static std::mutex kept_mutex;
static std::vector<std::unique_ptr<Stacks>> kept;

static std::unique_ptr<Stacks> take_stacks(unsigned threads) {
  std::lock_guard<std::mutex> lock(kept_mutex);
  for (auto &s : kept)
    if (s->threads >= threads) {
      std::unique_ptr<Stacks> taken = std::move(s);
      s = std::move(kept.back());
      kept.pop_back();
      return taken;
    }
  return std::unique_ptr<Stacks>(new Stacks(threads));
}

static void keep_stacks(std::unique_ptr<Stacks> s) {
  std::lock_guard<std::mutex> lock(kept_mutex);
  kept.push_back(std::move(s));
}

static void fill_with_nans(char *from, size_t bytes) {
  const uint32_t nan = 0xffbadbad;
  for (size_t i = 0; i < bytes; i++) from[i] = ((const char *)&nan)[i % 4];
}

#ifdef CUDA_RACE
// Static shared memory is a section of this program: only one OS thread runs blocks.
extern "C" char __start_cuda_shared[] __attribute__((weak)), __stop_cuda_shared[] __attribute__((weak));
static void fill_static_shared_memory() {
  if (!__start_cuda_shared) return;
  race::forget(__start_cuda_shared, __stop_cuda_shared - __start_cuda_shared);
  fill_with_nans(__start_cuda_shared, __stop_cuda_shared - __start_cuda_shared);
}
#else
// A block's static shared memory is thread-local here: this library's part of the
// OS thread's local storage.
static void fill_static_shared_memory() {
  Block *b = block;
  Fiber *f = fiber;
  dl_iterate_phdr(
      [](dl_phdr_info *library, size_t, void *) {
        bool ours = false;
        const ElfW(Phdr) *local = nullptr;
        for (int i = 0; i < library->dlpi_phnum; i++) {
          const ElfW(Phdr) &p = library->dlpi_phdr[i];
          uintptr_t begin = library->dlpi_addr + p.p_vaddr, here = (uintptr_t)&run;
          ours |= p.p_type == PT_LOAD && begin <= here && here < begin + p.p_memsz;
          if (p.p_type == PT_TLS) local = &p;
        }
        if (ours && local && library->dlpi_tls_data) fill_with_nans((char *)library->dlpi_tls_data, local->p_memsz);
        return (int)ours;
      },
      nullptr);
  block = b;
  fiber = f;
}
#endif

// sequence is the order in which blocks begin, which is set as that of a block's threads is.
static std::vector<unsigned> sequence(Order order, unsigned total) {
  std::vector<unsigned> all(total);
  for (unsigned i = 0; i < total; i++) all[i] = order == Order::reverse ? total - 1 - i : i;
  if (order == Order::shuffled)
    std::sort(all.begin(), all.end(), [&](unsigned a, unsigned b) { return std::make_pair(hash(total, a), a) < std::make_pair(hash(total, b), b); });
  return all;
}

// blocks runs blocks of the launch until none is left or one fails.
static Code blocks(const Launch &launch, const std::function<void()> &body, const std::vector<unsigned> &sequence, std::atomic<unsigned> &taken, std::atomic<unsigned> &waiting, std::atomic<int> &ended) {
  char signal_stack[64 << 10];
  stack_t alternative = {}, before;
  alternative.ss_sp = signal_stack;
  alternative.ss_size = sizeof signal_stack;
  sigaltstack(&alternative, &before);

  unsigned n = launch.block.x * launch.block.y * launch.block.z;
  std::unique_ptr<Stacks> stacks = take_stacks(n);
  // Dynamic shared memory ends where its pages do, so that what is behind faults.
  Pages dynamic(launch.dynamic_bytes);
  size_t dynamic_bytes = (launch.dynamic_bytes + 15) & ~size_t(15);

  // Begin together, so that blocks that share a queue do share it.
  for (waiting--; waiting > 0;) std::this_thread::yield();

  Block b;
  b.kernel = launch.kernel;
  b.size = launch.block;
  b.grid = launch.grid;
  b.order = launch.order;
  b.body = &body;
  b.dynamic = dynamic.data + dynamic.bytes - dynamic_bytes;
  b.fibers.resize(n);
  b.warps.resize((n + 31) / 32);
  int code = ok;
  for (unsigned turn; code == ok && ended == ok && (turn = taken++) < sequence.size();) {
    const unsigned i = sequence[turn];
    b.index = {i % launch.grid.x, i / launch.grid.x % launch.grid.y, i / launch.grid.x / launch.grid.y};
    b.ready.clear();
    b.next = 0;
    b.live = n;
    b.releases = 0;
    b.votes[0] = 0;
    std::unique_ptr<char[]> orders(new char[2 * (17 + b.warps.size())]); // the next block's are others
    b.barrier.waiting.clear();
    b.barrier.order = orders.get();
    for (int k = 0; k < 16; k++) {
      b.named[k].waiting.clear();
      b.named[k].arrived = b.named[k].phase = 0;
      b.named[k].order = orders.get() + 2 * (1 + b.warps.size() + k);
    }
    if (race::watching) stacks = std::unique_ptr<Stacks>(new Stacks(n)); // which nobody has touched
    for (unsigned w = 0; w < b.warps.size(); w++) {
      b.warps[w].barrier.waiting.clear();
      b.warps[w].barrier.order = orders.get() + 2 * (1 + w);
      b.warps[w].alive = ~0u >> (32 - std::min(32u, n - 32 * w));
      memset(b.warps[w].parity, 0, sizeof b.warps[w].parity);
    }
    race::forget(dynamic.data, dynamic.bytes);
    fill_with_nans(b.dynamic, dynamic_bytes);
    fill_static_shared_memory();
    std::vector<Fiber *> all(n);
    for (unsigned t = 0; t < n; t++) {
      Fiber &f = b.fibers[t];
      f.thread = {t % launch.block.x, t / launch.block.x % launch.block.y, t / launch.block.x / launch.block.y};
      f.index = t;
      f.done = false;
      f.watched = race::new_thread(i, t);
      f.copier = nullptr;
      f.groups = 0;
      f.copies.clear();
      memset(f.counted, 0, sizeof f.counted);
      // exchange_stacks pops six registers and returns to thread, which finds the
      // stack as a call leaves it.
      void **top = stacks->top(t);
      *--top = nullptr;
      *--top = (void *)thread;
      for (int k = 0; k < 6; k++) *--top = nullptr;
      f.stack_pointer = top;
      all[t] = &f;
    }
    block = &b;
    fiber = &b.scheduler;
    b.scheduler.watched = race::here();
    make_ready(&b, all);
    if ((code = sigsetjmp(b.abandon, 1)) != 0) {
      race::become(b.scheduler.watched);
    } else {
      next();
      if (b.live) {
        fiber = &b.fibers[0];
        for (Fiber &f : b.fibers)
          if (!f.done) fiber = &f;
        code = failed;
        fprintf(stderr, "stand-in for CUDA: %s, block %u: %u threads wait at a barrier that the others do not reach\n", b.kernel, b.index.x, b.live);
      }
    }
    block = nullptr;
    fiber = nullptr;
    for (Fiber &f : b.fibers) {
      if (f.copier) race::end_thread(f.copier);
      race::end_thread(f.watched);
    }
  }
  keep_stacks(std::move(stacks));
  sigaltstack(&before, nullptr);
  int none = ok;
  if (code != ok) ended.compare_exchange_strong(none, code);
  return (Code)code;
}

Code run(const Launch &launch, const std::function<void()> &body) {
  static std::mutex one; // the race checker follows one launch at a time
  std::unique_lock<std::mutex> lock(one, std::defer_lock);
  if (race::watching) lock.lock();
  const unsigned long before = race::reports();
  catch_signals();
  race::ignore(true); // what the scheduler does is no access of the kernel's
  std::atomic<unsigned> taken{0};
  std::atomic<int> ended{ok};
  const std::vector<unsigned> all = sequence(launch.order, launch.grid.x * launch.grid.y * launch.grid.z);
  unsigned threads = std::min<unsigned>(std::max(race::watching ? 1 : launch.os_threads, 1u), all.size());
  std::atomic<unsigned> waiting{threads};
  std::vector<std::thread> others;
  for (unsigned t = 1; t < threads; t++) others.emplace_back([&] { blocks(launch, body, all, taken, waiting, ended); });
  blocks(launch, body, all, taken, waiting, ended);
  for (auto &t : others) t.join();
  race::ignore(false);
  race::acquire(&launch_end);
  if (ended == ok && race::reports() > before) return failed;
  return (Code)ended.load();
}

} // namespace ch
