// Value: what may leave a VM. A deep tree of nil, booleans, numbers, byte strings, lists and maps;
// no identity, no functions, no cycles.
//
// Not shared: one thread at a time (const access from several threads is fine).
//
//   Value v = Value::Map{{"name", "api"}, {"ports", Value::List{80, 443}}};
//   if (const Value* name = v.get("name")) use(name->as_string());
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "runner/base/result.h"

namespace sloth {

// A map key: boolean, number (never NaN) or byte string. Ordered: booleans, numbers, strings.
using MapKey = std::variant<bool, double, std::string>;

class Value {
 public:
  using List = std::vector<Value>;
  // Ordered by key, so that printing, hashing and comparing need no extra step.
  using Map = std::map<MapKey, Value>;
  enum class Kind { kNil, kBool, kNumber, kString, kList, kMap };

  Value() = default;
  Value(std::nullptr_t) {}                                           // NOLINT: implicit on purpose
  Value(bool v) : data_(v) {}                                        // NOLINT: implicit on purpose
  Value(double v) : data_(v) {}                                      // NOLINT: implicit on purpose
  Value(int v) : data_(static_cast<double>(v)) {}                    // NOLINT: implicit on purpose
  Value(std::int64_t v) : data_(static_cast<double>(v)) {}           // NOLINT: implicit on purpose
  Value(std::size_t v) : data_(static_cast<double>(v)) {}            // NOLINT: implicit on purpose
  Value(std::string v) : data_(std::move(v)) {}                      // NOLINT: implicit on purpose
  Value(std::string_view v) : data_(std::string(v)) {}               // NOLINT: implicit on purpose
  Value(const char* v) : data_(std::string(v)) {}                    // NOLINT: implicit on purpose
  Value(List v) : data_(std::move(v)) {}                             // NOLINT: implicit on purpose
  Value(Map v) : data_(std::move(v)) {}                              // NOLINT: implicit on purpose

  [[nodiscard]] Kind kind() const { return static_cast<Kind>(data_.index()); }
  [[nodiscard]] bool is_nil() const { return kind() == Kind::kNil; }
  [[nodiscard]] bool is_bool() const { return kind() == Kind::kBool; }
  [[nodiscard]] bool is_number() const { return kind() == Kind::kNumber; }
  [[nodiscard]] bool is_string() const { return kind() == Kind::kString; }
  [[nodiscard]] bool is_list() const { return kind() == Kind::kList; }
  [[nodiscard]] bool is_map() const { return kind() == Kind::kMap; }

  // REQUIRES: the kind of that name.
  [[nodiscard]] bool as_bool() const { return std::get<bool>(data_); }
  [[nodiscard]] double as_number() const { return std::get<double>(data_); }
  [[nodiscard]] const std::string& as_string() const { return std::get<std::string>(data_); }
  [[nodiscard]] const List& as_list() const { return std::get<List>(data_); }
  [[nodiscard]] List& as_list() { return std::get<List>(data_); }
  [[nodiscard]] const Map& as_map() const { return std::get<Map>(data_); }
  [[nodiscard]] Map& as_map() { return std::get<Map>(data_); }

  // The value under a string key; null when this is no map or has no such key.
  [[nodiscard]] const Value* get(std::string_view key) const;

  bool operator==(const Value&) const = default;

 private:
  std::variant<std::monostate, bool, double, std::string, List, Map> data_;
};

// "nil", "boolean", "number", "string", "list", "map".
const char* kind_name(Value::Kind kind);

// A key as text: the string itself, "true", "3", "2.5".
std::string key_text(const MapKey& key);

// A number as people write it: no fraction when integral, else the shortest form that reads back.
std::string number_text(double number);

}  // namespace sloth
