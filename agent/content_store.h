// ContentStore: bytes by digest in one directory: what attempts share, received once and kept.
//
// Thread-safe as far as the file system is: files appear whole (temporary file, rename). Blocks: call it on the blocking
// lane.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/message.h"
#include "runner/base/result.h"

namespace sloth {

class ContentStore {
 public:
  // Made on first use, mode 0700; files are 0644 so that attempts of other users, which are given the directory by
  // descriptor, can read them.
  explicit ContentStore(std::string directory) : directory_(std::move(directory)) {}

  [[nodiscard]] const std::string& directory() const { return directory_; }
  [[nodiscard]] bool has(const std::string& digest) const;
  // Those that are not here, in order, without doubles.
  [[nodiscard]] std::vector<std::string> missing(const std::vector<std::string>& digests) const;

  // kInvalid when the bytes do not have that digest.
  Result<void> put(const std::string& digest, std::string_view bytes);
  // kNotFound; kInvalid for a damaged file, which is removed, so that it is asked for again.
  [[nodiscard]] Result<std::string> get(const std::string& digest) const;

 private:
  [[nodiscard]] std::string path(const std::string& digest) const { return directory_ + "/" + digest; }

  const std::string directory_;
};

// Puts the parts of contents together as they come from one link.
//
// Not shared: one thread at a time.
class ContentAssembly {
 public:
  struct Whole {
    std::string digest;
    std::string bytes;
  };
  // The content that `part` completes, if it does. kInvalid for a part out of order, a digest that is none or does not
  // fit, kLimit beyond 64 MiB.
  Result<std::optional<Whole>> add(ContentPart part);

 private:
  std::map<std::string, std::string> begun_;
};

// As parts of at most 256 KiB.
std::vector<ContentPart> content_parts(const std::string& digest, std::string_view bytes);

}  // namespace sloth
