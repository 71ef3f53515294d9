// CapturedUse: which of its captured variables a compiled function reads and assigns, itself or in functions
// written inside it. Read off LuaJIT's bytecode (the layout is that of its lj_bcdump.h and lj_parse.c).
//
// Not shared: one thread at a time.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "runner/lua/chunk_cache.h"

namespace sloth {

struct CapturedUse {
  int read_line = 0;      // 0: it does not
  int assigned_line = 0;  // 0: it does not
};

class CapturedUses {
 public:
  // Compiles a few lines of its own to learn the VM's instruction numbers.
  explicit CapturedUses(ChunkCache& chunks);

  // One entry per captured variable of the prototype. Kept: asking again is cheap. `chunk` outlives the
  // object.
  const std::vector<CapturedUse>& of(const CompiledChunk& chunk, std::uint32_t prototype);

 private:
  std::vector<CapturedUse> own(const CompiledChunk& chunk, std::uint32_t prototype) const;

  unsigned char get_ = 0;
  std::vector<unsigned char> sets_;
  std::map<std::pair<const CompiledChunk*, std::uint32_t>, std::vector<CapturedUse>> known_;
};

}  // namespace sloth
