#include "modules/http_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include "modules/http_url.h"
#include "modules/json.h"
#include "runner/base/duration.h"
#include "runner/base/value.h"
#include "runner/lua/host.h"
#include "runner/lua/stack.h"
#include "runner/lua/vm.h"
#include "runner/os/file_tree.h"

namespace sloth {
namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

[[noreturn]] void bad_option(lua_State* L, const char* name, const std::string& why) {
  raise(L, fmt::format("bad option \"{}\" ({})", name, why));
}

// A string, number or (where allowed) boolean on top of the stack as text.
std::string scalar_text(lua_State* L, const char* option, const std::string& key, bool booleans) {
  switch (lua_type(L, -1)) {
    case LUA_TSTRING: {
      std::size_t size = 0;
      const char* text = lua_tolstring(L, -1, &size);
      return std::string(text, size);
    }
    case LUA_TNUMBER: return number_text(lua_tonumber(L, -1));
    case LUA_TBOOLEAN:
      if (booleans) return lua_toboolean(L, -1) != 0 ? "true" : "false";
      break;
    default: break;
  }
  bad_option(L, option, fmt::format("the value of \"{}\" is a {}", key, luaL_typename(L, -1)));
}

// name -> value or list of values, sorted by name so that requests are the same each time.
std::optional<Fields> fields_option(lua_State* L, int table, const char* option, bool booleans) {
  lua_getfield(L, table, option);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    return std::nullopt;
  }
  if (!lua_istable(L, -1)) bad_option(L, option, fmt::format("table expected, got {}", luaL_typename(L, -1)));
  std::map<std::string, std::vector<std::string>> sorted;
  for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING) bad_option(L, option, "names are strings, as in { name = value }");
    const std::string key = lua_tostring(L, -2);
    auto& values = sorted[key];
    if (!lua_istable(L, -1)) {
      values.push_back(scalar_text(L, option, key, booleans));
      continue;
    }
    for (int i = 1; i <= static_cast<int>(lua_objlen(L, -1)); ++i) {
      lua_rawgeti(L, -1, i);
      values.push_back(scalar_text(L, option, key, booleans));
      lua_pop(L, 1);
    }
  }
  lua_pop(L, 1);
  Fields fields;
  for (auto& [key, values] : sorted) {
    for (std::string& value : values) fields.emplace_back(key, std::move(value));
  }
  return fields;
}

bool is_token(std::string_view text) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           kMarks.find(c) != std::string_view::npos;
  });
}

void read_headers(lua_State* L, int table, HttpRequest& request) {
  auto headers = fields_option(L, table, "headers", false);
  if (!headers) return;
  for (const auto& [name, value] : *headers) {
    if (!is_token(name)) bad_option(L, "headers", fmt::format("\"{}\" is no header name", name));
    // A line break would let a value add headers of its own.
    if (value.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos) {
      bad_option(L, "headers", fmt::format("the value of \"{}\" holds a line break or zero byte", name));
    }
  }
  request.headers = std::move(*headers);
}

void set_content_type(HttpRequest& request, const char* type) {
  for (const auto& [name, value] : request.headers) {
    if (name.size() == 12 && strncasecmp(name.c_str(), "content-type", 12) == 0) return;
  }
  request.headers.emplace_back("Content-Type", type);
}

void read_body(lua_State* L, int table, HttpRequest& request) {
  request.body = string_field(L, table, "body");
  if (const auto form = fields_option(L, table, "form", true)) {
    if (request.body) bad_option(L, "form", "there is a \"body\" already");
    request.body = encode_form(*form);
    set_content_type(request, "application/x-www-form-urlencoded");
  }
  lua_getfield(L, table, "json");
  if (!lua_isnil(L, -1)) {
    if (request.body) bad_option(L, "json", "there is a \"body\" or \"form\" already");
    auto text = encode_json(L, -1, "json");
    if (!text) bad_option(L, "json", text.error().message);
    request.body = std::move(*text);
    set_content_type(request, "application/json");
  }
  lua_pop(L, 1);
}

