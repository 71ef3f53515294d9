#include "runner/lua/prelude.h"

#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "runner/base/nearest.h"
#include "runner/lua/module.h"
#include "runner/lua/stack.h"
#include "runner/lua/vm.h"

namespace sloth {
namespace {

constexpr std::size_t kLargestSource = 8u << 20;
const char kLoaded[] = "sloth.loaded";
const char kTravelled[] = "sloth.travelled";
const char kDirectories[] = "sloth.directories";  // chunk name -> directory of its file

std::string directory_part(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

bool is_file(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

std::string resolve(const Host& host, std::string_view path) {
  return path.starts_with('/') ? std::string(path) : host.workdir + "/" + std::string(path);
}

// compile(text, name) -> function | nil, message
int compile(lua_State* L) {
  const std::string text(check_string(L, 1));
  std::string name(check_string(L, 2));
  // Chunks without a file show their text, as in plain Lua.
  if (!name.starts_with('=') && !name.starts_with('@')) name = name.substr(0, 200);
  auto loaded = Vm::of(L).load(L, name, text);
  return loaded ? 1 : fail(L, loaded.error().message);
}

// load_file(path, shown) -> function | nil, message
int load_file(lua_State* L) {
  const std::string path(check_string(L, 1));
  const std::string shown(check_string(L, 2));
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return fail(L, shown + ": no such file");
  if (!S_ISREG(info.st_mode)) return fail(L, shown + ": is not a regular file");
  if (static_cast<std::size_t>(info.st_size) > kLargestSource) return fail(L, shown + ": larger than 8 MiB");
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  if (!in) return fail(L, shown + ": cannot be read");
  std::string source = std::move(text).str();
  if (source.starts_with("\xef\xbb\xbf")) source.erase(0, 3);
  if (source.starts_with('#')) source.insert(0, "--");
  lua_getfield(L, LUA_REGISTRYINDEX, kDirectories);
  push(L, "@" + shown);
  push(L, directory_part(path));
  lua_rawset(L, -3);
  lua_pop(L, 1);
  auto loaded = Vm::of(L).load(L, "@" + shown, source);
  return loaded ? 1 : fail(L, loaded.error().message);
}

// The directory of the file whose code called require or import; the task file's own when it is none.
std::string caller_directory(lua_State* L) {
  lua_Debug frame;
  lua_getfield(L, LUA_REGISTRYINDEX, kDirectories);
  for (int level = 0; lua_getstack(L, level, &frame) != 0; ++level) {
    lua_getinfo(L, "S", &frame);
    if (frame.source[0] != '@') continue;
    lua_getfield(L, -1, frame.source);
    std::string directory = lua_isstring(L, -1) != 0 ? lua_tostring(L, -1) : Vm::of(L).host().file_directory;
    lua_pop(L, 2);
    return directory;
  }
  lua_pop(L, 1);
  return Vm::of(L).host().file_directory;
}

// How a file under the task file's directory is shown: relative to it.
std::string shown_path(const Host& host, const std::string& path) {
  const std::string prefix = host.file_directory + "/";
  return path.starts_with(prefix) ? path.substr(prefix.size()) : path;
}

// Looks for base + suffix in the caller's directory, then in the task file's: path, shown | nil, nil, tried
int find(lua_State* L, const std::string& base, std::initializer_list<const char*> suffixes) {
  const Host& host = Vm::of(L).host();
  std::vector<std::string> places;
  if (base.starts_with('/')) {
    places.emplace_back("");
  } else {
    places.push_back(caller_directory(L) + "/");
    if (places.front() != host.file_directory + "/") places.push_back(host.file_directory + "/");
  }
  std::string tried;
  for (const std::string& place : places) {
    for (const char* suffix : suffixes) {
      const std::string path = place + base + suffix;
      if (is_file(path)) {
        push(L, path);
        push(L, shown_path(host, path));
        return 2;
      }
      tried += (tried.empty() ? "" : ", ") + shown_path(host, path);
    }
  }
  lua_pushnil(L);
  lua_pushnil(L);
  push(L, tried);
  return 3;
}

int find_module(lua_State* L) {
  std::string base(check_string(L, 1));
  std::replace(base.begin(), base.end(), '.', '/');
  return find(L, base, {".lua", ".sloth", "/init.lua"});
}

int find_file(lua_State* L) { return find(L, std::string(check_string(L, 1)), {"", ".lua", ".sloth"}); }

int nearest_module(lua_State* L) {
  std::vector<std::string> names;
  push_loaded(L);
  for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) {
    if (lua_type(L, -2) == LUA_TSTRING) names.emplace_back(lua_tostring(L, -2));
  }
  for (std::string& name : Vm::of(L).deferred_names()) names.push_back(std::move(name));
  push(L, did_you_mean(check_string(L, 1), names));
  return 1;
}

int resolve_path(lua_State* L) {
  push(L, resolve(Vm::of(L).host(), check_string(L, 1)));
  return 1;
}

// positioned(error, plain) -> error
int positioned(lua_State* L) {
  const bool plain = lua_toboolean(L, 2) != 0;
  lua_settop(L, 1);
  if (plain || lua_type(L, 1) != LUA_TSTRING) return 1;
  const std::string place = where(L);
  if (place.empty()) return 1;
  push(L, place + ": " + std::string(check_string(L, 1)));
  return 1;
}

int load_all(lua_State* L) {
  Vm::of(L).load_all(L);
  return 0;
}

int may_read(lua_State* L) {
  lua_pushboolean(L, Vm::of(L).host().may_read_sources ? 1 : 0);
  return 1;
}

int travelled(lua_State* L) {
  push_travelled_modules(L);
  lua_pushvalue(L, 1);
  lua_rawget(L, -2);
  return 1;
}

}  // namespace

void* park_mark() {
  static char mark;
  return &mark;
}

void push_loaded(lua_State* L) { lua_getfield(L, LUA_REGISTRYINDEX, kLoaded); }

void keep_loaded(lua_State* L) { lua_setfield(L, LUA_REGISTRYINDEX, kLoaded); }

void push_travelled_modules(lua_State* L) {
  lua_getfield(L, LUA_REGISTRYINDEX, kTravelled);
  if (!lua_isnil(L, -1)) return;
  lua_pop(L, 1);
  lua_newtable(L);
  lua_pushvalue(L, -1);
  lua_setfield(L, LUA_REGISTRYINDEX, kTravelled);
}

void push_prelude_natives(lua_State* L) {
  lua_newtable(L);
  lua_setfield(L, LUA_REGISTRYINDEX, kDirectories);
  constexpr Native kNatives[] = {
      {"compile", native<compile>},
      {"load_file", native<load_file>},
      {"find_module", native<find_module>},
      {"find_file", native<find_file>},
      {"nearest_module", native<nearest_module>},
      {"resolve", native<resolve_path>},
      {"may_read", native<may_read>},
      {"travelled", native<travelled>},
      {"positioned", native<positioned>},
      {"load_all", native<load_all>},
  };
  lua_newtable(L);
  for (const Native& entry : kNatives) {
    lua_pushcfunction(L, entry.function);
    lua_setfield(L, -2, entry.name);
  }
  lua_pushlightuserdata(L, park_mark());
  lua_setfield(L, -2, "park");
}

}  // namespace sloth
