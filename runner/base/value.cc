#include "runner/base/value.h"

#include <fmt/format.h>

#include <cmath>

namespace sloth {

const Value* Value::get(std::string_view key) const {
  if (!is_map()) return nullptr;
  const auto found = as_map().find(MapKey(std::string(key)));
  return found == as_map().end() ? nullptr : &found->second;
}

const char* kind_name(Value::Kind kind) {
  switch (kind) {
    case Value::Kind::kNil: return "nil";
    case Value::Kind::kBool: return "boolean";
    case Value::Kind::kNumber: return "number";
    case Value::Kind::kString: return "string";
    case Value::Kind::kList: return "list";
    case Value::Kind::kMap: return "map";
  }
  return "?";
}

std::string number_text(double number) {
  if (std::nearbyint(number) == number && std::fabs(number) < 1e15) return fmt::format("{:.0f}", number);
  return fmt::format("{}", number);
}

std::string key_text(const MapKey& key) {
  if (const auto* flag = std::get_if<bool>(&key)) return *flag ? "true" : "false";
  if (const auto* number = std::get_if<double>(&key)) return number_text(*number);
  return std::get<std::string>(key);
}

}  // namespace sloth
