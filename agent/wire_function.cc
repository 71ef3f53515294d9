#include "agent/wire_function.h"

#include <fmt/format.h>

#include <utility>

#include "agent/digest.h"
#include "sloth/v1/value.pb.h"

namespace sloth {
namespace {

constexpr std::uint32_t kNone = 0xffffffffU;

// Which entries of a list are reached, and their new numbers, in the old order.
class Numbering {
 public:
  explicit Numbering(std::size_t size) : numbers_(size, kNone) {}

  // True the first time.
  bool reach(std::size_t index) { return std::exchange(numbers_[index], 0) == kNone; }
  void number() {
    std::uint32_t next = 0;
    for (std::uint32_t& number : numbers_) {
      if (number != kNone) number = next++;
    }
  }
  [[nodiscard]] bool has(std::size_t index) const { return numbers_[index] != kNone; }
  [[nodiscard]] std::uint32_t of(std::size_t index) const { return numbers_[index]; }

 private:
  std::vector<std::uint32_t> numbers_;
};

class Encoder {
 public:
  explicit Encoder(const PortableStore& store)
      : store_(store),
        chunks_(store.chunks.size()),
        objects_(store.objects.size()),
        cells_(store.cells.size()),
        modules_(store.modules.size()) {}

  EncodedStore encode(const std::vector<std::uint32_t>& roots) {
    for (const std::uint32_t root : roots) reach_object(root);
    for (const auto& field : store_.library_fields) reach(field.value);
    while (!waiting_.empty()) {
      const std::uint32_t object = waiting_.back();
      waiting_.pop_back();
      walk(store_.objects[object]);
    }
    chunks_.number();
    objects_.number();
    cells_.number();
    modules_.number();

    EncodedStore encoded;
    v1::Store out;
    for (std::size_t i = 0; i < store_.chunks.size(); ++i) {
      if (!chunks_.has(i)) continue;
      const PortableChunk& chunk = store_.chunks[i];
      encoded.texts.push_back(std::make_shared<const std::string>(chunk.text));
      encoded.digests.push_back(sha256(chunk.text));
      out.add_chunks()->set_name(chunk.name);
      out.mutable_chunks()->rbegin()->set_digest(encoded.digests.back());
    }
    for (std::size_t i = 0; i < store_.objects.size(); ++i) {
      if (!objects_.has(i)) continue;
      v1::Object& object = *out.add_objects();
      std::visit([&](const auto& kind) { write(kind, object); }, store_.objects[i]);
    }
    for (std::size_t i = 0; i < store_.cells.size(); ++i) {
      if (cells_.has(i)) write(store_.cells[i], *out.add_cells());
    }
    for (std::size_t i = 0; i < store_.modules.size(); ++i) {
      if (!modules_.has(i)) continue;
      v1::Module& module = *out.add_modules();
      module.set_name(store_.modules[i].name);
      write(store_.modules[i].loaded, *module.mutable_loaded());
      const std::int64_t chunk = store_.modules[i].chunk;
      module.set_chunk(chunk < 0 ? std::int64_t{-1} : chunks_.of(static_cast<std::size_t>(chunk)));
    }
    for (const auto& field : store_.library_fields) {
      v1::LibraryField& written = *out.add_fields();
      written.set_library(field.library);
      written.set_name(field.name);
      write(field.value, *written.mutable_value());
    }
    encoded.bytes = out.SerializeAsString();
    for (const std::uint32_t root : roots) encoded.functions.push_back(objects_.of(root));
    return encoded;
  }

 private:
  void reach_object(std::uint32_t object) {
    if (objects_.reach(object)) waiting_.push_back(object);
  }
  void reach(const PortableValue& value) {
    if (const auto* reference = std::get_if<PortableRef>(&value)) reach_object(reference->object);
  }
  void walk(const PortableObject& object) {
    if (const auto* table = std::get_if<PortableTable>(&object)) {
      for (const auto& [key, value] : table->entries) {
        reach(key);
        reach(value);
      }
      reach(table->metatable);
      return;
    }
    const auto& closure = std::get<PortableClosure>(object);
    chunks_.reach(closure.chunk);
    for (const std::uint32_t cell : closure.upvalues) {
      if (cells_.reach(cell)) reach(store_.cells[cell]);
    }
    for (const auto& global : closure.globals) reach(global.second);
    for (const auto& required : closure.requires_) {
      if (!modules_.reach(required.second)) continue;
      const PortableModule& module = store_.modules[required.second];
      reach(module.loaded);
      if (module.chunk >= 0) chunks_.reach(static_cast<std::size_t>(module.chunk));
    }
  }

