#include "modules/time_text.h"

#include <fmt/format.h>

#include <cmath>
#include <ctime>
#include <limits>
#include <optional>
#include <string_view>

namespace sloth {
namespace {

constexpr double kYearOne = -62135596800.0;
constexpr double kYearTenThousand = 253402300800.0;

Result<std::tm> calendar(double seconds, Zone zone) {
  if (!(seconds >= kYearOne && seconds < kYearTenThousand)) {
    return Error{Code::kInvalid, fmt::format("{} is no time between the years 1 and 9999", seconds)};
  }
  const auto whole = static_cast<std::time_t>(std::floor(seconds));
  std::tm fields{};
  if ((zone == Zone::kUtc ? gmtime_r(&whole, &fields) : localtime_r(&whole, &fields)) == nullptr) {
    return Error{Code::kInvalid, fmt::format("{} is no time that this machine can show", seconds)};
  }
  return fields;
}

// Digits at the front of `text`, exactly `count` of them, within [low, high].
std::optional<int> take_number(std::string_view& text, std::size_t count, int low, int high) {
  if (text.size() < count) return std::nullopt;
  int number = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (text[i] < '0' || text[i] > '9') return std::nullopt;
    number = number * 10 + (text[i] - '0');
  }
  text.remove_prefix(count);
  if (number < low || number > high) return std::nullopt;
  return number;
}

bool take_one_of(std::string_view& text, std::string_view characters) {
  if (text.empty() || characters.find(text.front()) == std::string_view::npos) return false;
  text.remove_prefix(1);
  return true;
}

int days_in(int year, int month) {
  constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return kDays[month - 1] + (month == 2 && leap ? 1 : 0);
}

std::optional<double> take_fraction(std::string_view& text) {
  if (!take_one_of(text, ".")) return 0.0;
  double fraction = 0;
  double scale = 0.1;
  const std::size_t before = text.size();
  for (; !text.empty() && text.front() >= '0' && text.front() <= '9'; text.remove_prefix(1), scale /= 10) {
    fraction += (text.front() - '0') * scale;
  }
  if (text.size() == before) return std::nullopt;
  return fraction;
}

// Seconds east of UTC.
std::optional<int> take_offset(std::string_view& text) {
  if (take_one_of(text, "Zz")) return 0;
  const bool west = !text.empty() && text.front() == '-';
  if (!take_one_of(text, "+-")) return std::nullopt;
  const auto hours = take_number(text, 2, 0, 23);
  if (!hours || !take_one_of(text, ":")) return std::nullopt;
  const auto minutes = take_number(text, 2, 0, 59);
  if (!minutes) return std::nullopt;
  return (west ? -1 : 1) * (*hours * 3600 + *minutes * 60);
}

std::optional<double> read_rfc3339(std::string_view text) {
  std::tm fields{};
  const auto year = take_number(text, 4, 1, 9999);
  if (!year || !take_one_of(text, "-")) return std::nullopt;
  const auto month = take_number(text, 2, 1, 12);
  if (!month || !take_one_of(text, "-")) return std::nullopt;
  const auto day = take_number(text, 2, 1, days_in(*year, *month));
  if (!day || !take_one_of(text, "Tt ")) return std::nullopt;
  const auto hour = take_number(text, 2, 0, 23);
  if (!hour || !take_one_of(text, ":")) return std::nullopt;
  const auto minute = take_number(text, 2, 0, 59);
  if (!minute || !take_one_of(text, ":")) return std::nullopt;
  const auto second = take_number(text, 2, 0, 60);  // 60: a leap second
  if (!second) return std::nullopt;
  const auto fraction = take_fraction(text);
  if (!fraction) return std::nullopt;
  const auto offset = take_offset(text);
  if (!offset || !text.empty()) return std::nullopt;
  fields.tm_year = *year - 1900;
  fields.tm_mon = *month - 1;
  fields.tm_mday = *day;
  fields.tm_hour = *hour;
  fields.tm_min = *minute;
  fields.tm_sec = *second;
  return static_cast<double>(timegm(&fields) - *offset) + *fraction;
}

}  // namespace

Result<std::string> format_time(double seconds, const std::string& layout, Zone zone) {
  const auto fields = calendar(seconds, zone);
  if (!fields) return fields.error();
  // strftime gives 0 both for "too small" and for an empty result: the mark makes every result non-empty.
  const std::string marked = layout + "|";
  std::string text(layout.size() * 4 + 64, '\0');
  constexpr std::size_t kLongest = std::size_t{1} << 20;
  while (true) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    const std::size_t size = std::strftime(text.data(), text.size(), marked.c_str(), &*fields);
#pragma GCC diagnostic pop
    if (size > 0) {
      text.resize(size - 1);
      return text;
    }
    if (text.size() > kLongest) return Error{Code::kInvalid, "the layout gives more than 1 MiB of text"};
    text.resize(text.size() * 2);
  }
}

Result<double> parse_time(const std::string& text, const std::string& layout, Zone zone) {
  constexpr long kNoOffset = std::numeric_limits<long>::min();
  std::tm fields{};
  fields.tm_mday = 1;
  fields.tm_year = 70;
  fields.tm_isdst = -1;
  fields.tm_gmtoff = kNoOffset;
  const char* rest = strptime(text.c_str(), layout.c_str(), &fields);
  if (rest == nullptr || *rest != '\0' || rest != text.c_str() + text.size()) {
    return Error{Code::kInvalid, fmt::format("\"{}\" does not have the layout \"{}\"", text, layout)};
  }
  const long offset = fields.tm_gmtoff;
  if (offset != kNoOffset || zone == Zone::kUtc) {
    return static_cast<double>(timegm(&fields) - (offset == kNoOffset ? 0 : offset));
  }
  return static_cast<double>(std::mktime(&fields));
}

Result<std::string> format_rfc3339(double seconds) {
  const auto ms = std::nearbyint(seconds * 1000);
  const double whole = std::floor(ms / 1000);
  auto text = format_time(whole, "%Y-%m-%dT%H:%M:%S", Zone::kUtc);
  if (!text) return text;
  const auto rest = static_cast<int>(ms - whole * 1000);
  // glibc's %Y does not fill up to four digits.
  *text = std::string(text->find('-') < 4 ? 4 - text->find('-') : 0, '0') + *text;
  return rest == 0 ? *text + "Z" : fmt::format("{}.{:03}Z", *text, rest);
}

Result<double> parse_rfc3339(const std::string& text) {
  if (const auto seconds = read_rfc3339(text)) return *seconds;
  return Error{
      Code::kInvalid,
      fmt::format("\"{}\" is not an RFC 3339 time; write it like 2026-03-01T12:00:00Z or give a layout",
                  text)};
}

}  // namespace sloth
