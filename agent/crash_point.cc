#include "agent/crash_point.h"

#ifdef SLOTH_CRASH_POINTS
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <cstdlib>
#include <string_view>
#endif

namespace sloth {

#ifdef SLOTH_CRASH_POINTS
namespace {

struct CrashAt {
  std::string_view name;
  int passage = 1;
};

CrashAt wanted() {
  const char* text = std::getenv("SLOTH_CRASH_AT");
  if (text == nullptr) return {};
  const std::string_view all = text;
  const std::size_t colon = all.find(':');
  if (colon == std::string_view::npos) return {all};
  CrashAt at{all.substr(0, colon)};
  std::from_chars(all.data() + colon + 1, all.data() + all.size(), at.passage);
  return at;
}

}  // namespace

void crash_point(const char* name) {
  static const CrashAt at = wanted();
  static std::atomic<int> passed{0};
  if (at.name != name || ++passed != at.passage) return;
  ::kill(::getpid(), SIGKILL);
}
#else
void crash_point(const char*) {}
#endif

}  // namespace sloth
