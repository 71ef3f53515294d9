#include "modules/goroutine.h"

#include "runner/goroutine/natives.h"

namespace sloth {

namespace embedded {
extern const std::string_view modules_goroutine;
extern const std::string_view modules_goroutine_meta;
}  // namespace embedded

namespace {

int runtime(lua_State* L) {
  push_runtime(L);
  return 1;
}

}  // namespace

Module goroutine_module() {
  return {.name = "goroutine",
          .natives = {{"runtime", native<runtime>}},
          .lua = embedded::modules_goroutine,
          .stub = embedded::modules_goroutine_meta};
}

}  // namespace sloth
