// SLOTH_CHECK: stops the process when one of our own invariants is broken.
//
// For bugs in this program only. What a user, a file or the network can cause is a Result.
#pragma once

namespace sloth {

// Prints the place and the condition to stderr and aborts. Thread-safe.
[[noreturn]] void check_failed(const char* file, int line, const char* condition);

}  // namespace sloth

#define SLOTH_CHECK(condition)                                                 \
  do {                                                                   \
    if (!(condition)) ::sloth::check_failed(__FILE__, __LINE__, #condition); \
  } while (false)
