#include "cmd/values.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <cctype>
#include <cstdlib>
#include <string_view>

#include "runner/base/json.h"
#include "runner/os/file_tree.h"

namespace sloth {
namespace {

constexpr std::uint64_t kLargestFile = 8u << 20;
constexpr int kDeepest = 100;
constexpr int kMostNodes = 1'000'000;  // with aliases a short file can say very much

// Plain scalars by the core schema of YAML 1.2; quoted ones are strings.
Value scalar(const YAML::Node& node) {
  const std::string& text = node.Scalar();
  if (node.Tag() == "!") return text;
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") return nullptr;
  if (text == "true" || text == "True" || text == "TRUE") return true;
  if (text == "false" || text == "False" || text == "FALSE") return false;
  const char first = text[0];
  const bool may_be_number =
      std::isdigit(static_cast<unsigned char>(first)) != 0 || first == '-' || first == '+' || first == '.';
  if (may_be_number && text.find_first_not_of("0123456789+-.eE") == std::string::npos) {
    char* end = nullptr;
    const double number = std::strtod(text.c_str(), &end);
    if (end == text.c_str() + text.size()) return number;
  }
  if (text.size() > 2 && text[0] == '0' && text[1] == 'x') {
    char* end = nullptr;
    const auto number = std::strtoull(text.c_str() + 2, &end, 16);
    if (*end == '\0') return static_cast<double>(number);
  }
  return text;
}

Result<Value> from_yaml(const YAML::Node& node, int depth, int& nodes) {
  if (++nodes > kMostNodes) return Error{Code::kLimit, fmt::format("more than {} values", kMostNodes)};
  if (depth > kDeepest) return Error{Code::kLimit, fmt::format("nested deeper than {}", kDeepest)};
  switch (node.Type()) {
    case YAML::NodeType::Undefined:
    case YAML::NodeType::Null: return Value();
    case YAML::NodeType::Scalar: return scalar(node);
    case YAML::NodeType::Sequence: {
      Value::List list;
      for (const auto& item : node) {
        auto value = from_yaml(item, depth + 1, nodes);
        if (!value) return value;
        list.push_back(std::move(*value));
      }
      return Value(std::move(list));
    }
    case YAML::NodeType::Map: {
      Value::Map map;
      for (const auto& entry : node) {
        if (!entry.first.IsScalar()) {
          return Error{Code::kInvalid,
                       fmt::format("line {}: a key must be plain text", entry.first.Mark().line + 1)};
        }
        auto value = from_yaml(entry.second, depth + 1, nodes);
        if (!value) return value;
        map.insert_or_assign(entry.first.Scalar(), std::move(*value));
      }
      return Value(std::move(map));
    }
  }
  return Value();
}

Result<Value> read_values(const std::string& path) {
  const std::string absolute = join_path(current_directory(), path);
  const Result<std::string> text = read_file(absolute, kLargestFile);
  if (!text) return text.error().in("values file");
  const std::string what = "values file " + path;
  try {
    int nodes = 0;
    Result<Value> value = from_yaml(YAML::Load(*text), 0, nodes);
    if (!value) return value.error().in(what);
    if (value->is_nil()) return Value(Value::Map{});
    if (!value->is_map())
      return Error{Code::kInvalid, what + ": must be a map of names to values at the top"};
    return value;
  } catch (const YAML::Exception& error) {  // the library reports no other way
    return Error{Code::kInvalid, fmt::format("{}: line {}: {}", what, error.mark.line + 1, error.msg)};
  }
}

void merge(Value& into, Value from) {
  if (!into.is_map() || !from.is_map()) {
    into = std::move(from);
    return;
  }
  for (auto& [key, value] : from.as_map()) merge(into.as_map()[key], std::move(value));
}

// The key as the map has it already when only case differs: names of the environment are upper case.
std::string known_spelling(const Value& map, const std::string& lower) {
  if (!map.is_map()) return lower;
  for (const auto& [key, value] : map.as_map()) {
    const auto* text = std::get_if<std::string>(&key);
    if (text == nullptr || text->size() != lower.size()) continue;
    bool same = true;
    for (std::size_t i = 0; i < lower.size(); ++i) {
      same = same && std::tolower(static_cast<unsigned char>((*text)[i])) == lower[i];
    }
    if (same) return *text;
  }
  return lower;
}

// Sets a path of names; a plain value in the way is replaced, a list is not lost for one.
Result<void> set(Value& values, const std::vector<std::string>& path, Value value, bool any_case) {
  Value* at = &values;
  for (const std::string& name : path) {
    if (name.empty()) return Error{Code::kInvalid, "an empty name between the dots; write it like app.port"};
    if (at->is_list())
      return Error{
          Code::kInvalid,
          fmt::format("\"{}\" would be inside a list; set the whole list, as JSON: NAME=[1,2]", name)};
    if (!at->is_map()) *at = Value::Map{};
    const std::string key = any_case ? known_spelling(*at, name) : name;
    at = &at->as_map()[key];
  }
  *at = std::move(value);
  return {};
}

// Numbers, booleans, null and JSON are taken as such, everything else as text.
Value literal(const std::string& text) {
  Result<Value> value = from_json(text);
  return value ? std::move(*value) : Value(text);
}

std::vector<std::string> split(const std::string& text, std::string_view by) {
  std::vector<std::string> parts;
  std::size_t at = 0;
  for (std::size_t next = text.find(by); next != std::string::npos; next = text.find(by, at)) {
    parts.push_back(text.substr(at, next - at));
    at = next + by.size();
  }
  parts.push_back(text.substr(at));
  return parts;
}

}  // namespace

Result<std::pair<std::string, std::string>> split_setting(const std::string& text, const std::string& flag) {
  const auto equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    return Error{Code::kInvalid, fmt::format("{} \"{}\": give it as name=value", flag, text)};
  }
  return std::pair(text.substr(0, equals), text.substr(equals + 1));
}

Result<Value> assemble_values(const ValueSources& sources) {
  Value values = Value::Map{};
  for (const std::string& path : sources.files) {
    auto from = read_values(path);
    if (!from) return from;
    merge(values, std::move(*from));
  }
  constexpr std::string_view kPrefix = "SLOTH_VALUE_";
  for (const auto& [name, text] : sources.environment) {
    if (!name.starts_with(kPrefix) || name.size() == kPrefix.size()) continue;
    std::string lower = name.substr(kPrefix.size());
    for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (auto done = set(values, split(lower, "__"), literal(text), true); !done) return done.error().in(name);
  }
  for (const std::string& setting : sources.settings) {
    auto halves = split_setting(setting, "--set");
    if (!halves) return halves.error();
    auto done = set(values, split(halves->first, "."), literal(halves->second), false);
    if (!done) return done.error().in("--set " + setting);
  }
  return values;
}

}  // namespace sloth
