#include "runner/dsl/declarations.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <unordered_map>

#include "runner/dsl/names.h"

namespace sloth {
namespace {

const char* kind_of(const Record& record) { return record.kind == Record::Kind::kTask ? "task" : "workflow"; }

class Settler {
 public:
  Settler(std::vector<Record> records, const Sources& sources, Problems& problems)
      : sources_(sources), problems_(problems) {
    result_.records = std::move(records);
    result_.members.resize(result_.records.size());
    result_.workflow_of.resize(result_.records.size());
  }

  Declarations settle() {
    for (Record& record : result_.records) {
      if (record.definition) place_in_text(record, record.name);
      if (record.kind == Record::Kind::kWorkflow) take_members(record);
    }
    for (Record& record : result_.records) {
      check_name(record);
      check_built(record);
      if (record.table_form) place_settings(record);
    }
    put_in_order();
    find_doubles(result_.tasks);
    find_doubles(result_.workflows);
    return std::move(result_);
  }

 private:
  Record& record(int number) { return result_.records[static_cast<std::size_t>(number) - 1]; }
  std::vector<int>& members_of(const Record& workflow) {
    return result_.members[static_cast<std::size_t>(workflow.number) - 1];
  }
  int& workflow_of(int task) { return result_.workflow_of[static_cast<std::size_t>(task) - 1]; }

  void place_in_text(Record& record, const std::string& key) {
    const auto source = sources_.find(record.place.file);
    if (source == sources_.end()) return;
    if (const int line = source->second.declared_at(key, record.place.line); line > 0)
      record.place.line = line;
  }

  void place_settings(Record& record) {
    const auto source = sources_.find(record.place.file);
    for (Setting& setting : record.settings) {
      if (record.inner || record.definition) setting.place = record.place;
      if (source == sources_.end() || !setting.key_is_text || setting.issue != Setting::Issue::kNone)
        continue;
      const int line = source->second.declared_inside(setting.key, record.place.line);
      if (line > 0) setting.place.line = line;
    }
  }

  void take_members(Record& workflow) {
    for (const Setting& setting : workflow.settings) {
      std::vector<Member> members = setting.members;
      int expected = 1;
      for (Member& member : members) {
        if (member.index > 0) {
          for (; expected < member.index; ++expected)
            refuse_member(workflow, setting, fmt::format("[{}]", expected), "nil");
          ++expected;
        }
        if (member.record == 0) {
          refuse_member(workflow, setting,
                        member.index > 0 ? fmt::format("[{}]", member.index) : "." + printable(member.key),
                        member.element);
        } else {
          settle_member(workflow, member);
        }
      }
      std::stable_sort(members.begin(), members.end(), [this](const Member& a, const Member& b) {
        const bool keyed = a.index == 0 && b.index == 0 && a.record != 0 && b.record != 0;
        return keyed &&
               std::tie(record(a.record).place.line, a.key) < std::tie(record(b.record).place.line, b.key);
      });
      for (const Member& member : members) {
        if (member.record != 0 && workflow_of(member.record) == workflow.number)
          members_of(workflow).push_back(member.record);
      }
    }
  }

  void refuse_member(const Record& workflow, const Setting& setting, const std::string& element,
                     const std::string& what) {
    const bool missing = what == "nil";
    problems_.add(setting.place, fmt::format("{}: tasks{} is {}", subject(workflow), element, what),
                  missing ? "is the variable spelled right, and set before this line?"
                          : "put a task object or a table there");
  }

