#include "runner/lua/chunk_cache.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <lua.hpp>

#include "runner/base/check.h"
#include "runner/base/log.h"

namespace sloth {
namespace {

// Two FNV-1a hashes side by side: tells texts of one run apart. A receiver that does not trust the sender
// computes it again.
std::string digest_of(std::string_view name, std::string_view text) {
  std::uint64_t a = 0xcbf29ce484222325u;
  std::uint64_t b = 0x84222325cbf29ce4u;
  for (const std::string_view part : {name, std::string_view("\0", 1), text}) {
    for (const char c : part) {
      a = (a ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
      b = (b ^ static_cast<unsigned char>(c)) * 0x10000000233u;
    }
  }
  return fmt::format("{:016x}{:016x}", a, b);
}

std::string dump(lua_State* L) {
  std::string out;
  const auto writer = [](lua_State*, const void* data, std::size_t size, void* to) {
    static_cast<std::string*>(to)->append(static_cast<const char*>(data), size);
    return 0;
  };
  SLOTH_CHECK(lua_dump(L, writer, &out) == 0);
  return out;
}

// Instruction numbers differ between builds of the VM: they are read off code that we compile ourselves. 255
// is none.
struct Opcodes {
  unsigned char global_get = 255;
  unsigned char global_set = 255;
  unsigned char string_constant = 255;
};

// Reads the compiled form (LuaJIT's lj_bcdump.h describes it) and brings the entries of constant tables into
// one order: a VM writes them as its own string hashes, seeded at random, have them.
class DumpReader {
 public:
  DumpReader(CompiledChunk& chunk, std::string& bytes, const Opcodes& opcodes)
      : chunk_(chunk), bytes_(bytes), opcodes_(opcodes) {}

  void read() {
    pos_ = 4;  // escape, "LJ", version
    const std::uint32_t flags = number();
    stripped_ = (flags & 2) != 0;
    if (!stripped_) pos_ += number();  // the name; `+=` reads the length first
    base_ = pos_;
    while (true) {
      const std::size_t begin = pos_;
      const std::uint32_t length = number();
      if (length == 0) break;
      read_prototype(begin - base_, pos_ + length - base_, pos_ + length);
    }
    chunk_.header = bytes_.substr(0, base_);
    chunk_.code = bytes_.substr(base_);
  }

 private:
  unsigned char byte() { return static_cast<unsigned char>(bytes_[pos_++]); }

  std::uint32_t number() {  // unsigned LEB128
    std::uint32_t value = 0;
    for (int shift = 0;; shift += 7) {
      const unsigned char b = byte();
      value |= static_cast<std::uint32_t>(b & 0x7f) << shift;
      if (b < 0x80) return value;
    }
  }

  void read_prototype(std::size_t begin, std::size_t end, std::size_t absolute_end) {
    Prototype proto;
    proto.begin = static_cast<std::uint32_t>(begin);
    proto.end = static_cast<std::uint32_t>(end);
    byte();  // flags
    byte();  // parameters
    byte();  // frame size
    const unsigned upvalues = byte();
    const std::uint32_t constants = number();
    number();  // numeric constants
    const std::uint32_t instructions = number();
    if (!stripped_ && number() > 0) {
      proto.line = number();
      number();  // lines
    }
    const std::size_t code = pos_;
    pos_ += std::size_t{instructions} * 4;
    for (unsigned i = 0; i < upvalues; ++i) {
      const unsigned low = byte();
      proto.upvalues.push_back(static_cast<std::uint16_t>(low | static_cast<unsigned>(byte()) << 8));
    }
    const auto [strings, children] = read_constants(constants);
    proto.first = static_cast<std::uint32_t>(chunk_.prototypes.size());
    read_code(code, instructions, strings, proto);
    for (std::uint32_t i = 0; i < children; ++i) adopt(proto);
    const std::uint32_t from = children == 0 ? proto.begin : chunk_.prototypes[proto.first].begin;
    const std::string_view subtree = std::string_view(bytes_).substr(base_ + from, proto.end - from);
    const auto index = static_cast<std::uint32_t>(chunk_.prototypes.size());
    chunk_.by_hash.emplace(std::hash<std::string_view>{}(subtree), index);
    open_.push_back(index);
    chunk_.prototypes.push_back(std::move(proto));
    pos_ = absolute_end;
  }

  // The most recent finished prototype becomes a child of `proto`.
  void adopt(Prototype& proto) {
    SLOTH_CHECK(!open_.empty());
    const Prototype& child = chunk_.prototypes[open_.back()];
    open_.pop_back();
    proto.first = std::min(proto.first, child.first);
    merge(proto.globals_read, child.globals_read);
    merge(proto.globals_written, child.globals_written);
    merge(proto.required, child.required);
  }

  static void merge(std::vector<std::string>& into, const std::vector<std::string>& from) {
    for (const std::string& name : from) add(into, name);
  }
  static void add(std::vector<std::string>& names, const std::string& name) {
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }

  struct Constants {
    std::vector<std::string> strings;  // by constant number; "" for others
    std::uint32_t children = 0;
  };

  Constants read_constants(std::uint32_t count) {
    enum : std::uint32_t { kChild, kTable, kSigned, kUnsigned, kComplex, kString };
    Constants result;
    result.strings.resize(count);
    // Written from the highest number down.
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::uint32_t type = number();
      if (type >= kString) {
        result.strings[count - 1 - i] = bytes_.substr(pos_, type - kString);
        pos_ += type - kString;
      } else if (type == kChild) {
        ++result.children;
      } else if (type == kTable) {
        const std::uint32_t array = number();
        const std::uint32_t hash = number();
        for (std::uint32_t k = 0; k < array; ++k) skip_table_constant();
        sort_entries(hash);
      } else {
        const int numbers = type == kComplex ? 4 : 2;
        for (int k = 0; k < numbers; ++k) number();
      }
    }
    return result;
  }

  void sort_entries(std::uint32_t count) {
    const std::size_t begin = pos_;
    std::vector<std::string> entries;
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::size_t entry = pos_;
      skip_table_constant();
      skip_table_constant();
      entries.push_back(bytes_.substr(entry, pos_ - entry));
    }
    std::sort(entries.begin(), entries.end());
    std::string sorted;
    for (const std::string& entry : entries) sorted += entry;
    bytes_.replace(begin, sorted.size(), sorted);
  }

