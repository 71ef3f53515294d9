#include "runner/dsl/setting_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "runner/base/duration.h"
#include "runner/base/nearest.h"
#include "runner/dsl/names.h"
#include "runner/lua/value_codec.h"

namespace sloth {
namespace {

constexpr int kMostRetries = 100;
constexpr int kLongestList = 10000;
constexpr const char* kIsItSet = "is the variable spelled right, and set before this line?";
constexpr const char* kStrategies = R"("fixed", "linear" or "exponential")";

bool is_string(lua_State* L, int index) { return lua_type(L, index) == LUA_TSTRING; }

}  // namespace

SettingReader::SettingReader(lua_State* L, const Recording& recording, const Declarations& declarations,
                             Problems& problems, std::string about, const Setting& setting)
    : L_(L),
      recording_(recording),
      declarations_(declarations),
      problems_(problems),
      about_(std::move(about)),
      setting_(setting),
      key_(printable(setting.key)),
      top_(lua_gettop(L)),
      base_(top_),
      count_(std::min(setting.count, kLongestList)) {
  lua_checkstack(L, count_ + 16);
  for (int n = 1; n <= count_; ++n) recording.push_argument(L, setting, n);
}

SettingReader::~SettingReader() { lua_settop(L_, top_); }

void SettingReader::narrow(const std::string& key, int index) {
  lua_pushvalue(L_, index);
  key_ = printable(setting_.key) + "." + printable(key);
  base_ = lua_gettop(L_) - 1;
  count_ = 1;
  list_ = 0;
}

void SettingReader::problem(const std::string& message, const std::string& cure) {
  problems_.add(setting_.place, fmt::format("{}: {}: {}", about_, key_, message), cure);
}

bool SettingReader::expect(const std::string& what, int index) {
  std::string which;
  if (const int argument = index - base_; count_ > 1 && argument <= count_)
    which = fmt::format("argument {}: ", argument);
  if (list_ > 0) which = fmt::format("element {}: ", index - list_);
  problem(fmt::format("{}expected {}, got {}", which, what, shown(L_, index)),
          lua_isnil(L_, index) ? kIsItSet : "");
  return false;
}

bool SettingReader::one() {
  if (count_ == 1) return true;
  problem(fmt::format("expected one argument, got {}", count_ == 0 ? "none" : std::to_string(count_)));
  return false;
}

bool SettingReader::is_function() const { return count_ == 1 && lua_isfunction(L_, argument()); }

bool SettingReader::function() {
  return one() && (lua_isfunction(L_, argument()) || expect("a function", argument()));
}

bool SettingReader::table() { return one() && plain_table(argument(), "a table"); }

bool SettingReader::plain_table(int index, const std::string& what) {
  if (!lua_istable(L_, index) || recording_.task_at(L_, index) != 0) return expect(what, index);
  if (lua_getmetatable(L_, index) == 0) return true;
  lua_pop(L_, 1);
  problem("the table has a metatable", "give a plain table: what a metatable adds would be lost");
  return false;
}

std::optional<std::string> SettingReader::text() {
  if (!one()) return std::nullopt;
  if (!is_string(L_, argument())) {
    expect("a string", argument());
    return std::nullopt;
  }
  std::string text = string_at(L_, argument());
  if (text.find('\0') == std::string::npos) return text;
  problem("holds a NUL byte");
  return std::nullopt;
}

std::optional<std::string> SettingReader::path() {
  auto path = text();
  if (!path || !path->empty()) return path;
  problem("the path is empty", "leave it out for the directory of the file");
  return std::nullopt;
}

std::optional<std::string> SettingReader::command() {
  if (!one()) return std::nullopt;
  if (!is_string(L_, argument())) {
    expect("a function or a shell command", argument());
    return std::nullopt;
  }
  auto command = text();
  if (!command || command->find_first_not_of(" \t\r\n") != std::string::npos) return command;
  problem("the shell command is empty");
  return std::nullopt;
}

std::optional<Duration> SettingReader::duration() {
  if (!one()) return std::nullopt;
  return duration_at(argument());
}

std::optional<Duration> SettingReader::duration_at(int index) {
  const bool is_number = lua_type(L_, index) == LUA_TNUMBER;
  if (!is_string(L_, index) && !is_number) {
    expect(R"(a duration like "30s" or a number of seconds)", index);
    return std::nullopt;
  }
  const auto read =
      is_number ? duration_from_seconds(lua_tonumber(L_, index)) : parse_duration(string_at(L_, index));
  if (read) return *read;
  problem(read.error().message);
  return std::nullopt;
}

std::optional<int> SettingReader::whole_number(int low, int high) {
  if (!one()) return std::nullopt;
  return whole_number_at(argument(), low, high);
}

std::optional<int> SettingReader::whole_number_at(int index, int low, int high) {
  const double number = lua_type(L_, index) == LUA_TNUMBER ? lua_tonumber(L_, index) : std::nan("");
  if (number >= low && number <= high && std::nearbyint(number) == number) return static_cast<int>(number);
  expect(fmt::format("a whole number from {} to {}", low, high), index);
  return std::nullopt;
}

std::optional<int> SettingReader::list_length(int index) {
  double highest = 0;
  for (lua_pushnil(L_); lua_next(L_, index) != 0; lua_pop(L_, 1)) {
    const double key = lua_type(L_, -2) == LUA_TNUMBER ? lua_tonumber(L_, -2) : 0;
    if (key >= 1 && key <= kLongestList && std::nearbyint(key) == key) {
      highest = std::max(highest, key);
      continue;
    }
    problem(fmt::format("expected a list, found the key {}", shown(L_, -2)));
    lua_pop(L_, 2);
    return std::nullopt;
  }
  return static_cast<int>(highest);
}

bool SettingReader::spread(int& first, int& count) {
  first = argument();
  count = count_;
  if (count_ != 1 || !lua_istable(L_, first) || recording_.task_at(L_, first) != 0) return true;
  if (!plain_table(first, "a list")) return false;
  const auto length = list_length(first);
  if (!length) return false;
  count = *length;
  lua_checkstack(L_, count + 16);
  for (int n = 1; n <= count; ++n) lua_rawgeti(L_, argument(), n);
  list_ = argument();
  first = argument() + 1;
  return true;
}

std::optional<std::vector<std::string>> SettingReader::dependencies() {
  int first = 0;
  int count = 0;
  if (!spread(first, count)) return std::nullopt;
  if (count_ == 0) problem("expected a task's name, a task object or a list of them, got none");
  std::vector<std::string> names;
  for (int index = first; index < first + count; ++index) {
    std::string name;
    if (const int number = recording_.task_at(L_, index); number != 0) {
      name = declarations_.record(number).name;
    } else if (is_string(L_, index)) {
      name = string_at(L_, index);
    } else {
      expect("a task's name or a task object", index);
      continue;
    }
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(std::move(name));
  }
  return names;
}

// Forms of the language that name no agent.
bool SettingReader::refuse_agent_table() {
  if (count_ != 1 || !lua_istable(L_, argument())) return false;
  for (const char* const key : {"label", "address"}) {
    lua_pushstring(L_, key);
    lua_rawget(L_, argument());
    const bool given = !lua_isnil(L_, -1);
    lua_pop(L_, 1);
    if (!given) continue;
    problem(fmt::format("{{ {} = ... }} is not available in this version", key), "name the agents");
    return true;
  }
  return false;
}

std::optional<std::vector<std::string>> SettingReader::agents() {
  int first = 0;
  int count = 0;
  if (refuse_agent_table() || !spread(first, count)) return std::nullopt;
  if (count == 0) problem("expected the name of an agent or a list of names, got none");
  std::vector<std::string> names;
  for (int index = first; index < first + count; ++index) {
    if (!is_string(L_, index)) {
      expect("the name of an agent", index);
      continue;
    }
    std::string name = string_at(L_, index);
    if (const std::string wrong = wrong_with_agent(name); !wrong.empty()) {
      problem(
          fmt::format("{} {}", quoted(name), wrong),
          "an agent is named by 1 to 63 letters, digits, '.', '_' and '-', never by an address or a path");
    } else if (std::find(names.begin(), names.end(), name) != names.end()) {
      problem(fmt::format("{} stands there twice", quoted(name)));
    } else {
      names.push_back(std::move(name));
    }
  }
  return names;
}

std::optional<std::string> SettingReader::user() {
  auto name = text();
  if (!name) return std::nullopt;
  const bool right =
      !name->empty() && name->size() <= 32 &&
      name->find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
          std::string::npos &&
      name->find_first_not_of("0123456789") != std::string::npos && name->front() != '-' &&
      name->front() != '.';
  if (right) return name;
  problem(fmt::format("{} is no user's name", quoted(*name)),
          "write the name, not a number: user(\"deploy\")");
  return std::nullopt;
}

bool SettingReader::nothing() {
  if (count_ == 0) return true;
  if (count_ == 1 && lua_isboolean(L_, argument())) return lua_toboolean(L_, argument()) != 0;
  problem("expected no argument", fmt::format("write :{}()", key_));
  return false;
}

std::optional<Value::Map> SettingReader::params() {
  if (!table()) return std::nullopt;
  auto value = to_value(L_, argument(), "params");
  if (!value) {
    problem(value.error().message, "params are data: strings, numbers, booleans and tables of them");
    return std::nullopt;
  }
  if (!value->is_map()) {
    problem("expected names, found a list", "write params({ name = value })");
    return std::nullopt;
  }
  for (const auto& [key, item] : value->as_map()) {
    const auto* const name = std::get_if<std::string>(&key);
    if (name == nullptr) {
      problem(fmt::format("expected names, found the key {}", key_text(key)));
    } else if (*name == "task_name" || *name == "workdir") {
      problem(fmt::format("{} is set for every task", quoted(*name)), "choose another name");
    }
  }
  return std::move(value->as_map());
}

std::optional<std::map<std::string, std::string>> SettingReader::environment() {
  if (!table()) return std::nullopt;
  std::map<std::string, std::string> variables;
  for (lua_pushnil(L_); lua_next(L_, argument()) != 0; lua_pop(L_, 1)) {
    if (!is_string(L_, -2)) {
      problem(fmt::format("expected names, found the key {}", shown(L_, -2)));
      continue;
    }
    const std::string name = string_at(L_, -2);
    std::string value;
    switch (lua_type(L_, -1)) {
      case LUA_TSTRING: value = string_at(L_, -1); break;
      case LUA_TNUMBER: value = number_text(lua_tonumber(L_, -1)); break;
      case LUA_TBOOLEAN: value = lua_toboolean(L_, -1) != 0 ? "true" : "false"; break;
      default:
        problem(fmt::format("{}: expected a string, a number or a boolean, got {}", printable(name),
                            shown(L_, -1)));
        continue;
    }
    if (const std::string wrong = wrong_with_variable(name); !wrong.empty()) {
      problem(fmt::format("{} {}", quoted(name), wrong));
    } else if (value.find('\0') != std::string::npos) {
      problem(name + " holds a NUL byte");
    } else if (name == "PATH" && value.empty()) {
      problem("PATH is empty", "leave it out, or name the directories of the programs");
    } else {
      variables.emplace(name, std::move(value));
    }
  }
  return variables;
}

std::optional<SettingReader::Retries> SettingReader::retries() {
  int first = 0;
  int count = 0;
  if (!spread(first, count)) return std::nullopt;
  if (count < 1 || count > 2) {
    problem(fmt::format("expected a number and perhaps a strategy, got {} values", count));
    return std::nullopt;
  }
  Retries retries;
  const auto attempts = whole_number_at(first, 0, kMostRetries);
  retries.has_strategy = count == 2;
  const bool fits = count == 1 || strategy_at(first + 1, retries.policy);
  if (!attempts || !fits) return std::nullopt;
  retries.policy.extra_attempts = *attempts;
  return retries;
}

bool SettingReader::strategy(RetryPolicy& policy) { return one() && strategy_at(argument(), policy); }

bool SettingReader::strategy_at(int index, RetryPolicy& policy) {
  if (lua_istable(L_, index)) return strategy_options_at(index, policy);
  static const std::vector<std::string> kNames = {"fixed", "linear",
                                                  "exponential"};  // in the order of the enum
  if (!is_string(L_, index)) return expect(fmt::format("{}, or a table of options", kStrategies), index);
  const std::string name = string_at(L_, index);
  const auto found = std::find(kNames.begin(), kNames.end(), name);
  if (found == kNames.end()) {
    problem(fmt::format("expected {}, got {}{}", kStrategies, quoted(name), did_you_mean(name, kNames)));
    return false;
  }
  policy.strategy = static_cast<RetryPolicy::Strategy>(found - kNames.begin());
  return true;
}

bool SettingReader::strategy_options_at(int index, RetryPolicy& policy) {
  if (!plain_table(index, "a table of options")) return false;
  list_ = 0;
  const std::string key = key_;
  bool fits = true;
  std::optional<Duration> delay;
  std::optional<Duration> max_delay;
  for (lua_pushnil(L_); lua_next(L_, index) != 0; lua_pop(L_, 1)) {
    const std::string option = is_string(L_, -2) ? string_at(L_, -2) : shown(L_, -2);
    const int value = lua_gettop(L_);
    key_ = key + "." + printable(option);
    if (option == "strategy") {
      fits = (lua_istable(L_, value) ? expect(kStrategies, value) : strategy_at(value, policy)) && fits;
    } else if (option == "delay") {
      delay = duration_at(value);
      fits = delay.has_value() && fits;
    } else if (option == "max_delay") {
      max_delay = duration_at(value);
      fits = max_delay.has_value() && fits;
    } else if (option == "jitter") {
      fits = (lua_isboolean(L_, value) || expect("true or false", value)) && fits;
      policy.jitter = lua_toboolean(L_, value) != 0;
    } else {
      static const std::vector<std::string> kOptions = {"strategy", "delay", "max_delay", "jitter"};
      key_ = key;
      problem(fmt::format("the option {} is unknown{}", quoted(option), did_you_mean(option, kOptions)));
      fits = false;
    }
  }
  key_ = key;
  if (delay) policy.delay = *delay;
  // A longer first delay alone asks for longer delays.
  policy.max_delay = max_delay.value_or(std::max(policy.max_delay, policy.delay));
  if (!fits || policy.delay <= policy.max_delay) return fits;
  problem(fmt::format("delay ({}) is longer than max_delay ({})", format_duration(policy.delay),
                      format_duration(policy.max_delay)));
  return false;
}

}  // namespace sloth
