#include "runner/base/duration.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

namespace sloth {
namespace {

constexpr std::string_view kForms =
    R"(write it like "300ms", "30s", "5m" or "1h30m" (or a number of seconds), above zero and at most one year)";

Error unreadable(std::string_view text) {
  return Error{Code::kInvalid, fmt::format("\"{}\" is not a duration: {}", text, kForms)};
}

// The unit at the start of `text` in nanoseconds and its length; 0 when there is none.
std::pair<double, std::size_t> unit_at(std::string_view text) {
  if (text.starts_with("ns")) return {1, 2};
  if (text.starts_with("us")) return {1e3, 2};
  if (text.starts_with("\xc2\xb5s")) return {1e3, 3};
  if (text.starts_with("ms")) return {1e6, 2};
  if (text.starts_with("s")) return {1e9, 1};
  if (text.starts_with("m")) return {60e9, 1};
  if (text.starts_with("h")) return {3600e9, 1};
  return {0, 0};
}

}  // namespace

Result<Duration> parse_duration(std::string_view text) {
  double total = 0;
  std::string_view rest = text;
  if (rest.empty()) return unreadable(text);
  while (!rest.empty()) {
    double number = 0;
    const auto [end, failed] =
        std::from_chars(rest.data(), rest.data() + rest.size(), number, std::chars_format::fixed);
    if (failed != std::errc() || rest.front() == '-') return unreadable(text);
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    const auto [scale, length] = unit_at(rest);
    if (length == 0) return unreadable(text);
    rest.remove_prefix(length);
    total += number * scale;
  }
  if (!(total >= 1) || total > static_cast<double>(kLongestDuration.count())) return unreadable(text);
  return Duration(static_cast<Duration::rep>(total));
}

Result<Duration> duration_from_seconds(double seconds) {
  const double total = seconds * 1e9;
  if (!(total >= 1) || total > static_cast<double>(kLongestDuration.count())) {
    return unreadable(fmt::format("{}", seconds));
  }
  return Duration(static_cast<Duration::rep>(total));
}

std::string format_duration(Duration duration) {
  const double ns = static_cast<double>(duration.count());
  if (ns < 1e6) return fmt::format("{:.0f}us", ns / 1e3);
  if (ns < 999.5e6) return fmt::format("{:.0f}ms", ns / 1e6);
  if (ns < 59.95e9) return fmt::format("{:.1f}s", ns / 1e9);
  const auto seconds = static_cast<long>(std::lround(ns / 1e9));
  if (seconds < 3600) return fmt::format("{}m{:02}s", seconds / 60, seconds % 60);
  return fmt::format("{}h{:02}m", seconds / 3600, seconds / 60 % 60);
}

}  // namespace sloth
