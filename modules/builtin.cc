#include "modules/builtin.h"

#include "modules/env.h"
#include "modules/exec.h"
#include "modules/fs.h"
#include "modules/goroutine.h"
#include "modules/http.h"
#include "modules/http_engine.h"
#include "modules/json.h"
#include "modules/log.h"
#include "modules/standard.h"
#include "modules/strings.h"
#include "modules/time.h"

namespace sloth {

struct Builtins::Services {
  explicit Services(Executor& executor) : http(executor) {}
  HttpEngine http;
};

Builtins::Builtins(Executor& executor) : services_(std::make_unique<Services>(executor)) {
  // `standard` comes first: it replaces print, io and os for everything after it.
  modules_ = {standard_module(), goroutine_module(), log_module(),
              exec_module(),     fs_module(),        http_module(services_->http),
              json_module(),     time_module(),      env_module(),
              strings_module()};
}

Builtins::~Builtins() = default;

}  // namespace sloth
