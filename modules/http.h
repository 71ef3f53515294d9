// The Lua module `http`: arguments to requests, responses to tables; the work is HttpEngine's.
//
// Immutable after start-up: thread-safe. The natives are strand-confined and park only their goroutine.
#pragma once

#include "modules/http_engine.h"
#include "runner/lua/module.h"

namespace sloth {

// `engine` outlives every VM the module is installed in.
Module http_module(HttpEngine& engine);

}  // namespace sloth
