#include "runner/dsl/captured_use.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "runner/base/check.h"

namespace sloth {
namespace {

constexpr unsigned kLocalOfParent = 0x8000;

// The parts of one prototype's dump.
class Instructions {
 public:
  explicit Instructions(std::string_view bytes) : bytes_(bytes) {
    number();  // length
    at_ += 4;  // flags, parameters, frame size, captured variables
    number();  // constants
    number();  // numeric constants
    count_ = number();
    const std::uint32_t debug_size = number();
    if (debug_size > 0) {
      first_line_ = static_cast<int>(number());
      const std::uint32_t lines = number();
      width_ = lines < 256 ? 1 : lines < 65536 ? 2 : 4;
      lines_ = bytes_.size() - debug_size;
    }
    code_ = at_;
  }

  [[nodiscard]] std::uint32_t count() const { return count_; }
  [[nodiscard]] unsigned char operation(std::uint32_t i) const { return byte(code_ + std::size_t{i} * 4); }
  [[nodiscard]] unsigned a(std::uint32_t i) const { return byte(code_ + std::size_t{i} * 4 + 1); }
  [[nodiscard]] unsigned d(std::uint32_t i) const {
    const std::size_t at = code_ + std::size_t{i} * 4 + 2;
    return byte(at) | static_cast<unsigned>(byte(at + 1)) << 8;
  }
  [[nodiscard]] int line(std::uint32_t i) const {
    if (width_ == 0) return 1;
    unsigned offset = 0;
    for (std::size_t k = width_; k-- > 0;) offset = offset << 8 | byte(lines_ + i * width_ + k);
    return first_line_ + static_cast<int>(offset);
  }

 private:
  [[nodiscard]] unsigned char byte(std::size_t at) const { return static_cast<unsigned char>(bytes_[at]); }

  std::uint32_t number() {  // unsigned LEB128
    std::uint32_t value = 0;
    for (int shift = 0;; shift += 7) {
      const unsigned char b = byte(at_++);
      value |= static_cast<std::uint32_t>(b & 0x7f) << shift;
      if (b < 0x80) return value;
    }
  }

  std::string_view bytes_;
  std::size_t at_ = 0;
  std::uint32_t count_ = 0;
  std::size_t code_ = 0;
  std::size_t lines_ = 0;
  std::size_t width_ = 0;
  int first_line_ = 0;
};

Instructions code_of(const CompiledChunk& chunk, const Prototype& prototype) {
  return Instructions(std::string_view(chunk.code).substr(prototype.begin, prototype.end - prototype.begin));
}

void keep_first(int& line, int other) {
  if (line == 0) line = other;
}

}  // namespace

CapturedUses::CapturedUses(ChunkCache& chunks) {
  const auto chunk = chunks.compile("=captures",
                                    "local x return function() return x end, function(v) x = v end, "
                                    "function() x = 's' end, function() x = 1 end, function() x = nil end");
  SLOTH_CHECK(chunk.ok() && (*chunk)->prototypes.size() == 6);
  const auto first_operation = [&](std::size_t i) {
    return code_of(**chunk, (*chunk)->prototypes[i]).operation(0);
  };
  get_ = first_operation(0);
  for (std::size_t i = 1; i <= 4; ++i) sets_.push_back(first_operation(i));
}

const std::vector<CapturedUse>& CapturedUses::of(const CompiledChunk& chunk, std::uint32_t prototype) {
  const auto key = std::make_pair(&chunk, prototype);
  if (const auto found = known_.find(key); found != known_.end()) return found->second;
  std::vector<CapturedUse> uses = own(chunk, prototype);
  // Children stand right before their parent, each after its own subtree.
  const std::uint32_t first = chunk.prototypes[prototype].first;
  for (std::uint32_t end = prototype; end > first;) {
    const std::uint32_t child = end - 1;
    const std::vector<CapturedUse>& inner = of(chunk, child);
    const std::vector<std::uint16_t>& captured = chunk.prototypes[child].upvalues;
    for (std::size_t i = 0; i < captured.size(); ++i) {
      if ((captured[i] & kLocalOfParent) != 0 || captured[i] >= uses.size()) continue;
      keep_first(uses[captured[i]].read_line, inner[i].read_line);
      keep_first(uses[captured[i]].assigned_line, inner[i].assigned_line);
    }
    end = chunk.prototypes[child].first;
  }
  return known_.emplace(key, std::move(uses)).first->second;
}

std::vector<CapturedUse> CapturedUses::own(const CompiledChunk& chunk, std::uint32_t prototype) const {
  const Prototype& proto = chunk.prototypes[prototype];
  std::vector<CapturedUse> uses(proto.upvalues.size());
  if (uses.empty()) return uses;
  const Instructions code = code_of(chunk, proto);
  for (std::uint32_t i = 0; i < code.count(); ++i) {
    const unsigned char operation = code.operation(i);
    if (operation == get_ && code.d(i) < uses.size()) {
      keep_first(uses[code.d(i)].read_line, code.line(i));
    } else if (std::find(sets_.begin(), sets_.end(), operation) != sets_.end() && code.a(i) < uses.size()) {
      keep_first(uses[code.a(i)].assigned_line, code.line(i));
    }
  }
  return uses;
}

}  // namespace sloth
