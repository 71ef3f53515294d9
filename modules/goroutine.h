// The `goroutine` module: public names and argument rules over runner/goroutine.
//
// Thread-safe: makes plain data.
#pragma once

#include "runner/lua/module.h"

namespace sloth {

Module goroutine_module();

}  // namespace sloth
