#include "agent/wire_value.h"

#include <cmath>
#include <utility>

#include "sloth/v1/value.pb.h"

namespace sloth {
namespace {

constexpr int kMostDepth = 100;

void key_to_wire(const MapKey& key, v1::Value& out) {
  if (const auto* flag = std::get_if<bool>(&key)) out.set_boolean(*flag);
  if (const auto* number = std::get_if<double>(&key)) out.set_number(*number);
  if (const auto* text = std::get_if<std::string>(&key)) out.set_text(*text);
}

Result<MapKey> key_from_wire(const v1::Value& in) {
  switch (in.kind_case()) {
    case v1::Value::kBoolean: return MapKey(in.boolean());
    case v1::Value::kNumber:
      if (std::isnan(in.number())) break;
      return MapKey(in.number());
    case v1::Value::kText: return MapKey(in.text());
    default: break;
  }
  return Error{Code::kInvalid, "a map key that is no boolean, number or string"};
}

}  // namespace

void to_wire(const Value& value, v1::Value& out) {
  switch (value.kind()) {
    case Value::Kind::kNil: break;
    case Value::Kind::kBool: out.set_boolean(value.as_bool()); break;
    case Value::Kind::kNumber: out.set_number(value.as_number()); break;
    case Value::Kind::kString: out.set_text(value.as_string()); break;
    case Value::Kind::kList:
      out.mutable_list();
      for (const Value& item : value.as_list()) to_wire(item, *out.mutable_list()->add_items());
      break;
    case Value::Kind::kMap: to_wire(value.as_map(), *out.mutable_map()); break;
  }
}

void to_wire(const Value::Map& map, v1::ValueMap& out) {
  for (const auto& [key, item] : map) {
    v1::ValueEntry& entry = *out.add_entries();
    key_to_wire(key, *entry.mutable_key());
    to_wire(item, *entry.mutable_value());
  }
}

Result<Value> from_wire(const v1::Value& in, int depth) {
  if (depth > kMostDepth) return Error{Code::kInvalid, "a value nested deeper than 100"};
  switch (in.kind_case()) {
    case v1::Value::KIND_NOT_SET: return Value();
    case v1::Value::kBoolean: return Value(in.boolean());
    case v1::Value::kNumber: return Value(in.number());
    case v1::Value::kText: return Value(in.text());
    case v1::Value::kList: {
      Value::List list;
      for (const v1::Value& item : in.list().items()) {
        auto read = from_wire(item, depth + 1);
        if (!read) return read;
        list.push_back(std::move(*read));
      }
      return Value(std::move(list));
    }
    case v1::Value::kMap: {
      auto map = from_wire(in.map(), depth);
      if (!map) return map.error();
      return Value(std::move(*map));
    }
  }
  return Error{Code::kInvalid, "a value of unknown kind"};
}

Result<Value::Map> from_wire(const v1::ValueMap& in, int depth) {
  Value::Map map;
  for (const v1::ValueEntry& entry : in.entries()) {
    auto key = key_from_wire(entry.key());
    if (!key) return key.error();
    auto item = from_wire(entry.value(), depth + 1);
    if (!item) return item.error();
    map.insert_or_assign(std::move(*key), std::move(*item));
  }
  return map;
}

}  // namespace sloth