  void settle_member(const Record& workflow, const Member& member) {
    Record& task = record(member.record);
    if (task.kind != Record::Kind::kTask) {
      problems_.add(workflow.place,
                    fmt::format("{}: {} is among its tasks", subject(workflow), subject(task)));
      return;
    }
    const bool nameless = !task.has_name && task.name_shown == "nil";
    if (nameless && !member.key.empty()) {
      task.has_name = true;
      task.name = member.key;
    }
    if (task.inner) {
      task.place = workflow.place;
      place_in_text(task, member.key.empty() ? task.name : member.key);
    }
    if (!member.key.empty() && task.has_name && task.name != member.key) {
      result_.warnings.push_back(fmt::format("{}: {}: its key {} is not used: the name counts",
                                             task.place.text(), subject(task), quoted(member.key)));
    }
    int& owner = workflow_of(task.number);
    if (owner != 0) {
      problems_.add(workflow.place,
                    owner == workflow.number
                        ? fmt::format("{}: {} is listed twice", subject(workflow), subject(task))
                        : fmt::format("{}: {} is in {} already ({})", subject(workflow), subject(task),
                                      subject(record(owner)), record(owner).place.text()));
      return;
    }
    owner = workflow.number;
    task.built = true;
  }

  // A declaration that went wrong as a whole is reported for that alone.
  static bool went_wrong(const Record& record) {
    return std::any_of(record.settings.begin(), record.settings.end(), [](const Setting& setting) {
      return setting.issue == Setting::Issue::kCall || setting.issue == Setting::Issue::kNoFunction;
    });
  }

  void check_name(Record& record) {
    const char* kind = kind_of(record);
    if (went_wrong(record)) return;
    if (record.has_name) {
      if (const std::string wrong = wrong_with_name(record.name); !wrong.empty()) {
        problems_.add(record.place, fmt::format("{}: the name {}", subject(record), wrong));
      }
      return;
    }
    const std::string missing =
        record.name_shown == "nil" ? "has no name" : "needs a string as its name, got " + record.name_shown;
    problems_.add(record.place, fmt::format("a {} {}", kind, missing),
                  record.table_form
                      ? R"(add name = "..." to the table)"
                      : fmt::format(R"(write {}("..."))",
                                    record.kind == Record::Kind::kTask ? "task" : "workflow.define"));
  }

  void check_built(const Record& record) {
    if (record.kind != Record::Kind::kTask || record.built) return;
    problems_.add(record.place, fmt::format("{} is never built: add :build()", subject(record)));
  }

  // A table among a workflow's tasks stands where the workflow was declared; everything else where it was
  // itself.
  void put_in_order() {
    for (const Record& record : result_.records) {
      if (record.kind == Record::Kind::kWorkflow) result_.workflows.push_back(record.number);
    }
    const auto first_definition = std::find_if(result_.workflows.begin(), result_.workflows.end(),
                                               [this](int number) { return record(number).definition; });
    std::sort(first_definition, result_.workflows.end(), [this](int a, int b) {
      return std::tie(record(a).place.line, record(a).name) < std::tie(record(b).place.line, record(b).name);
    });
    for (const Record& item : result_.records) {
      if (item.definition) break;
      if (item.kind == Record::Kind::kTask) {
        if (!item.inner) result_.tasks.push_back(item.number);
      } else {
        add_inner_tasks(item);
      }
    }
    for (auto it = first_definition; it != result_.workflows.end(); ++it) add_inner_tasks(record(*it));
  }

  void add_inner_tasks(const Record& workflow) {
    for (const int number : members_of(workflow)) {
      if (record(number).inner) result_.tasks.push_back(number);
    }
  }

  void find_doubles(const std::vector<int>& numbers) {
    std::unordered_map<std::string, int> first;
    for (const int number : numbers) {
      const Record& again = record(number);
      if (!again.has_name || went_wrong(again)) continue;
      const auto [found, is_new] = first.emplace(again.name, number);
      if (is_new) continue;
      problems_.add(
          again.place,
          fmt::format("{} is declared twice (first at {})", subject(again),
                      record(found->second).place.text()),
          fmt::format("give one of them another name: {} names are unique in a file", kind_of(again)));
    }
  }

  Declarations result_;
  const Sources& sources_;
  Problems& problems_;
};

}  // namespace

std::string subject(const Record& record) {
  return record.has_name ? fmt::format("{} {}", kind_of(record), quoted(record.name))
                         : fmt::format("a {}", kind_of(record));
}

Declarations settle(std::vector<Record> records, const Sources& sources, Problems& problems) {
  return Settler(std::move(records), sources, problems).settle();
}

}  // namespace sloth
