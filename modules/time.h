// The Lua module `time`: clocks, sleeping, and times and durations as text.
//
// Strand-confined: call only on its strand. Times are seconds since 1970 UTC with a fraction, durations
// seconds.
#pragma once

#include "runner/lua/module.h"

namespace sloth {

Module time_module();

}  // namespace sloth
