// Values as protobuf and back, for wire.cc and bundle.cc.
//
// Thread-safe: pure functions.
#pragma once

#include "runner/base/result.h"
#include "runner/base/value.h"

namespace sloth {

namespace v1 {
class Value;
class ValueMap;
}  // namespace v1

void to_wire(const Value& value, v1::Value& out);
void to_wire(const Value::Map& map, v1::ValueMap& out);
// kInvalid for a key that is none, nesting beyond 100.
Result<Value> from_wire(const v1::Value& in, int depth = 0);
Result<Value::Map> from_wire(const v1::ValueMap& in, int depth = 0);

}  // namespace sloth
