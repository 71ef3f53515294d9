// What the run logs have in common: how an event changes a task's record, and how much output is kept.
//
// Thread-safe: pure functions; OutputBudget is a value.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "runner/store/run_log.h"

namespace sloth {

// True when the event says something that the record keeps, which is then in it.
bool update_record(TaskRecord& record, const Event& event);

// Lets a task's output through up to a number of bytes, then one line that says that the rest was cut.
class OutputBudget {
 public:
  // `used`: what was kept of it by an earlier process; beyond the limit when that cut it.
  explicit OutputBudget(std::size_t limit, std::size_t used = 0)
      : limit_(limit), left_(used < limit ? limit - used : 0), cut_(used > limit) {}
  // The part of `bytes` to keep, with the line at the cut. "" after the cut.
  std::string take(std::string_view bytes);

 private:
  std::size_t limit_;
  std::size_t left_;
  bool cut_;
};

}  // namespace sloth
