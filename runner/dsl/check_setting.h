// check_setting: whether something said about a task or workflow is a word of the language, said in the right
// way.
//
// Thread-safe: a pure function but for what it adds to its arguments.
#pragma once

#include <map>
#include <string>

#include "runner/dsl/declarations.h"
#include "runner/dsl/problems.h"
#include "runner/dsl/recording.h"

namespace sloth {

// The words said so far about one record, and where.
using SaidWords = std::map<std::string, Place, std::less<>>;

// The word that the setting means ("command" for run), added to `said`. "" when it was refused: unknown, not
// available, after build(), with a dot, said before.
std::string check_setting(Problems& problems, const Record& record, const Setting& setting, SaidWords& said);

}  // namespace sloth
