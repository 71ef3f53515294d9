// Recording: the Lua side of the task language (dsl.lua) in one plan VM, and what it recorded, read into
// plain structs. The values that were said stay in Lua and are pushed one by one.
//
// Strand-confined: call only on its strand.
#pragma once

#include <lua.hpp>
#include <optional>
#include <string>
#include <vector>

#include "runner/base/result.h"
#include "runner/lua/vm.h"
#include "runner/task/task.h"

namespace sloth {

// One element of a workflow's `tasks`.
struct Member {
  std::string key;      // of a keyed table; "" in a list
  int index = 0;        // in a list, from 1; 0 in a keyed table
  int record = 0;       // number of the task's record; 0: the element is no task
  std::string element;  // what it is when it is no task: "nil", "a number", "\"build\""
};

// One thing said about a task or workflow: a method call, or a key of a table form.
struct Setting {
  enum class Issue {
    kNone,
    kLate,        // a method after build()
    kTwice,       // a second build()
    kArguments,   // build("x")
    kDot,         // task.command(...)
    kUnknown,     // no such method
    kNoField,     // nothing that a built task has
    kAssigned,    // task.timeout = ...
    kNoTable,     // a table form without a table
    kMetatable,   // a table form with a metatable
    kExtra,       // task("a", "b")
    kCall,        // workflow("a")
    kNoFunction,  // workflow.parallel(...)
  };
  std::string key;
  bool key_is_text = true;  // a key of a table form may be anything
  Place place;
  Issue issue = Issue::kNone;
  int count = 0;   // arguments
  int record = 0;  // where it stands in Lua: entry number `entry` of record number `record`
  int entry = 0;
  std::vector<Member> members;  // of `tasks`
};

// One task or workflow as declared.
struct Record {
  enum class Kind { kTask, kWorkflow };
  int number = 0;  // from 1, in the order of declaration
  Kind kind = Kind::kTask;
  bool has_name = false;
  std::string name;        // when has_name
  std::string name_shown;  // what stands in its place when it is no string: "nil", "a table"
  Place place;
  bool table_form = false;
  bool inner = false;       // a table among a workflow's tasks
  bool definition = false;  // a group of TaskDefinitions
  bool built = false;
  std::vector<Setting> settings;  // builder: in order; table form: by key
};

class Recording {
 public:
  // Installs the globals `task` and `workflow`. REQUIRES: `vm` is not sealed and outlives the recording.
  explicit Recording(Vm& vm);

  // Takes in the global TaskDefinitions, if the file set it; from now on nothing can be declared. kInvalid:
  // it is no plain table, or holds too much.
  Result<void> close(lua_State* L);
  // All records, number n at index n - 1. REQUIRES: close().
  std::vector<Record> read(lua_State* L) const;

  // Pushes argument `n` (from 1) of a setting.
  void push_argument(lua_State* L, const Setting& setting, int n) const;
  // The record of the task object at `index`; 0 when it is none.
  int task_at(lua_State* L, int index) const;

  // No file holds more tasks.
  static constexpr int kMostTasks = 100000;

 private:
  void push_part(lua_State* L, const char* name) const;
  Setting read_entry(lua_State* L) const;
  Record read_record(lua_State* L) const;

  Vm& vm_;
  int parts_;  // registry reference of the table that dsl.lua returns
};

// The value at `index` as a message shows it: "nil", "true", "1.5", "\"5\"", "a table", "a function".
std::string shown(lua_State* L, int index);

// The bytes of the string at `index`. REQUIRES: it is one.
std::string string_at(lua_State* L, int index);

// "tasks.lua:12" as a place; without a number, line 0.
Place place_from(std::string_view text);

}  // namespace sloth
