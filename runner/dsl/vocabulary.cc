#include "runner/dsl/vocabulary.h"

#include <algorithm>

#include "runner/base/nearest.h"
#include "runner/dsl/names.h"

namespace sloth {

const Vocabulary& Vocabulary::of_tasks() {
  static const Vocabulary words(
      {
          {"description", "description"},
          {"command", "command"},
          {"run", "command"},
          {"depends_on", "depends_on"},
          {"params", "params"},
          {"timeout", "timeout"},
          {"retries", "retries"},
          {"delegate_to", "delegate_to"},
          {"user", "user"},
          {"idempotent", "idempotent"},
          {"lost_after", "lost_after"},
          {"workdir", "workdir"},
          {"env", "env"},
          {"run_if", "run_if"},
          {"abort_if", "abort_if"},
          {"pre_hook", "pre_hook"},
          {"pre_exec", "pre_hook"},
          {"post_hook", "post_hook"},
          {"post_exec", "post_hook"},
          {"on_success", "on_success"},
          {"on_failure", "on_failure"},
          {"on_fail", "on_failure"},
          {"on_timeout", "on_timeout"},
          {"finally", "finally"},
          {"build", "build"},
      },
      {"dotenv", "serial", "max_failures", "sources", "generates", "artifacts", "consumes", "jit", "memory",
       "confirm", "interactive", "secret", "matrix", "tags", "namespace", "hidden", "async", "next_if_fail",
       "uses"});
  return words;
}

const Vocabulary& Vocabulary::of_workflows() {
  static const Vocabulary words(
      {
          {"description", "description"},
          {"version", "version"},
          {"tasks", "tasks"},
          {"config", "config"},
          {"on_start", "on_start"},
          {"on_complete", "on_complete"},
          {"delegate_to", "delegate_to"},
          {"workdir", "workdir"},
      },
      {"create_workdir_before_run",
       "clean_workdir_after_run",
       "user",
       "env",
       "dotenv",
       "params",
       "serial",
       "max_failures",
       "run_if",
       "abort_if",
       "depends_on",
       "pre_hook",
       "post_hook",
       "on_success",
       "on_failure",
       "on_fail",
       "on_timeout",
       "finally",
       "secret",
       "tags",
       "namespace",
       "matrix"});
  return words;
}

const Vocabulary& Vocabulary::of_config() {
  static const Vocabulary words(
      {
          {"max_parallel_tasks", "max_parallel_tasks"},
          {"timeout", "timeout"},
          {"retries", "retries"},
          {"retry_policy", "retry_policy"},
      },
      {"serial", "max_failures", "env", "secret"});
  return words;
}

std::string_view Vocabulary::meaning(std::string_view name) const {
  const auto found =
      std::find_if(available_.begin(), available_.end(), [&](const Word& word) { return word.name == name; });
  return found == available_.end() ? std::string_view() : found->means;
}

std::string Vocabulary::refusal(std::string_view name) const {
  if (std::find(later_.begin(), later_.end(), name) != later_.end()) {
    return quoted(name) + " is not available in this version";
  }
  std::vector<std::string> candidates;
  for (const Word& word : available_) candidates.emplace_back(word.name);
  return quoted(name) + " is unknown" + did_you_mean(name, candidates);
}

}  // namespace sloth
