#include "agent/content_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "agent/digest.h"
#include "runner/os/file_tree.h"

namespace sloth {
namespace {

constexpr std::size_t kPartBytes = std::size_t{256} << 10;
constexpr std::size_t kMostBytes = std::size_t{64} << 20;

}  // namespace

bool ContentStore::has(const std::string& digest) const { return is_digest(digest) && exists(path(digest)); }

std::vector<std::string> ContentStore::missing(const std::vector<std::string>& digests) const {
  std::vector<std::string> absent;
  for (const std::string& digest : digests) {
    if (!has(digest) && std::find(absent.begin(), absent.end(), digest) == absent.end()) absent.push_back(digest);
  }
  return absent;
}

Result<void> ContentStore::put(const std::string& digest, std::string_view bytes) {
  if (sha256(bytes) != digest) return Error{Code::kInvalid, fmt::format("content {}: its bytes have another digest", digest)};
  if (has(digest)) return {};
  if (!exists(directory_)) {
    if (auto made = make_directory(directory_); !made) return made;
    ::chmod(directory_.c_str(), 0700);
  }
  if (auto written = write_file(path(digest), bytes); !written) return written;
  ::chmod(path(digest).c_str(), 0644);
  return {};
}

Result<std::string> ContentStore::get(const std::string& digest) const {
  if (!is_digest(digest)) return Error{Code::kInvalid, fmt::format("\"{}\" is no digest", digest)};
  auto bytes = read_file(path(digest), kMostBytes);
  if (bytes && sha256(*bytes) != digest) {
    static_cast<void>(remove_path(path(digest), false));
    return Error{Code::kInvalid, fmt::format("{}: damaged; removed, so that it is fetched again", path(digest))};
  }
  return bytes;
}

Result<std::optional<ContentAssembly::Whole>> ContentAssembly::add(ContentPart part) {
  if (!is_digest(part.digest)) return Error{Code::kInvalid, fmt::format("content \"{}\": no digest", part.digest)};
  std::string& bytes = begun_[part.digest];
  if (part.offset == 0) bytes.clear();
  if (part.offset != bytes.size()) {
    return Error{Code::kInvalid, fmt::format("content {}: part at {}, expected {}", part.digest, part.offset, bytes.size())};
  }
  if (bytes.size() + part.bytes.size() > kMostBytes) {
    begun_.erase(part.digest);
    return Error{Code::kLimit, fmt::format("content {}: larger than {} bytes", part.digest, kMostBytes)};
  }
  bytes += part.bytes;
  if (!part.last) return std::optional<Whole>();
  Whole whole{part.digest, std::move(bytes)};
  begun_.erase(part.digest);
  if (sha256(whole.bytes) != whole.digest) {
    return Error{Code::kInvalid, fmt::format("content {}: its bytes have another digest", whole.digest)};
  }
  return std::optional<Whole>(std::move(whole));
}

std::vector<ContentPart> content_parts(const std::string& digest, std::string_view bytes) {
  std::vector<ContentPart> parts;
  std::size_t offset = 0;
  do {
    const std::string_view piece = bytes.substr(offset, kPartBytes);
    parts.push_back({digest, offset, std::string(piece), offset + piece.size() == bytes.size()});
    offset += piece.size();
  } while (offset < bytes.size());
  return parts;
}

}  // namespace sloth
