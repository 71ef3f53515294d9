#include "runner/base/check.h"

#include <cstdio>
#include <cstdlib>

namespace sloth {

void check_failed(const char* file, int line, const char* condition) {
  std::fprintf(stderr, "sloth: internal error at %s:%d: %s does not hold\n", file, line, condition);
  std::abort();
}

}  // namespace sloth
