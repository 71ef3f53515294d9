// Portable functions as protobuf and back, for bundle.cc: what some functions of a store reach, and nothing else of it.
//
// Thread-safe: pure functions.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "runner/base/portable_function.h"
#include "runner/base/result.h"

namespace sloth {

struct EncodedStore {
  std::string bytes;
  std::vector<std::uint32_t> functions;               // where the roots are now
  std::vector<std::shared_ptr<const std::string>> texts;  // of the chunks, in their order
  std::vector<std::string> digests;                   // of the texts
};

// `roots` are objects of `store`.
EncodedStore encode_store(const std::shared_ptr<const PortableStore>& store, const std::vector<std::uint32_t>& roots);

// `text` gives a source text by digest. Every index is checked.
Result<std::shared_ptr<const PortableStore>> decode_store(
    const std::string& bytes, const std::function<Result<std::string>(const std::string& digest)>& text);

}  // namespace sloth
