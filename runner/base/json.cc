#include "runner/base/json.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

namespace sloth {
namespace {

using Json = nlohmann::json;

constexpr int kDeepest = 200;

Json encode(const Value& value) {
  switch (value.kind()) {
    case Value::Kind::kNil: return nullptr;
    case Value::Kind::kBool: return value.as_bool();
    case Value::Kind::kNumber: {
      const double number = value.as_number();
      if (std::nearbyint(number) == number && std::fabs(number) <= 9007199254740992.0) {
        return static_cast<std::int64_t>(number);
      }
      return number;
    }
    case Value::Kind::kString: return value.as_string();
    case Value::Kind::kList: {
      Json list = Json::array();
      for (const Value& item : value.as_list()) list.push_back(encode(item));
      return list;
    }
    case Value::Kind::kMap: {
      Json map = Json::object();
      for (const auto& [key, item] : value.as_map()) map[key_text(key)] = encode(item);
      return map;
    }
  }
  return nullptr;
}

// Builds the Value while reading, so that depth is bounded before any recursion.
class Builder : public nlohmann::json_sax<Json> {
 public:
  Value take() { return std::move(root_); }
  const std::string& failure() const { return failure_; }

  bool null() override { return add(Value()); }
  bool boolean(bool v) override { return add(Value(v)); }
  bool number_integer(number_integer_t v) override { return add(Value(static_cast<double>(v))); }
  bool number_unsigned(number_unsigned_t v) override { return add(Value(static_cast<double>(v))); }
  bool number_float(number_float_t v, const string_t&) override { return add(Value(v)); }
  bool string(string_t& v) override { return add(Value(std::move(v))); }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return open(Value(Value::Map{})); }
  bool key(string_t& v) override {
    stack_.back().key = std::move(v);
    return true;
  }
  bool end_object() override { return close(); }
  bool start_array(std::size_t) override { return open(Value(Value::List{})); }
  bool end_array() override { return close(); }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& error) override {
    failure_ = error.what();
    // The library's own prefix "[json.exception.parse_error.101] " helps nobody.
    if (const auto end = failure_.find("] "); end != std::string::npos) failure_.erase(0, end + 2);
    return false;
  }

 private:
  struct Open {
    Value value;
    std::string key;
  };

  bool add(Value value) {
    if (stack_.empty()) {
      root_ = std::move(value);
      return true;
    }
    Open& top = stack_.back();
    if (top.value.is_list()) {
      top.value.as_list().push_back(std::move(value));
    } else {
      top.value.as_map()[MapKey(top.key)] = std::move(value);
    }
    return true;
  }
  bool open(Value value) {
    if (stack_.size() == kDeepest) {
      failure_ = fmt::format("nested deeper than {}", kDeepest);
      return false;
    }
    stack_.push_back(Open{std::move(value), ""});
    return true;
  }
  bool close() {
    Value done = std::move(stack_.back().value);
    stack_.pop_back();
    return add(std::move(done));
  }

  Value root_;
  std::vector<Open> stack_;
  std::string failure_;
};

}  // namespace

std::string to_json(const Value& value, int indent) {
  return encode(value).dump(indent, ' ', false, Json::error_handler_t::replace);
}

Result<Value> from_json(std::string_view text) {
  Builder builder;
  if (!Json::sax_parse(text, &builder)) {
    return Error{Code::kInvalid,
                 "not JSON: " + (builder.failure().empty() ? "unreadable" : builder.failure())};
  }
  return builder.take();
}

}  // namespace sloth