  void skip_table_constant() {
    enum : std::uint32_t { kNil, kFalse, kTrue, kInt, kNumber, kString };
    const std::uint32_t type = number();
    if (type >= kString) {
      pos_ += type - kString;
    } else if (type == kInt) {
      number();
    } else if (type == kNumber) {
      number();
      number();
    }
  }

  void read_code(std::size_t at, std::uint32_t count, const std::vector<std::string>& strings,
                 Prototype& proto) {
    const auto field = [&](std::uint32_t i, unsigned offset) {
      return static_cast<unsigned char>(bytes_[at + std::size_t{i} * 4 + offset]);
    };
    const auto constant = [&](std::uint32_t i) -> const std::string* {
      const unsigned number_of = field(i, 2) | static_cast<unsigned>(field(i, 3)) << 8;
      return number_of < strings.size() ? &strings[number_of] : nullptr;
    };
    for (std::uint32_t i = 0; i < count; ++i) {
      const unsigned char op = field(i, 0);
      if (op != opcodes_.global_get && op != opcodes_.global_set) continue;
      const std::string* name = constant(i);
      if (name == nullptr) continue;
      add(op == opcodes_.global_get ? proto.globals_read : proto.globals_written, *name);
      const bool loads = op == opcodes_.global_get && (*name == "require" || *name == "import");
      // The callee sits in slot A, the first argument two above it.
      if (!loads || i + 1 >= count || field(i + 1, 0) != opcodes_.string_constant) continue;
      if (field(i + 1, 1) != field(i, 1) + 2) continue;
      if (const std::string* what = constant(i + 1)) add(proto.required, *what);
    }
  }

  CompiledChunk& chunk_;
  std::string& bytes_;
  const Opcodes& opcodes_;
  std::size_t pos_ = 0;
  std::size_t base_ = 0;
  bool stripped_ = false;
  std::vector<std::uint32_t> open_;  // prototypes that wait for their parent
};

}  // namespace

std::string CompiledChunk::dump_of(std::uint32_t index) const {
  const Prototype& proto = prototypes[index];
  const std::uint32_t begin = prototypes[proto.first].begin;
  std::string out = header;
  out.append(code, begin, proto.end - begin);
  out.push_back('\0');
  return out;
}

