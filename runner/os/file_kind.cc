#include "runner/os/file_kind.h"

#include <fmt/format.h>

namespace sloth {

const char* kind_of(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG: return "a regular file";
    case S_IFDIR: return "a directory";
    case S_IFLNK: return "a link";
    case S_IFIFO: return "a FIFO";
    case S_IFSOCK: return "a socket";
    case S_IFCHR:
    case S_IFBLK: return "a device";
    default: return "of an unknown kind";
  }
}

Error wrong_kind(std::string_view action, std::string_view path, mode_t mode) {
  return Error{Code::kRefused,
               fmt::format("cannot {} \"{}\": it is {}, not a regular file", action, path, kind_of(mode))};
}

}  // namespace sloth
