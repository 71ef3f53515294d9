// ChunkCache: every source text that this process compiled, with the compiled form taken apart, so that a
// text is compiled once however many VMs need a function of it.
//
// Thread-safe. Entries live as long as the cache; a compiled form never leaves the process.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "runner/base/mutex.h"
#include "runner/base/result.h"

namespace sloth {

// One function prototype inside a compiled chunk; children stand before their parents.
struct Prototype {
  std::uint32_t begin = 0;  // bytes [begin, end) of `code`, length prefix included
  std::uint32_t end = 0;
  std::uint32_t first = 0;                // index of the first prototype of its subtree
  std::uint32_t line = 0;                 // where its definition starts, 0 unknown
  std::vector<std::uint16_t> upvalues;    // as compiled: bit 15 parent's local, bit 14 never assigned again
  std::vector<std::string> globals_read;  // of itself and its children, no doubles
  std::vector<std::string> globals_written;
  std::vector<std::string> required;  // constants c in require(c) / import(c)
};

struct CompiledChunk {
  std::string name;  // "@tasks.lua"
  std::string text;
  std::string digest;  // of name and text
  std::string header;  // what stands before the first prototype
  std::string code;
  std::vector<Prototype> prototypes;
  std::unordered_multimap<std::uint64_t, std::uint32_t> by_hash;  // hash of a prototype's subtree -> index

  // A loadable dump of one prototype and its children: header, subtree, end mark.
  [[nodiscard]] std::string dump_of(std::uint32_t prototype) const;
  // The prototype whose subtree equals this dump; -1 when none.
  [[nodiscard]] std::int64_t find(std::string_view dump) const;
};

class ChunkCache {
 public:
  ChunkCache();
  ~ChunkCache();

  // The chunk of that name and text, compiled now or earlier. kInvalid with Lua's message for a syntax error;
  // bytecode is refused.
  Result<std::shared_ptr<const CompiledChunk>> compile(const std::string& name, std::string_view text);

  // The same for a text whose digest this process made, which saves making it again.
  Result<std::shared_ptr<const CompiledChunk>> compile(const std::string& name, std::string_view text,
                                                       const std::string& digest);

  // The same for one of our own texts, found again by its address. CHECKs that it compiles.
  std::shared_ptr<const CompiledChunk> compile_embedded(const std::string& name, std::string_view text);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sloth