std::int64_t CompiledChunk::find(std::string_view dumped) const {
  CompiledChunk read;
  std::string bytes(dumped);
  DumpReader(read, bytes, Opcodes{}).read();
  // One bit of the flags says whether there are 64-bit literals anywhere: it differs between a file and its
  // functions.
  constexpr std::size_t kFlags = 4;
  if (read.header.size() != header.size() || read.header.compare(0, kFlags, header, 0, kFlags) != 0 ||
      read.header.compare(kFlags + 1, std::string::npos, header, kFlags + 1) != 0) {
    return -1;
  }
  const std::string_view subtree = std::string_view(read.code).substr(0, read.code.size() - 1);
  const auto [begin, end] = by_hash.equal_range(std::hash<std::string_view>{}(subtree));
  for (auto it = begin; it != end; ++it) {
    const Prototype& proto = prototypes[it->second];
    const std::uint32_t from = prototypes[proto.first].begin;
    if (std::string_view(code).substr(from, proto.end - from) == subtree) return it->second;
  }
  return -1;
}

struct ChunkCache::Impl {
  Mutex mutex;
  lua_State* compiler GUARDED_BY(mutex) = nullptr;
  Opcodes opcodes GUARDED_BY(mutex);
  std::unordered_map<std::string, std::shared_ptr<const CompiledChunk>> chunks GUARDED_BY(mutex);

  void start() REQUIRES(mutex) {
    compiler = luaL_newstate();
    SLOTH_CHECK(compiler != nullptr);
    // A literal like 1LL opens LuaJIT's native interface, which lives in this table or is collected while in
    // use.
    lua_newtable(compiler);
    lua_setfield(compiler, LUA_REGISTRYINDEX, "_LOADED");
    const auto instruction = [&](const char* text, int n) REQUIRES(mutex) {
      SLOTH_CHECK(luaL_loadstring(compiler, text) == 0);
      std::string code = dump(compiler);
      lua_pop(compiler, 1);
      CompiledChunk chunk;
      DumpReader(chunk, code, opcodes).read();
      // length, 4 bytes, three counts, debug size, first line, lines: one byte each for texts this small
      return static_cast<unsigned char>(chunk.code[1 + 4 + 3 + 3 + static_cast<std::size_t>(n) * 4]);
    };
    Opcodes found;
    found.global_get = instruction("return x", 0);
    found.string_constant = instruction("return f('x')", 1);
    found.global_set = instruction("x = 1", 1);
    opcodes = found;
  }

  Result<std::shared_ptr<const CompiledChunk>> compile(std::string key, const std::string& name,
                                                       std::string_view text) EXCLUDES(mutex) {
    MutexLock lock(mutex);
    if (const auto found = chunks.find(key); found != chunks.end()) return found->second;
    if (text.starts_with('\x1b')) {
      return Error{Code::kInvalid, name.substr(1) + ": bytecode is not accepted; give the source text"};
    }
    if (compiler == nullptr) start();
    if (luaL_loadbufferx(compiler, text.data(), text.size(), name.c_str(), "t") != 0) {
      std::size_t size = 0;
      const char* message = lua_tolstring(compiler, -1, &size);
      Error error{Code::kInvalid, std::string(message, size)};
      lua_settop(compiler, 0);
      return error;
    }
    auto chunk = std::make_shared<CompiledChunk>();
    chunk->name = name;
    chunk->text = std::string(text);
    chunk->digest = key;
    std::string bytes = dump(compiler);
    lua_settop(compiler, 0);
    DumpReader(*chunk, bytes, opcodes).read();
    chunks.emplace(std::move(key), chunk);
    return std::shared_ptr<const CompiledChunk>(std::move(chunk));
  }
};

ChunkCache::ChunkCache() : impl_(std::make_unique<Impl>()) {}

ChunkCache::~ChunkCache() {
  MutexLock lock(impl_->mutex);
  if (impl_->compiler != nullptr) lua_close(impl_->compiler);
}

Result<std::shared_ptr<const CompiledChunk>> ChunkCache::compile(const std::string& name,
                                                                 std::string_view text) {
  return impl_->compile(digest_of(name, text), name, text);
}

Result<std::shared_ptr<const CompiledChunk>> ChunkCache::compile(const std::string& name,
                                                                 std::string_view text,
                                                                 const std::string& digest) {
  return impl_->compile(digest, name, text);
}

std::shared_ptr<const CompiledChunk> ChunkCache::compile_embedded(const std::string& name,
                                                                  std::string_view text) {
  auto chunk = impl_->compile(fmt::format("{}@{}", name, static_cast<const void*>(text.data())), name, text);
  if (!chunk) log_error("{}", chunk.error().message);
  SLOTH_CHECK(chunk.ok());
  return *chunk;
}

}  // namespace sloth
