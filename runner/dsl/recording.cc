#include "runner/dsl/recording.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <tuple>
#include <utility>

#include "runner/base/check.h"
#include "runner/base/value.h"
#include "runner/dsl/names.h"
#include "runner/dsl/vocabulary.h"
#include "runner/lua/module.h"
#include "runner/lua/stack.h"

namespace sloth {

namespace embedded {
extern const std::string_view runner_dsl_dsl;
}

namespace {

int native_place(lua_State* L) {
  push(L, where(L));
  return 1;
}

int native_raise(lua_State* L) { raise(L, std::string(check_string(L, 1))); }

void push_words(lua_State* L, const Vocabulary& vocabulary) {
  lua_newtable(L);
  for (const Word& word : vocabulary.available()) {
    push(L, word.name);
    lua_pushboolean(L, 1);
    lua_rawset(L, -3);
  }
}

// A field of the table on top; "" when it is no string.
std::string text_field(lua_State* L, const char* name) {
  push(L, name);
  lua_rawget(L, -2);
  std::string text = lua_type(L, -1) == LUA_TSTRING ? string_at(L, -1) : "";
  lua_pop(L, 1);
  return text;
}

int number_of(lua_State* L, const char* name) {
  push(L, name);
  lua_rawget(L, -2);
  const auto number = static_cast<int>(lua_tointeger(L, -1));
  lua_pop(L, 1);
  return number;
}

bool flag(lua_State* L, const char* name) {
  push(L, name);
  lua_rawget(L, -2);
  const bool set = lua_toboolean(L, -1) != 0;
  lua_pop(L, 1);
  return set;
}

// As dsl.lua names them.
Setting::Issue issue_named(const std::string& name) {
  using Issue = Setting::Issue;
  static const std::map<std::string, Issue> kIssues = {
      {"", Issue::kNone},
      {"late", Issue::kLate},
      {"twice", Issue::kTwice},
      {"arguments", Issue::kArguments},
      {"dot", Issue::kDot},
      {"unknown", Issue::kUnknown},
      {"no field", Issue::kNoField},
      {"assigned", Issue::kAssigned},
      {"no table", Issue::kNoTable},
      {"metatable", Issue::kMetatable},
      {"extra", Issue::kExtra},
      {"call", Issue::kCall},
      {"no function", Issue::kNoFunction},
  };
  const auto found = kIssues.find(name);
  SLOTH_CHECK(found != kIssues.end());
  return found->second;
}

// A key of a `tasks` table, on top of the stack.
Member member_with_key(lua_State* L) {
  Member member;
  const double number = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : 0;
  if (number >= 1 && number <= Recording::kMostTasks && number == static_cast<int>(number)) {
    member.index = static_cast<int>(number);
  } else {
    member.key = lua_type(L, -1) == LUA_TSTRING ? string_at(L, -1) : shown(L, -1);
  }
  return member;
}

// Of the entry on top: list elements by index, then keyed ones by key; holes of the list are members too.
std::vector<Member> read_members(lua_State* L) {
  std::vector<Member> members;
  lua_pushliteral(L, "members");
  lua_rawget(L, -2);
  const auto count = static_cast<int>(lua_objlen(L, -1));
  for (int i = 1; i <= count; ++i) {
    lua_rawgeti(L, -1, i);
    lua_pushliteral(L, "key");
    lua_rawget(L, -2);
    Member member = member_with_key(L);
    lua_pop(L, 1);
    member.record = number_of(L, "record");
    if (member.record == 0) {
      lua_pushliteral(L, "value");
      lua_rawget(L, -2);
      member.element = shown(L, -1);
      lua_pop(L, 1);
    }
    members.push_back(std::move(member));
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  const auto in_list = [](const Member& member) { return member.index > 0; };
  std::sort(members.begin(), members.end(), [&](const Member& a, const Member& b) {
    if (in_list(a) != in_list(b)) return in_list(a);
    return std::tie(a.index, a.key) < std::tie(b.index, b.key);
  });
  return members;
}

}  // namespace

std::string string_at(lua_State* L, int index) {
  std::size_t size = 0;
  const char* text = lua_tolstring(L, index, &size);
  return {text, size};
}

std::string shown(lua_State* L, int index) {
  switch (lua_type(L, index)) {
    case LUA_TNIL: return "nil";
    case LUA_TBOOLEAN: return lua_toboolean(L, index) != 0 ? "true" : "false";
    case LUA_TNUMBER: return number_text(lua_tonumber(L, index));
    case LUA_TSTRING: return "\"" + printable(string_at(L, index), 60) + "\"";
    default: return fmt::format("a {}", luaL_typename(L, index));
  }
}

Place place_from(std::string_view text) {
  Place place;
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) {
    place.file = text;
    return place;
  }
  std::from_chars(text.data() + colon + 1, text.data() + text.size(), place.line);
  place.file = text.substr(0, colon);
  return place;
}

Recording::Recording(Vm& vm) : vm_(vm) {
  lua_State* L = vm.state();
  lua_newtable(L);
  lua_pushcfunction(L, native<native_place>);
  lua_setfield(L, -2, "place");
  lua_pushcfunction(L, native<native_raise>);
  lua_setfield(L, -2, "raise");
  lua_pushinteger(L, kMostTasks);
  lua_setfield(L, -2, "most_tasks");
  lua_newtable(L);
  push_words(L, Vocabulary::of_tasks());
  lua_setfield(L, -2, "task");
  push_words(L, Vocabulary::of_workflows());
  lua_setfield(L, -2, "workflow");
  lua_setfield(L, -2, "known");
  vm.run_embedded(vm.state(), "dsl", embedded::runner_dsl_dsl, 1, 1);
  parts_ = luaL_ref(L, LUA_REGISTRYINDEX);
}

void Recording::push_part(lua_State* L, const char* name) const {
  lua_rawgeti(L, LUA_REGISTRYINDEX, parts_);
  lua_getfield(L, -1, name);
  lua_remove(L, -2);
}

Result<void> Recording::close(lua_State* L) {
  lua_checkstack(L, 8);
  Result<void> result;
  lua_pushliteral(L, "TaskDefinitions");
  lua_rawget(L, LUA_GLOBALSINDEX);
  if (lua_istable(L, -1)) {
    push_part(L, "add_definitions");
    lua_pushvalue(L, -2);
    if (lua_pcall(L, 1, 0, 0) != 0) {
      result = Error{Code::kInvalid, string_at(L, -1)};
      lua_pop(L, 1);
    }
  } else if (!lua_isnil(L, -1)) {
    result = Error{Code::kInvalid, "TaskDefinitions: expected a table of groups, got " + shown(L, -1)};
  }
  lua_pop(L, 1);
  push_part(L, "close");
  SLOTH_CHECK(lua_pcall(L, 0, 0, 0) == 0);
  return result;
}

Setting Recording::read_entry(lua_State* L) const {
  Setting setting;
  lua_pushliteral(L, "key");
  lua_rawget(L, -2);
  setting.key_is_text = lua_type(L, -1) == LUA_TSTRING;
  setting.key = setting.key_is_text ? string_at(L, -1) : shown(L, -1);
  lua_pop(L, 1);
  setting.place = place_from(text_field(L, "place"));
  setting.issue = issue_named(text_field(L, "issue"));
  setting.count = number_of(L, "n");
  if (setting.key == "tasks" && flag(L, "members")) setting.members = read_members(L);
  return setting;
}

Record Recording::read_record(lua_State* L) const {
  Record record;
  record.number = number_of(L, "number");
  record.kind = text_field(L, "kind") == "task" ? Record::Kind::kTask : Record::Kind::kWorkflow;
  record.place = place_from(text_field(L, "place"));
  record.table_form = text_field(L, "form") == "table";
  record.inner = flag(L, "inner");
  record.definition = flag(L, "definition");
  record.built = flag(L, "built");
  lua_pushliteral(L, "name");
  lua_rawget(L, -2);
  record.has_name = lua_type(L, -1) == LUA_TSTRING;
  if (record.has_name) record.name = string_at(L, -1);
  record.name_shown = shown(L, -1);
  lua_pop(L, 1);

  lua_pushliteral(L, "entries");
  lua_rawget(L, -2);
  const auto count = static_cast<int>(lua_objlen(L, -1));
  for (int i = 1; i <= count; ++i) {
    lua_rawgeti(L, -1, i);
    record.settings.push_back(read_entry(L));
    record.settings.back().record = record.number;
    record.settings.back().entry = i;
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  if (record.table_form) {
    std::stable_sort(record.settings.begin(), record.settings.end(),
                     [](const Setting& a, const Setting& b) { return a.key < b.key; });
  }
  return record;
}

std::vector<Record> Recording::read(lua_State* L) const {
  lua_checkstack(L, 16);
  std::vector<Record> records;
  push_part(L, "records");
  const auto count = static_cast<int>(lua_objlen(L, -1));
  records.reserve(static_cast<std::size_t>(count));
  for (int i = 1; i <= count; ++i) {
    lua_rawgeti(L, -1, i);
    records.push_back(read_record(L));
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return records;
}

void Recording::push_argument(lua_State* L, const Setting& setting, int n) const {
  lua_checkstack(L, 8);
  push_part(L, "records");
  lua_rawgeti(L, -1, setting.record);
  lua_getfield(L, -1, "entries");
  lua_rawgeti(L, -1, setting.entry);
  lua_rawgeti(L, -1, n);
  lua_replace(L, -5);
  lua_pop(L, 3);
}

int Recording::task_at(lua_State* L, int index) const {
  if (!lua_istable(L, index)) return 0;
  lua_checkstack(L, 4);
  lua_pushvalue(L, index);
  push_part(L, "record_of");
  lua_insert(L, -2);
  lua_rawget(L, -2);
  int number = 0;
  if (lua_istable(L, -1) && text_field(L, "kind") == "task") number = number_of(L, "number");
  lua_pop(L, 2);
  return number;
}

}  // namespace sloth
