#include "runner/exec/cpu_lane.h"

#include <fmt/format.h>

#include <string>
#include <utility>

#include "runner/base/check.h"
#include "runner/base/log.h"
#include "runner/exec/thread.h"
#include "runner/exec/work_queue.h"

namespace sloth {
namespace {

// Prime, so that it does not fall into step with the jobs of a program (Go's scheduler).
constexpr std::uint32_t kFairTurn = 61;
// A search that finds nothing lasts a few microseconds: less than waking a thread costs.
constexpr int kSearchRounds = 16;
constexpr int kPauses = 32;

void pause_briefly() {
  for (int i = 0; i < kPauses; ++i) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
  }
}

// Written by one thread, read by any: a plain addition, no locked instruction.
class Counter {
 public:
  void add(std::uint64_t n) { value_.store(get() + n, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

}  // namespace

class alignas(64) CpuLane::Worker {
 public:
  Worker(CpuLane& lane, int index)
      : lane_(lane), index_(index), cache_(lane.pool_), random_(static_cast<std::uint32_t>(index) + 1) {
    haul_.reserve(WorkQueue::kMostStolen);
  }

  void loop();
  bool post(Job job);
  bool post_fair(Job job);

  static constinit thread_local Worker* current;

  CpuLane& lane_;
  WorkQueue queue_;
  Counter posted_;
  Counter executed_;
  Counter steals_;

 private:
  JobNode* next();
  JobNode* search();
  JobNode* take_injected();
  JobNode* steal();
  JobNode* keep_rest();
  void run(JobNode* node);
  void found();

  const int index_;
  JobCache cache_;
  std::vector<JobNode*> haul_;  // what was just taken elsewhere, oldest first
  std::uint32_t turn_ = 0;
  std::uint32_t random_;
  bool searching_ = true;  // as it is counted from its start
};

constinit thread_local CpuLane::Worker* CpuLane::Worker::current = nullptr;

bool CpuLane::Worker::post(Job job) {
  if (lane_.closed_.load(std::memory_order_relaxed)) return false;
  queue_.push(cache_.take(std::move(job)));
  posted_.add(1);
  lane_.notify();
  return true;
}

bool CpuLane::Worker::post_fair(Job job) {
  JobNode* const node = cache_.take(std::move(job));
  if (lane_.post_outside(node)) return true;
  node->job = Job();
  cache_.give(node);
  return false;
}

void CpuLane::Worker::loop() {
  current = this;
  for (;;) {
    JobNode* node = next();
    if (node == nullptr) node = search();
    if (node != nullptr) {
      found();
      run(node);
      continue;
    }
    const bool may_sleep = lane_.parker_.announce(index_, std::exchange(searching_, false));
    if (lane_.anything_queued()) {
      if (may_sleep) {
        lane_.parker_.retract(index_);
        searching_ = true;
      }
      continue;
    }
    if (!may_sleep) break;
    lane_.parker_.park(index_);
    searching_ = true;
  }
  current = nullptr;
}

JobNode* CpuLane::Worker::next() {
  if (++turn_ % kFairTurn == 0) {
    if (JobNode* const node = lane_.injector_.pop()) return node;
    if (JobNode* const node = queue_.take_oldest()) return node;
  }
  if (JobNode* const node = queue_.pop()) return node;
  return take_injected();
}

JobNode* CpuLane::Worker::search() {
  if (!searching_) searching_ = lane_.parker_.begin_search(lane_.started_.load());
  if (!searching_) return nullptr;
  for (int round = 0; round < kSearchRounds; ++round) {
    if (JobNode* const node = steal()) return node;
    if (JobNode* const node = take_injected()) return node;
    if (lane_.closed_.load(std::memory_order_relaxed)) return nullptr;
    pause_briefly();
  }
  return nullptr;
}

JobNode* CpuLane::Worker::take_injected() {
  // A single worker takes one at a time, and so keeps the order of arrival exactly.
  const auto sharers = static_cast<std::size_t>(lane_.started_.load());
  if (lane_.workers_.size() == 1) return lane_.injector_.pop();
  lane_.injector_.take_share(sharers, WorkQueue::kMostStolen, haul_);
  return keep_rest();
}

JobNode* CpuLane::Worker::steal() {
  const auto started = static_cast<std::uint32_t>(lane_.started_.load());
  random_ ^= random_ << 13;  // xorshift (Marsaglia, 2003)
  random_ ^= random_ >> 17;
  random_ ^= random_ << 5;
  const std::uint32_t first = random_ % started;
  for (std::uint32_t i = 0; i < started; ++i) {
    Worker& victim = *lane_.workers_[(first + i) % started];
    if (&victim == this || victim.queue_.looks_empty()) continue;
    steals_.add(victim.queue_.steal_half(haul_));
    if (JobNode* const node = keep_rest()) return node;
  }
  return nullptr;
}

// The oldest of the haul is to run now. The others go below one another such that the owner, who takes
// the newest, meets them in the order of their age.
JobNode* CpuLane::Worker::keep_rest() {
  if (haul_.empty()) return nullptr;
  JobNode* const first = haul_.front();
  for (std::size_t i = haul_.size() - 1; i > 0; --i) queue_.push(haul_[i]);
  const bool more = haul_.size() > 1;
  haul_.clear();
  // While they were in no queue, somebody may have looked in vain and gone to sleep.
  if (more && !searching_) lane_.notify();
  return first;
}

void CpuLane::Worker::found() {
  if (!std::exchange(searching_, false)) return;
  if (lane_.parker_.end_search() && lane_.anything_queued()) lane_.notify();
}

void CpuLane::Worker::run(JobNode* node) {
  run_job(node->job);
  node->job = Job();
  executed_.add(1);
  cache_.give(node);
}

CpuLane::CpuLane(int workers) : parker_(workers) {
  SLOTH_CHECK(workers > 0);
  for (int i = 0; i < workers; ++i) workers_.push_back(std::make_unique<Worker>(*this, i));
}

CpuLane::~CpuLane() {
  MutexLock lock(start_mutex_);
  SLOTH_CHECK(threads_.empty());
}

bool CpuLane::post(Job job) {
  if (on_worker()) return Worker::current->post(std::move(job));
  return post_fair(std::move(job));
}

bool CpuLane::post_fair(Job job) {
  if (on_worker()) return Worker::current->post_fair(std::move(job));
  JobNode* const node = pool_.take(1);
  node->job = std::move(job);
  if (post_outside(node)) return true;
  node->job = Job();
  pool_.give(node, node);
  return false;
}

bool CpuLane::post_outside(JobNode* node) {
  if (!injector_.push(node)) return false;
  notify();
  return true;
}

void CpuLane::notify() {
  if (parker_.anyone_searching() || parker_.wake_one()) return;
  if (started_.load() < static_cast<int>(workers_.size())) start_one();
}

void CpuLane::start_one() {
  MutexLock lock(start_mutex_);
  // Another post may have started one since, which is as good as ours.
  if (no_more_threads_ || parker_.anyone_searching()) return;
  start_locked();
}

void CpuLane::start_locked() {
  const int index = started_.load();
  if (index == static_cast<int>(workers_.size())) return;
  Worker* const worker = workers_[static_cast<std::size_t>(index)].get();
  parker_.add_searcher();
  started_.store(index + 1);
  const std::string name = fmt::format("sloth-cpu-{}", index);
  Job body = [worker] { worker->loop(); };
  if (index == 0) {
    threads_.push_back(start_thread_or_abort(name, Interruptible::kYes, std::move(body)));
    return;
  }
  auto thread = start_thread(name, Interruptible::kYes, std::move(body));
  if (thread) {
    threads_.push_back(std::move(*thread));
    return;
  }
  started_.store(index);
  parker_.end_search();
  no_more_threads_ = true;
  log_warn("{}; going on with {} worker(s)", thread.error().message, index);
}

bool CpuLane::anything_queued() const {
  if (!injector_.empty()) return true;
  const auto started = static_cast<std::size_t>(started_.load());
  for (std::size_t i = 0; i < started; ++i) {
    if (!workers_[i]->queue_.empty()) return true;
  }
  return false;
}

void CpuLane::close() {
  closed_.store(true);
  injector_.close();
  MutexLock lock(start_mutex_);
  // A job may have been accepted whose poster has not come to starting the first worker.
  if (started_.load() == 0 && !injector_.empty()) start_locked();
  no_more_threads_ = true;
}

void CpuLane::join() {
  parker_.close();
  std::vector<std::thread> threads;
  {
    MutexLock lock(start_mutex_);
    threads.swap(threads_);
  }
  for (std::thread& thread : threads) thread.join();
}

bool CpuLane::on_worker() const { return Worker::current != nullptr && &Worker::current->lane_ == this; }

CpuLane::Stats CpuLane::stats() const {
  Stats stats;
  stats.started = started_.load();
  stats.posted = injector_.accepted();
  for (const auto& worker : workers_) {
    stats.posted += worker->posted_.get();
    stats.executed += worker->executed_.get();
    stats.steals += worker->steals_.get();
  }
  return stats;
}

}  // namespace sloth