  void write(const PortableValue& value, v1::GraphValue& out) const {
    if (const auto* flag = std::get_if<bool>(&value)) out.set_boolean(*flag);
    if (const auto* number = std::get_if<double>(&value)) out.set_number(*number);
    if (const auto* text = std::get_if<std::string>(&value)) out.set_text(*text);
    if (const auto* builtin = std::get_if<PortableBuiltin>(&value)) out.set_builtin(builtin->path);
    if (const auto* reference = std::get_if<PortableRef>(&value)) out.set_object(objects_.of(reference->object));
    if (const auto* integer = std::get_if<PortableInteger>(&value)) {
      if (integer->is_unsigned) {
        out.set_unsigned_integer(integer->bits);
      } else {
        out.set_integer(integer->bits);
      }
    }
  }
  void write(const PortableTable& table, v1::Object& object) const {
    v1::Table& out = *object.mutable_table();
    for (const auto& [key, value] : table.entries) {
      v1::Table::Entry& entry = *out.add_entries();
      write(key, *entry.mutable_key());
      write(value, *entry.mutable_value());
    }
    write(table.metatable, *out.mutable_metatable());
    out.set_path(table.path);
  }
  void write(const PortableClosure& closure, v1::Object& object) const {
    v1::Closure& out = *object.mutable_closure();
    out.set_chunk(chunks_.of(closure.chunk));
    out.set_prototype(closure.prototype);
    for (const std::uint32_t cell : closure.upvalues) out.add_upvalues(cells_.of(cell));
    for (const auto& [name, value] : closure.globals) {
      v1::Closure::Global& global = *out.add_globals();
      global.set_name(name);
      write(value, *global.mutable_value());
    }
    for (const auto& [name, module] : closure.requires_) {
      v1::Closure::Require& required = *out.add_required();
      required.set_name(name);
      required.set_module(modules_.of(module));
    }
  }

  const PortableStore& store_;
  Numbering chunks_, objects_, cells_, modules_;
  std::vector<std::uint32_t> waiting_;
};

class Decoder {
 public:
  explicit Decoder(const v1::Store& in) : in_(in) {}

  Result<std::shared_ptr<const PortableStore>> decode(
      const std::function<Result<std::string>(const std::string& digest)>& text) {
    auto store = std::make_shared<PortableStore>();
    for (const v1::Chunk& chunk : in_.chunks()) {
      auto source = text(chunk.digest());
      if (!source) return source.error();
      // Unlike any digest that the local compiler cache makes.
      store->chunks.push_back({chunk.name(), std::move(*source), fmt::format("{}:{}", chunk.digest(), chunk.name())});
    }
    for (const v1::Object& object : in_.objects()) {
      if (object.has_table()) {
        store->objects.emplace_back(read(object.table()));
      } else {
        store->objects.emplace_back(read(object.closure()));
      }
    }
    for (const v1::GraphValue& cell : in_.cells()) store->cells.push_back(read(cell));
    for (const v1::Module& module : in_.modules()) {
      check(module.chunk() >= -1 && module.chunk() < in_.chunks_size());
      store->modules.push_back({module.name(), read(module.loaded()), module.chunk()});
    }
    for (const v1::LibraryField& field : in_.fields()) {
      store->library_fields.push_back({field.library(), field.name(), read(field.value())});
    }
    if (!sound_) return Error{Code::kInvalid, "a store of functions that refers to what it does not hold"};
    return std::shared_ptr<const PortableStore>(std::move(store));
  }

 private:
  void check(bool right) { sound_ = sound_ && right; }

  PortableValue read(const v1::GraphValue& in) {
    switch (in.kind_case()) {
      case v1::GraphValue::KIND_NOT_SET: return std::monostate();
      case v1::GraphValue::kBoolean: return in.boolean();
      case v1::GraphValue::kNumber: return in.number();
      case v1::GraphValue::kText: return in.text();
      case v1::GraphValue::kBuiltin: return PortableBuiltin{in.builtin()};
      case v1::GraphValue::kObject:
        check(in.object() < static_cast<std::uint32_t>(in_.objects_size()));
        return PortableRef{in.object()};
      case v1::GraphValue::kInteger: return PortableInteger{in.integer(), false};
      case v1::GraphValue::kUnsignedInteger: return PortableInteger{in.unsigned_integer(), true};
    }
    return std::monostate();
  }
  PortableTable read(const v1::Table& in) {
    PortableTable table;
    for (const v1::Table::Entry& entry : in.entries()) table.entries.emplace_back(read(entry.key()), read(entry.value()));
    table.metatable = read(in.metatable());
    table.path = in.path();
    return table;
  }
  PortableClosure read(const v1::Closure& in) {
    PortableClosure closure;
    check(in.chunk() < static_cast<std::uint32_t>(in_.chunks_size()));
    closure.chunk = in.chunk();
    closure.prototype = in.prototype();
    for (const std::uint32_t cell : in.upvalues()) {
      check(cell < static_cast<std::uint32_t>(in_.cells_size()));
      closure.upvalues.push_back(cell);
    }
    for (const v1::Closure::Global& global : in.globals()) {
      closure.globals.emplace_back(global.name(), read(global.value()));
    }
    for (const v1::Closure::Require& required : in.required()) {
      check(required.module() < static_cast<std::uint32_t>(in_.modules_size()));
      closure.requires_.emplace_back(required.name(), required.module());
    }
    return closure;
  }

  const v1::Store& in_;
  bool sound_ = true;
};

}  // namespace

EncodedStore encode_store(const std::shared_ptr<const PortableStore>& store, const std::vector<std::uint32_t>& roots) {
  return Encoder(*store).encode(roots);
}

Result<std::shared_ptr<const PortableStore>> decode_store(
    const std::string& bytes, const std::function<Result<std::string>(const std::string& digest)>& text) {
  v1::Store store;
  if (!store.ParseFromString(bytes)) return Error{Code::kInvalid, "not an encoded store of functions"};
  return Decoder(store).decode(text);
}

}  // namespace sloth
