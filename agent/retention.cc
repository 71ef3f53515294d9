#include "agent/retention.h"

#include <set>
#include <utility>

#include "agent/digest.h"
#include "agent/master_core.h"
#include "runner/os/file_tree.h"

namespace sloth {
namespace {

constexpr Duration kEvery = std::chrono::hours(1);
// In one commit, which others wait for.
constexpr int kAtOnce = 500;

std::int64_t milliseconds(Duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

// A digest that a submit found here was touched by it, so it is young.
void remove_unused(const std::string& directory, const std::set<std::string>& used, std::int64_t before_ms) {
  const auto names = list_directory(directory);
  if (!names) return;
  for (const std::string& name : *names) {
    const std::string path = directory + "/" + name;
    const auto info = stat_file(path);
    // Also what a write left half done.
    if (info && info->mtime_ms < before_ms && used.count(name) == 0)
      static_cast<void>(remove_path(path, false));
  }
}

}  // namespace

void Retention::begin() {
  sweep_orphans();
  sweep();
}

void Retention::sweep() {
  core_.store->forget(core_.clock.wall_ms() - milliseconds(core_.options.keep), kAtOnce,
                      [this](Result<std::vector<std::string>> gone) {
                        if (!gone) core_.say(gone.error().message);
                        const bool more = gone && gone->size() == kAtOnce;
                        if (gone && !gone->empty()) core_.spools->remove(std::move(*gone));
                        if (more) return sweep();
                        sweep_contents();
                        core_.after(kEvery, [this] { sweep(); });
                      });
}

void Retention::sweep_contents() {
  core_.store->blobs_in_use([this](Result<std::vector<std::string>> used) {
    if (!used) return core_.say(used.error().message);
    const std::int64_t before_ms = core_.clock.wall_ms() - milliseconds(core_.options.keep);
    core_.blocking(
        [directory = core_.content.directory(), used = std::set<std::string>(used->begin(), used->end()),
         before_ms] {
          remove_unused(directory, used, before_ms);
          return true;
        },
        [](bool) {});
  });
}

void Retention::sweep_orphans() {
  // Young ones stay: the journal may have been moved away for a look.
  const std::int64_t before_ms = core_.clock.wall_ms() - milliseconds(core_.options.keep);
  core_.blocking([spools = core_.spools.get(), before_ms] { return spools->list(before_ms); },
                 [this](Result<std::vector<std::string>> names) {
                   if (!names) return core_.say(names.error().message);
                   core_.store->unknown_of(std::move(*names),
                                           [this](Result<std::vector<std::string>> unknown) {
                                             if (unknown && !unknown->empty())
                                               core_.spools->remove(std::move(*unknown));
                                           });
                 });
}

}  // namespace sloth
