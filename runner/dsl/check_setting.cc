#include "runner/dsl/check_setting.h"

#include <fmt/format.h>

#include "runner/dsl/names.h"
#include "runner/dsl/vocabulary.h"

namespace sloth {
namespace {

constexpr const char* kTaskForms = R"(write task("name") or task({ name = "name", ... }))";
constexpr const char* kWorkflowForms =
    R"(write workflow.define("name", {...}) or workflow({ name = "name", ... }))";

struct Refusal {
  std::string message;
  std::string cure;
};

Refusal unknown_method(const Record& record, const std::string& name) {
  if (record.kind == Record::Kind::kWorkflow) {
    if (name == "build") return {"build() is unknown", "remove it: a workflow needs no closing call"};
    const bool in_config = !Vocabulary::of_config().meaning(name).empty();
    return {Vocabulary::of_workflows().refusal(name),
            in_config ? fmt::format("write :config({{ {} = ... }})", name) : ""};
  }
  return {Vocabulary::of_tasks().refusal(name), ""};
}

// What is wrong with the call itself.
Refusal refusal_of(const Record& record, const Setting& setting) {
  using Issue = Setting::Issue;
  const bool is_task = record.kind == Record::Kind::kTask;
  const std::string key = printable(setting.key);
  switch (setting.issue) {
    case Issue::kNone: return {};
    case Issue::kLate: return {key + "() comes after build()", "move build() to the end"};
    case Issue::kTwice: return {"build() is called twice", ""};
    case Issue::kArguments: return {"build() takes no arguments", ""};
    case Issue::kDot: return {key + " is called with a dot", fmt::format("write :{}(...)", key)};
    case Issue::kUnknown: return unknown_method(record, setting.key);
    case Issue::kNoField: return {quoted(setting.key) + " is unknown: a built task has only its name", ""};
    case Issue::kAssigned: return {key + " cannot be assigned", fmt::format("write :{}(...)", key)};
    case Issue::kNoTable: return {"expected a table", is_task ? kTaskForms : kWorkflowForms};
    case Issue::kMetatable:
      return {"the table has a metatable", "give a plain table: what a metatable adds would be lost"};
    case Issue::kExtra:
      return {key + "() is given too many arguments", is_task ? kTaskForms : kWorkflowForms};
    case Issue::kCall: return {"workflow() takes a table", kWorkflowForms};
    case Issue::kNoFunction: return {fmt::format("workflow.{} is unknown", key), kWorkflowForms};
  }
  return {};
}

Refusal unknown_key(const Record& record, const std::string& key) {
  if (record.kind == Record::Kind::kTask) return {Vocabulary::of_tasks().refusal(key), ""};
  const bool in_config = !Vocabulary::of_config().meaning(key).empty();
  return {Vocabulary::of_workflows().refusal(key),
          in_config ? fmt::format("write config = {{ {} = ... }}", key) : ""};
}

}  // namespace

std::string check_setting(Problems& problems, const Record& record, const Setting& setting, SaidWords& said) {
  const auto refuse = [&](const Refusal& refusal) {
    const bool about_record = setting.issue != Setting::Issue::kNoFunction;
    problems.add(setting.place, (about_record ? subject(record) + ": " : "") + refusal.message, refusal.cure);
    return std::string();
  };
  const bool is_task = record.kind == Record::Kind::kTask;
  const Vocabulary& words = is_task ? Vocabulary::of_tasks() : Vocabulary::of_workflows();
  const std::string word(words.meaning(setting.key));
  if (const Refusal refusal = refusal_of(record, setting); !refusal.message.empty()) {
    // Said in the wrong way, but said: it is not missing as well.
    if (!word.empty()) said.emplace(word, setting.place);
    return refuse(refusal);
  }
  if (!setting.key_is_text) return refuse({"expected names, found the key " + setting.key, ""});
  if (word == "build") return refuse({"a table is complete as it is", "remove build"});
  if (word.empty()) return refuse(unknown_key(record, setting.key));
  const auto [found, is_new] = said.emplace(word, setting.place);
  // depends_on adds up: naming one dependency per call loses nothing.
  if (is_new || word == "depends_on") return word;
  return refuse({fmt::format("{} is set twice (first at {})", word, found->second.text()), ""});
}

}  // namespace sloth
