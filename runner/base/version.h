// Which build this is: the project's version and the revision it was built from.
//
// Thread-safe. Both texts live as long as the program. They are the only things that change with a commit, so
// they sit in a file of their own: a new revision recompiles that file and nothing else.
#pragma once

namespace sloth {

// The version of the project() line of CMakeLists.txt, such as "0.1.0".
const char* version();

// The abbreviated commit, such as "1ef806e04f2a"; "" when built outside a git checkout.
const char* git_revision();

}  // namespace sloth
