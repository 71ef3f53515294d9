#include "modules/fs.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runner/goroutine/scheduler.h"
#include "runner/lua/stack.h"
#include "runner/lua/value_codec.h"
#include "runner/lua/vm.h"
#include "runner/os/file_tree.h"

namespace sloth {

namespace embedded {
extern const std::string_view modules_fs_meta;
}  // namespace embedded

namespace {

constexpr double kReadLimit = 256.0 * 1024 * 1024;

// Not luaL_check...: the wrapper of a waiting native would be named instead of the user's call.
std::string check_text(lua_State* L, int arg, const char* call) {
  if (lua_type(L, arg) != LUA_TSTRING) {
    raise(L, fmt::format("bad argument #{} to 'fs.{}' (string expected, got {})", arg, call,
                         lua_isnone(L, arg) ? "no value" : luaL_typename(L, arg)));
  }
  std::size_t size = 0;
  const char* text = lua_tolstring(L, arg, &size);
  return {text, size};
}

std::string check_path(lua_State* L, int arg, const char* call) {
  const std::string path = check_text(L, arg, call);
  if (path.empty()) raise(L, fmt::format("bad argument #{} to 'fs.{}' (the path is empty)", arg, call));
  return join_path(Vm::of(L).host().workdir, path);
}

std::string opt_path(lua_State* L, int arg, const char* call) {
  return lua_isnoneornil(L, arg) ? Vm::of(L).host().workdir : check_path(L, arg, call);
}

Push give(Value value) {
  return [value = std::make_shared<Value>(std::move(value))](lua_State* L) {
    push_value(L, *value);
    return 1;
  };
}

Push give_failure(std::string message) {
  return [message = std::move(message)](lua_State* L) { return fail(L, message); };
}

Push give(const Result<void>& result) {
  return result ? give(Value(true)) : give_failure(result.error().message);
}

Push give(Result<std::string> result) {
  return result ? give(Value(std::move(*result))) : give_failure(result.error().message);
}

Push give(Result<std::vector<std::string>> result) {
  if (!result) return give_failure(result.error().message);
  return [names = std::make_shared<std::vector<std::string>>(std::move(*result))](lua_State* L) {
    lua_createtable(L, static_cast<int>(names->size()), 0);
    int index = 0;
    for (const std::string& name : *names) {
      push(L, name);
      lua_rawseti(L, -2, ++index);
    }
    return 1;
  };
}

int on_lane(lua_State* L, const char* what, UniqueFunction<Push()> work) {
  return Scheduler::of(L).offload(L, what, std::move(work));
}

int fs_read(lua_State* L) {
  auto path = check_path(L, 1, "read");
  double limit = kReadLimit;
  if (!lua_isnoneornil(L, 2)) {
    if (!lua_istable(L, 2))
      raise(L, fmt::format("bad argument #2 to 'fs.read' (table expected, got {})", luaL_typename(L, 2)));
    check_options(L, 2, {"limit"});
    limit = number_field(L, 2, "limit").value_or(limit);
    if (!(limit >= 0 && limit <= 1e15)) raise(L, "bad option \"limit\" (a number of bytes expected)");
  }
  return on_lane(L, "fs.read", [path = std::move(path), limit] {
    return give(read_file(path, static_cast<std::uint64_t>(limit)));
  });
}

int fs_write(lua_State* L) {
  auto path = check_path(L, 1, "write");
  auto data = check_text(L, 2, "write");
  return on_lane(L, "fs.write",
                 [path = std::move(path), data = std::move(data)] { return give(write_file(path, data)); });
}

int fs_append(lua_State* L) {
  auto path = check_path(L, 1, "append");
  auto data = check_text(L, 2, "append");
  return on_lane(L, "fs.append",
                 [path = std::move(path), data = std::move(data)] { return give(append_file(path, data)); });
}

// Through links, as everybody asks it; a link that leads nowhere does not exist.
int ask_kind(lua_State* L, const char* call, const char* what, mode_t kind) {
  auto path = check_path(L, 1, call);
  return on_lane(L, what, [path = std::move(path), kind] {
    struct stat info {};
    const bool there = ::stat(path.c_str(), &info) == 0;
    return give(Value(there && (kind == 0 || (info.st_mode & S_IFMT) == kind)));
  });
}

int fs_exists(lua_State* L) { return ask_kind(L, "exists", "fs.exists", 0); }
int fs_is_file(lua_State* L) { return ask_kind(L, "is_file", "fs.is_file", S_IFREG); }
int fs_is_dir(lua_State* L) { return ask_kind(L, "is_dir", "fs.is_dir", S_IFDIR); }

int fs_mkdir(lua_State* L) {
  auto path = check_path(L, 1, "mkdir");
  return on_lane(L, "fs.mkdir", [path = std::move(path)] { return give(make_directory(path)); });
}

int fs_rm(lua_State* L) {
  auto path = check_path(L, 1, "rm");
  return on_lane(L, "fs.rm", [path = std::move(path)] { return give(remove_path(path, false)); });
}

int fs_rm_r(lua_State* L) {
  auto path = check_path(L, 1, "rm_r");
  const std::string workdir = Vm::of(L).host().workdir;
  return on_lane(L, "fs.rm_r", [path = std::move(path), workdir]() -> Push {
    // "rm_r(dir .. sub)" with both empty, or one ".." too many, is a mistake that nothing could bring back.
    if (path == "/" || (workdir + "/").starts_with(path + "/")) {
      return give_failure(fmt::format("refusing to remove \"{}\": it holds the working directory", path));
    }
    auto removed = remove_path(path, true);
    return !removed && removed.error().code == Code::kNotFound ? give(Value(true)) : give(removed);
  });
}

int fs_ls(lua_State* L) {
  auto path = opt_path(L, 1, "ls");
  return on_lane(L, "fs.ls", [path = std::move(path)] { return give(list_directory(path)); });
}

int fs_glob(lua_State* L) {
  auto pattern = check_text(L, 1, "glob");
  auto base = opt_path(L, 2, "glob");
  return on_lane(L, "fs.glob", [pattern = std::move(pattern), base = std::move(base)] {
    return give(glob(pattern, base));
  });
}

int fs_copy(lua_State* L) {
  auto from = check_path(L, 1, "copy");
  auto to = check_path(L, 2, "copy");
  return on_lane(L, "fs.copy",
                 [from = std::move(from), to = std::move(to)] { return give(copy_file(from, to)); });
}

int fs_move(lua_State* L) {
  auto from = check_path(L, 1, "move");
  auto to = check_path(L, 2, "move");
  return on_lane(L, "fs.move",
                 [from = std::move(from), to = std::move(to)] { return give(rename_path(from, to)); });
}

int fs_size(lua_State* L) {
  auto path = check_path(L, 1, "size");
  return on_lane(L, "fs.size", [path = std::move(path)]() -> Push {
    struct stat info {};
    if (::stat(path.c_str(), &info) == 0) return give(Value(static_cast<double>(info.st_size)));
    return give_failure(fmt::format("cannot look at \"{}\": {}", path, std::strerror(errno)));
  });
}

const char* kind_text(FileInfo::Kind kind) {
  switch (kind) {
    case FileInfo::Kind::kFile: return "file";
    case FileInfo::Kind::kDirectory: return "directory";
    case FileInfo::Kind::kLink: return "link";
    default: return "other";
  }
}

int fs_stat(lua_State* L) {
  auto path = check_path(L, 1, "stat");
  return on_lane(L, "fs.stat", [path = std::move(path)]() -> Push {
    const auto info = stat_file(path);
    if (!info) return give_failure(info.error().message);
    return give(Value(Value::Map{{"type", kind_text(info->kind)},
                                 {"size", static_cast<double>(info->size)},
                                 {"mode", fmt::format("{:03o}", info->mode & 07777U)},
                                 {"mtime", static_cast<double>(info->mtime_ms) / 1000.0}}));
  });
}

// 755 written as a number means octal to everybody who writes it.
mode_t check_mode(lua_State* L, int arg) {
  const std::string text =
      lua_type(L, arg) == LUA_TNUMBER ? number_text(lua_tonumber(L, arg)) : check_text(L, arg, "chmod");
  if (text.empty() || text.size() > 4 || text.find_first_not_of("01234567") != std::string::npos) {
    raise(L, fmt::format(
                 "bad argument #{} to 'fs.chmod' (octal permissions such as \"644\" expected, got \"{}\")",
                 arg, text));
  }
  return static_cast<mode_t>(std::stoul(text, nullptr, 8));
}

int fs_chmod(lua_State* L) {
  auto path = check_path(L, 1, "chmod");
  const mode_t mode = check_mode(L, 2);
  return on_lane(L, "fs.chmod", [path = std::move(path), mode]() -> Push {
    if (::chmod(path.c_str(), mode) == 0) return give(Value(true));
    return give_failure(fmt::format("cannot change the mode of \"{}\": {}", path, std::strerror(errno)));
  });
}

std::string temp_prefix(lua_State* L, const char* call) {
  std::string prefix = lua_isnoneornil(L, 1) ? "sloth-" : check_text(L, 1, call);
  if (prefix.find('/') != std::string::npos) {
    raise(L, fmt::format("bad argument #1 to 'fs.{}' (a prefix of a name expected, not a path)", call));
  }
  return prefix;
}

int fs_tmpdir(lua_State* L) {
  auto prefix = temp_prefix(L, "tmpdir");
  return on_lane(L, "fs.tmpdir", [prefix = std::move(prefix)] { return give(make_temp_directory(prefix)); });
}

// A name that was free: made and removed again, as the name alone is asked for.
int fs_tmpname(lua_State* L) {
  auto prefix = temp_prefix(L, "tmpname");
  return on_lane(L, "fs.tmpname", [prefix = std::move(prefix)] {
    auto path = make_temp_directory(prefix);
    if (path) {
      if (auto removed = remove_path(*path, false); !removed)
        return give(Result<std::string>(removed.error()));
    }
    return give(std::move(path));
  });
}

int fs_basename(lua_State* L) {
  push(L, name_of(check_text(L, 1, "basename")));
  return 1;
}

int fs_dirname(lua_State* L) {
  push(L, directory_of(check_text(L, 1, "dirname")));
  return 1;
}

int fs_join(lua_State* L) {
  std::string path = check_text(L, 1, "join");
  for (int i = 2; i <= lua_gettop(L); ++i) path = join_path(path, check_text(L, i, "join"));
  push(L, normal_path(path));
  return 1;
}

int fs_abs(lua_State* L) {
  push(L, check_path(L, 1, "abs"));
  return 1;
}

}  // namespace

Module fs_module() {
  return Module{.name = "fs",
                .natives = {{"read", native<fs_read>, true},
                            {"write", native<fs_write>, true},
                            {"append", native<fs_append>, true},
                            {"exists", native<fs_exists>, true},
                            {"is_file", native<fs_is_file>, true},
                            {"is_dir", native<fs_is_dir>, true},
                            {"mkdir", native<fs_mkdir>, true},
                            {"rm", native<fs_rm>, true},
                            {"rm_r", native<fs_rm_r>, true},
                            {"rmr", native<fs_rm_r>, true},
                            {"ls", native<fs_ls>, true},
                            {"glob", native<fs_glob>, true},
                            {"copy", native<fs_copy>, true},
                            {"move", native<fs_move>, true},
                            {"rename", native<fs_move>, true},
                            {"size", native<fs_size>, true},
                            {"stat", native<fs_stat>, true},
                            {"chmod", native<fs_chmod>, true},
                            {"tmpdir", native<fs_tmpdir>, true},
                            {"tmpname", native<fs_tmpname>, true},
                            {"basename", native<fs_basename>},
                            {"dirname", native<fs_dirname>},
                            {"join", native<fs_join>},
                            {"abs", native<fs_abs>}},
                .stub = embedded::modules_fs_meta};
}

}  // namespace sloth
