#include "runner/os/os_error.h"

#include <fmt/format.h>

#include <cctype>
#include <cerrno>
#include <cstring>

namespace sloth {

std::string reason_of(int error) {
  const char* words = ::strerrordesc_np(error);
  if (words == nullptr) return fmt::format("system error {}", error);
  std::string reason = words;
  // Only a plain word is lowered: "RFS specific error" keeps its name.
  if (reason.size() > 1 && std::islower(static_cast<unsigned char>(reason[1])) != 0) {
    reason[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(reason[0])));
  }
  return reason;
}

Code code_of(int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR: return Code::kNotFound;
    case EACCES:
    case EPERM:
    case EROFS:
    case EISDIR:
    case ENOTEMPTY:
    case EEXIST: return Code::kRefused;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EAGAIN:
    case ENOSPC:
    case EDQUOT:
    case EFBIG: return Code::kLimit;
    case EINVAL:
    case ENAMETOOLONG: return Code::kInvalid;
    default: return Code::kIo;
  }
}

Error path_error(std::string_view action, std::string_view path, int error) {
  return Error{code_of(error), fmt::format("cannot {} \"{}\": {}", action, path, reason_of(error))};
}

Result<void> check_path(std::string_view action, std::string_view path) {
  if (path.empty()) return Error{Code::kInvalid, fmt::format("cannot {}: the path is empty", action)};
  const auto nul = path.find('\0');
  if (nul == std::string_view::npos) return {};
  return Error{Code::kInvalid, fmt::format("cannot {} \"{}\": the path holds a NUL byte after these {} bytes",
                                           action, path.substr(0, nul), nul)};
}

}  // namespace sloth
