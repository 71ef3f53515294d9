#include "modules/http.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "modules/http_options.h"
#include "modules/http_url.h"
#include "modules/json.h"
#include "runner/base/json.h"
#include "runner/goroutine/scheduler.h"
#include "runner/lua/host.h"
#include "runner/lua/stack.h"
#include "runner/lua/vm.h"
#include "runner/os/file_tree.h"

namespace sloth {
namespace embedded {
extern const std::string_view modules_http;
extern const std::string_view modules_http_meta;
}  // namespace embedded
namespace {

constexpr const char* kResponseType = "sloth.http.response";

// How a transport failure reaches the script.
enum class Failure { kRaise, kReturn };

struct Verb {
  const char* method;
  const char* raising;  // the call's full name
  const char* returning;
};
constexpr Verb kGet{"GET", "http.get", "http.try_get"};
constexpr Verb kPost{"POST", "http.post", "http.try_post"};
constexpr Verb kPut{"PUT", "http.put", "http.try_put"};
constexpr Verb kPatch{"PATCH", "http.patch", "http.try_patch"};
constexpr Verb kDelete{"DELETE", "http.delete", "http.try_delete"};
constexpr Verb kHead{"HEAD", "http.head", "http.try_head"};
constexpr Verb kRequest{"", "http.request", "http.try_request"};
constexpr Verb kDownload{"GET", "http.download", "http.try_download"};

const char* name_of(const Verb& verb, Failure failure) {
  return failure == Failure::kRaise ? verb.raising : verb.returning;
}

std::string string_argument(lua_State* L, int arg, const char* call) {
  if (lua_type(L, arg) != LUA_TSTRING) {
    raise_argument(
        L, arg, call,
        fmt::format("string expected, got {}", lua_isnone(L, arg) ? "no value" : luaL_typename(L, arg)));
  }
  std::size_t size = 0;
  const char* text = lua_tolstring(L, arg, &size);
  return std::string(text, size);
}

void check_table(lua_State* L, int arg, const char* call) {
  if (lua_isnoneornil(L, arg) || lua_istable(L, arg)) return;
  raise_argument(L, arg, call, fmt::format("table of options expected, got {}", luaL_typename(L, arg)));
}

void set(lua_State* L, const char* name, std::string_view text) {
  push(L, text);
  lua_setfield(L, -2, name);
}

void set(lua_State* L, const char* name, double number) {
  lua_pushnumber(L, number);
  lua_setfield(L, -2, name);
}

// A header that comes several times is one text, as RFC 9110 5.3 allows; cookies, which hold commas, are
// lines.
void push_headers(lua_State* L, const HttpHeaders& headers) {
  lua_newtable(L);
  for (const auto& [name, value] : headers) {
    lua_getfield(L, -1, name.c_str());
    if (lua_isnil(L, -1)) {
      push(L, value);
    } else {
      push(L, std::string(lua_tostring(L, -1)) + (name == "set-cookie" ? "\n" : ", ") + value);
    }
    lua_setfield(L, -3, name.c_str());
    lua_pop(L, 1);
  }
}

int push_response(lua_State* L, const HttpResponse& response, const std::string& path) {
  const bool success = response.status >= 200 && response.status < 300;
  lua_createtable(L, 0, 10);
  set(L, "status", response.status);
  set(L, "status_code", response.status);
  set(L, "status_text", response.status_text);
  lua_pushboolean(L, success ? 1 : 0);
  lua_setfield(L, -2, "success");
  set(L, "body", response.body);
  set(L, "url", response.url);
  set(L, "elapsed_ms", std::chrono::duration<double, std::milli>(response.elapsed).count());
  push_headers(L, response.headers);
  lua_setfield(L, -2, "headers");
  if (response.is_saved) {
    set(L, "path", path);
    set(L, "bytes", static_cast<double>(response.saved));
  }
  luaL_getmetatable(L, kResponseType);
  lua_setmetatable(L, -2);
  return 1;
}

// Parks the goroutine until the engine answers.
int perform(lua_State* L, HttpRequest request, const char* call, Failure failure) {
  auto& engine = context_of<HttpEngine>(L);
  struct Call {
    HttpRequest request;
    HttpEngine::Ticket ticket = 0;
  };
  auto state = std::make_shared<Call>(Call{std::move(request), 0});
  return Scheduler::of(L).suspend(
      L, call,
      [&engine, state, call, failure](const Waker& waker) {
        std::string what = fmt::format("{} {}", call, without_credentials(state->request.url));
        std::string path = state->request.save_to;
        auto done = [waker, failure, what = std::move(what),
                     path = std::move(path)](Result<HttpResponse> answer) {
          if (answer) {
            waker.resolve([response = std::move(*answer), path](lua_State* to) {
              return push_response(to, response, path);
            });
          } else if (failure == Failure::kRaise) {
            waker.fail(fmt::format("{}: {}", what, answer.error().message));
          } else {
            waker.refuse(fmt::format("{}: {}", what, answer.error().message));
          }
        };
        state->ticket = engine.start(std::move(state->request), std::move(done));
      },
      [&engine, state] { engine.cancel(state->ticket); });
}

template <const Verb& kVerb, Failure kFailure>
int call_verb(lua_State* L) {
  const char* const call = name_of(kVerb, kFailure);
  HttpRequest request;
  request.method = kVerb.method;
  request.url = string_argument(L, 1, call);
  check_table(L, 2, call);
  read_http_options(L, 2, request);
  return perform(L, std::move(request), call, kFailure);
}

template <Failure kFailure>
int call_request(lua_State* L) {
  const char* const call = name_of(kRequest, kFailure);
  HttpRequest request;
  request.method = string_argument(L, 1, call);
  std::transform(request.method.begin(), request.method.end(), request.method.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
  const bool letters = request.method.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ-") == std::string::npos;
  if (!letters || request.method.empty() || request.method == "CONNECT") {
    raise_argument(L, 1, call, fmt::format("method such as \"GET\" expected, got \"{}\"", request.method));
  }
  request.url = string_argument(L, 2, call);
  check_table(L, 3, call);
  read_http_options(L, 3, request);
  return perform(L, std::move(request), call, kFailure);
}

template <Failure kFailure>
int call_download(lua_State* L) {
  constexpr Duration kStalled = std::chrono::seconds(60);
  const char* const call = name_of(kDownload, kFailure);
  HttpRequest request;
  request.url = string_argument(L, 1, call);
  const std::string path = string_argument(L, 2, call);
  if (path.empty() || path.ends_with('/')) raise_argument(L, 2, call, "path of a file expected");
  check_table(L, 3, call);
  // A large file may take its time as long as it moves.
  request.timeout = Duration{};
  request.stall_timeout = kStalled;
  read_http_options(L, 3, request);
  request.save_to = join_path(Vm::of(L).host().workdir, path);
  return perform(L, std::move(request), call, kFailure);
}

int response_type(lua_State* L) {
  luaL_newmetatable(L, kResponseType);
  return 1;
}

int response_json(lua_State* L) {
  check_type(L, 1, LUA_TTABLE);
  lua_getfield(L, 1, "body");
  if (lua_type(L, -1) != LUA_TSTRING) arg_error(L, 1, "response expected");
  std::size_t size = 0;
  const char* text = lua_tolstring(L, -1, &size);
  auto value = from_json(std::string_view(text, size));
  if (!value) return fail(L, "the body is not JSON: " + value.error().message);
  push_json(L, *value);
  return 1;
}

}  // namespace

Module http_module(HttpEngine& engine) {
  constexpr Failure kRaise = Failure::kRaise;
  constexpr Failure kReturn = Failure::kReturn;
  return Module{.name = "http",
                .natives = {{"get", native<call_verb<kGet, kRaise>>, true},
                            {"post", native<call_verb<kPost, kRaise>>, true},
                            {"put", native<call_verb<kPut, kRaise>>, true},
                            {"patch", native<call_verb<kPatch, kRaise>>, true},
                            {"delete", native<call_verb<kDelete, kRaise>>, true},
                            {"head", native<call_verb<kHead, kRaise>>, true},
                            {"request", native<call_request<kRaise>>, true},
                            {"download", native<call_download<kRaise>>, true},
                            {"try_get", native<call_verb<kGet, kReturn>>, true},
                            {"try_post", native<call_verb<kPost, kReturn>>, true},
                            {"try_put", native<call_verb<kPut, kReturn>>, true},
                            {"try_patch", native<call_verb<kPatch, kReturn>>, true},
                            {"try_delete", native<call_verb<kDelete, kReturn>>, true},
                            {"try_head", native<call_verb<kHead, kReturn>>, true},
                            {"try_request", native<call_request<kReturn>>, true},
                            {"try_download", native<call_download<kReturn>>, true},
                            {"response_type", native<response_type>},
                            {"response_json", native<response_json>}},
                .lua = embedded::modules_http,
                .context = &engine,
                .stub = embedded::modules_http_meta};
}

}  // namespace sloth
