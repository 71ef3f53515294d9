// executor_bench: nanoseconds for one empty task on the CPU lane, beside oneTBB where it was found.
//
// Prints "bench NAME NUMBER": one_spawner_W (a task posts them all) and outside_W (another thread does) with
// W workers; tbb_ in front for oneTBB. A tenth of the work warms up.
#include <fmt/core.h>

#include <chrono>
#include <functional>
#include <latch>

#include "runner/exec/executor.h"

#ifdef SLOTH_HAVE_TBB
#include <tbb/global_control.h>
#include <tbb/task_arena.h>
#include <tbb/task_group.h>
#endif

namespace {

constexpr int kTasks = 1'000'000;

using Clock = std::chrono::steady_clock;

void report(const char* name, int workers, const std::function<void(int)>& run) {
  run(kTasks / 10);
  const Clock::time_point start = Clock::now();
  run(kTasks);
  const std::chrono::duration<double, std::nano> elapsed = Clock::now() - start;
  fmt::print("bench {}_{} {:.2f}\n", name, workers, elapsed.count() / kTasks);
}

void ours(int workers) {
  sloth::Executor executor({.workers = workers});
  report("one_spawner", workers, [&executor](int n) {
    std::latch left(n);
    executor.post([&executor, &left, n] {
      for (int i = 0; i < n; ++i) executor.post([&left] { left.count_down(); });
    });
    left.wait();
  });
  report("outside", workers, [&executor](int n) {
    std::latch left(n);
    for (int i = 0; i < n; ++i) executor.post([&left] { left.count_down(); });
    left.wait();
  });
  executor.stop();
}

#ifdef SLOTH_HAVE_TBB
void tbb_tasks(int workers) {
  const tbb::global_control limit(tbb::global_control::max_allowed_parallelism,
                                  static_cast<std::size_t>(workers));
  tbb::task_arena arena(workers);
  report("tbb_one_spawner", workers, [&arena](int n) {
    arena.execute([n] {
      tbb::task_group group;
      for (int i = 0; i < n; ++i) group.run([] {});
      group.wait();
    });
  });
}
#endif

}  // namespace

int main() {
  for (const int workers : {1, 2}) {
    ours(workers);
#ifdef SLOTH_HAVE_TBB
    tbb_tasks(workers);
#endif
  }
  return 0;
}
