// SettingReader: the arguments of one setting as domain values; what is wrong with them goes to the problems,
// with the setting's place, and the answer is empty.
//
// Strand-confined: call only on its strand. Puts the arguments on the Lua stack and restores it at its end.
// Never raises, never runs Lua code.
//
//   SettingReader reader(L, recording, declarations, problems, R"(task "build")", setting);
//   if (auto timeout = reader.duration()) spec.timeout = *timeout;
#pragma once

#include <lua.hpp>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "runner/base/clock.h"
#include "runner/base/value.h"
#include "runner/dsl/declarations.h"
#include "runner/dsl/problems.h"
#include "runner/dsl/recording.h"

namespace sloth {

class SettingReader {
 public:
  // All arguments outlive the reader. `about` begins every message.
  SettingReader(lua_State* L, const Recording& recording, const Declarations& declarations,
                Problems& problems, std::string about, const Setting& setting);
  ~SettingReader();
  SettingReader(const SettingReader&) = delete;
  SettingReader& operator=(const SettingReader&) = delete;

  struct Retries {
    RetryPolicy policy;
    bool has_strategy = false;  // else only the number of attempts was given
  };

  // The same reader for one value of an options table, at `index` and called `key`.
  void narrow(const std::string& key, int index);

  // Each expects the arguments to be what it says, no more and no less.
  std::optional<std::string> text();     // a string without NUL
  std::optional<std::string> path();     // the same, not empty
  std::optional<std::string> command();  // a string that is not blank
  std::optional<Duration> duration();    // "30m" or seconds
  std::optional<int> whole_number(int low, int high);
  std::optional<std::vector<std::string>> agents();  // names, or one list of them
  std::optional<std::string> user();                 // a user's name, never a number or an option
  bool nothing();                                    // no argument, or `true` as the key of a table
  std::optional<std::vector<std::string>>
  dependencies();  // names, task objects, or one list of these; no doubles
  std::optional<Value::Map> params();
  std::optional<std::map<std::string, std::string>> environment();
  std::optional<Retries> retries();    // a number [and a strategy or its options], or one list of these
  bool strategy(RetryPolicy& policy);  // a strategy or its options, into `policy`
  bool table();                        // one without metatable
  bool function();

  [[nodiscard]] bool is_function() const;
  // The setting's name as written.
  [[nodiscard]] const std::string& key() const { return key_; }
  // Where the first argument stands on the stack.
  [[nodiscard]] int argument() const { return base_ + 1; }

  void problem(const std::string& message, const std::string& cure = "");
  // A message that says already what it is about.
  void problem_as_told(const std::string& message) { problems_.add(setting_.place, message); }

 private:
  bool one();
  bool expect(const std::string& what, int index);
  bool plain_table(int index, const std::string& what);
  std::optional<int> list_length(int index);
  // The arguments, or the elements of a single list: stack places [first, first + count).
  bool spread(int& first, int& count);
  std::optional<Duration> duration_at(int index);
  std::optional<int> whole_number_at(int index, int low, int high);
  bool strategy_at(int index, RetryPolicy& policy);
  bool strategy_options_at(int index, RetryPolicy& policy);
  bool refuse_agent_table();

  lua_State* L_;
  const Recording& recording_;
  const Declarations& declarations_;
  Problems& problems_;
  std::string about_;
  const Setting& setting_;
  std::string key_;
  int top_;   // of the stack, to restore
  int base_;  // the arguments stand above it
  int count_;
  int list_ = 0;  // the single list argument whose elements are read; 0 none
};

}  // namespace sloth