// Seconds or a text like "1m30s".
void read_duration(lua_State* L, int table, const char* option, Duration& result) {
  lua_getfield(L, table, option);
  std::optional<Result<Duration>> read;
  if (lua_type(L, -1) == LUA_TSTRING) {
    read = parse_duration(lua_tostring(L, -1));
  } else if (lua_type(L, -1) == LUA_TNUMBER) {
    read = duration_from_seconds(lua_tonumber(L, -1));
  } else if (!lua_isnil(L, -1)) {
    bad_option(L, option, fmt::format("number of seconds or text expected, got {}", luaL_typename(L, -1)));
  }
  lua_pop(L, 1);
  if (!read) return;
  if (!*read) bad_option(L, option, read->error().message);
  result = **read;
}

std::optional<long long> whole_option(lua_State* L, int table, const char* option, double low, double high) {
  const auto number = number_field(L, table, option);
  if (!number) return std::nullopt;
  if (!(*number >= low && *number <= high) || std::nearbyint(*number) != *number) {
    bad_option(L, option,
               fmt::format("whole number from {:.0f} to {:.0f} expected, got {}", low, high, *number));
  }
  return static_cast<long long>(*number);
}

void read_redirects(lua_State* L, int table, HttpRequest& request) {
  lua_getfield(L, table, "follow_redirects");
  const bool is_boolean = lua_isboolean(L, -1);
  const bool follow = lua_toboolean(L, -1) != 0;
  lua_pop(L, 1);
  if (is_boolean) {
    if (!follow) request.max_redirects = 0;
  } else if (const auto most = whole_option(L, table, "follow_redirects", 0, 100)) {
    request.max_redirects = static_cast<int>(*most);
  }
}

std::string environment_of(const Host& host, std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) {
    for (const auto& [key, value] : host.environment) {
      if (key == name && !value.empty()) return value;
    }
  }
  return "";
}

void read_proxy(lua_State* L, int table, HttpRequest& request) {
  const auto proxy = string_field(L, table, "proxy");
  if (!proxy) return;
  if (!proxy->empty()) {
    if (auto address = proxy_address(*proxy); !address) bad_option(L, "proxy", address.error().message);
  }
  request.proxies = HttpProxies{*proxy, *proxy, ""};
}

}  // namespace

void raise_argument(lua_State* L, int arg, const std::string& call, const std::string& why) {
  raise(L, fmt::format("bad argument #{} to '{}' ({})", arg, call, why));
}

void read_http_options(lua_State* L, int index, HttpRequest& request) {
  const Host& host = Vm::of(L).host();
  // HTTP_PROXY in capitals is not read: a CGI script's environment has it from a request header.
  request.proxies =
      HttpProxies{environment_of(host, {"http_proxy", "all_proxy", "ALL_PROXY"}),
                  environment_of(host, {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"}),
                  environment_of(host, {"no_proxy", "NO_PROXY"})};
  request.ca_file = environment_of(host, {"SSL_CERT_FILE"});
  if (lua_isnoneornil(L, index)) return;
  check_options(L, index,
                {"headers", "query", "body", "json", "form", "timeout", "connect_timeout", "retries",
                 "follow_redirects", "verify", "ca_file", "proxy", "http2", "user", "password", "max_body"});
  read_headers(L, index, request);
  if (const auto query = fields_option(L, index, "query", true)) {
    request.url = with_query(request.url, encode_form(*query));
  }
  read_body(L, index, request);
  read_duration(L, index, "timeout", request.timeout);
  read_duration(L, index, "connect_timeout", request.connect_timeout);
  if (const auto retries = whole_option(L, index, "retries", 0, 100))
    request.retries = static_cast<int>(*retries);
  read_redirects(L, index, request);
  request.verify = boolean_field(L, index, "verify").value_or(true);
  if (const auto file = string_field(L, index, "ca_file")) request.ca_file = join_path(host.workdir, *file);
  read_proxy(L, index, request);
  request.http2 = boolean_field(L, index, "http2").value_or(true);
  request.user = string_field(L, index, "user").value_or("");
  request.password = string_field(L, index, "password").value_or("");
  if (const auto most = whole_option(L, index, "max_body", 0, 1e15)) {
    request.max_body = static_cast<std::uint64_t>(*most);
  }
}

}  // namespace sloth
