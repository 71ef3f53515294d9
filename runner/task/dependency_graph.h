// DependencyGraph: the names of a task file resolved to numbers, with everything wrong in them reported.
//
// A value. Not shared: one thread at a time.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runner/base/result.h"
#include "runner/task/cycles.h"
#include "runner/task/workflow.h"

namespace sloth {

// One thing wrong with the names of a file.
struct GraphProblem {
  Place place;
  std::string message;
};

struct DependencyGraph {
  Edges dependencies;                 // per task of the file, by its index there; no doubles, no cycles
  std::vector<std::uint32_t> wanted;  // what the user asked for, in that order; no doubles

  // kInvalid with one problem per line: names declared twice, unknown dependencies, group members and
  // targets, cycles (at most 20 are shown). See Plan::build for what empty `targets` means. O(V + E), apart
  // from the search for near names, which only the first 20 unknown names get.
  static Result<DependencyGraph> build(const Workflow& workflow, const std::vector<std::string>& targets);

  // Unknown dependencies and cycles only: what a reader of the file, who settles the names itself, tells
  // beside its own findings.
  static std::vector<GraphProblem> problems(const Workflow& workflow);
};

}  // namespace sloth
