#include "modules/strings.h"

namespace sloth {
namespace embedded {
extern const std::string_view modules_strings;
extern const std::string_view modules_strings_meta;
}  // namespace embedded

Module strings_module() {
  return Module{.name = "strings",
                .natives = {},
                .lua = embedded::modules_strings,
                .stub = embedded::modules_strings_meta};
}

}  // namespace sloth
