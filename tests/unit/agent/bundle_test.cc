#include "agent/bundle.h"

#include <catch2/catch.hpp>

#include <random>

#include "agent/digest.h"

namespace sloth::test {
namespace {

// Two functions that share a cell, and one that nobody asks for, with a secret.
std::shared_ptr<const PortableStore> sample_store() {
  auto store = std::make_shared<PortableStore>();
  store->chunks = {{"@tasks.lua", "return 1", "d1"}, {"@other.lua", "return 2", "d2"}};
  store->cells = {std::string("shared"), PortableRef{3}, std::string("SECRET")};
  PortableClosure first{0, 4, {0, 1}, {{"helper", PortableRef{1}}}, {{"lib", 0}}};
  PortableClosure helper{0, 2, {0}, {}, {}};
  PortableClosure stranger{1, 1, {2}, {}, {}};
  PortableTable table;
  table.entries = {{std::string("self"), PortableRef{3}}, {2.5, PortableInteger{7, true}}, {true, PortableBuiltin{"string.format"}}};
  table.path = "config";
  store->objects = {first, helper, stranger, table};
  store->modules = {{"lib", PortableRef{3}, -1}, {"unused", std::string("SECRET"), 1}};
  store->library_fields = {{"string", "trim", PortableRef{1}}};
  return store;
}

TaskRequest sample_request() {
  auto spec = std::make_shared<TaskSpec>();
  spec->name = "build \xff";
  spec->command = PortableFunction{sample_store(), 0};
  spec->pre_hook = PortableFunction{std::get<PortableFunction>(spec->command).store, 1};
  spec->post_hook = ShellCommand{"true"};
  spec->timeout = std::chrono::minutes(30);
  spec->env = {{"A", "1"}, {"B", std::string("\0", 1)}};
  TaskRequest request;
  request.spec = spec;
  request.run = "run-1";
  request.attempt = 2;
  request.workdir = "/here";
  request.params = {{"env", "prod"}, {"workdir", "/here"}};
  request.deps = {{"a", Value::Map{{"n", Value::List{1, Value(), "x"}}, {3.5, true}, {false, "f"}}}};
  request.values = Value::Map{{"deep", Value::Map{{"er", 1e300}}}};
  return request;
}

Result<Unbundled> decode(const Bundle& bundle) {
  return decode_bundle(bundle.request, [&](const std::string& digest) -> Result<std::string> {
    for (const Blob& blob : bundle.blobs) {
      if (blob.digest == digest) return *blob.bytes;
    }
    return Error{Code::kNotFound, digest};
  });
}

TEST_CASE("a request comes back from its bundle") {
  const TaskRequest request = sample_request();
  const Bundle bundle = encode_bundle(request, {"deploy", "web-1"});
  CHECK(bundle.digest == sha256(bundle.request));
  for (const Blob& blob : bundle.blobs) CHECK(blob.digest == sha256(*blob.bytes));
  const auto back = decode(bundle);
  if (!back) FAIL(back.error().message);
  CHECK(back->extras.user == "deploy");
  CHECK(back->extras.agent == "web-1");
  CHECK(back->request.run == "run-1");
  CHECK(back->request.attempt == 2);
  CHECK(back->request.deps == request.deps);
  CHECK(back->request.values == request.values);
  CHECK(back->request.params == Value::Map{{"env", "prod"}});
  const TaskSpec& spec = *back->request.spec;
  CHECK(spec.name == "build \xff");
  CHECK(spec.timeout == Duration(std::chrono::minutes(30)));
  CHECK(spec.env == request.spec->env);
  CHECK(std::get<ShellCommand>(*spec.post_hook).text == "true");
  const auto& command = std::get<PortableFunction>(spec.command);
  CHECK(std::get<PortableFunction>(*spec.pre_hook).store == command.store);
  const auto& closure = std::get<PortableClosure>(command.store->objects[command.object]);
  CHECK(closure.prototype == 4);
  CHECK(command.store->chunks[closure.chunk].text == "return 1");
  CHECK(command.store->cells[closure.upvalues[0]] == PortableValue(std::string("shared")));
  REQUIRE(closure.requires_.size() == 1);
  CHECK(command.store->modules[closure.requires_[0].second].name == "lib");
}

TEST_CASE("a bundle holds what the task reaches and nothing else") {
  const Bundle bundle = encode_bundle(sample_request(), {"", "web-1"});
  CHECK(bundle.request.find("SECRET") == std::string::npos);
  for (const Blob& blob : bundle.blobs) {
    CHECK(blob.bytes->find("SECRET") == std::string::npos);
    CHECK(*blob.bytes != "return 2");
  }
  CHECK(bundle.blobs.size() == 2);
}

TEST_CASE("the same request is the same bundle, and any change another one") {
  const Bundle bundle = encode_bundle(sample_request(), {"", "web-1"});
  CHECK(encode_bundle(sample_request(), {"", "web-1"}).digest == bundle.digest);
  CHECK(encode_bundle(sample_request(), {"", "web-2"}).digest != bundle.digest);
  TaskRequest other = sample_request();
  other.params["env"] = "test";
  CHECK(encode_bundle(other, {"", "web-1"}).digest != bundle.digest);
}

TEST_CASE("large arguments travel as content") {
  TaskRequest request = sample_request();
  request.params["big"] = std::string(300'000, 'x');
  const Bundle bundle = encode_bundle(request, {"", "web-1"});
  CHECK(bundle.request.size() < 1000);
  CHECK(bundle.blobs.size() == 3);
  CHECK(blobs_of(bundle.request)->size() == 3);
  CHECK(decode(bundle)->request.params.at("big").as_string().size() == 300'000);
}

TEST_CASE("values may be nested as deep as anywhere") {
  Value deep = 1;
  for (int i = 0; i < 99; ++i) deep = i % 2 == 0 ? Value(Value::List{std::move(deep)}) : Value(Value::Map{{"k", std::move(deep)}});
  TaskRequest request = sample_request();
  request.values = deep;
  CHECK(decode(encode_bundle(request, {"", "a"}))->request.values == deep);
}

TEST_CASE("the head of a bundle says who it is for") {
  const auto head = read_bundle_head(encode_bundle(sample_request(), {"deploy", "web-1"}).request);
  REQUIRE(head.ok());
  CHECK(head->task == "build \xff");
  CHECK(head->user == "deploy");
  CHECK(head->timeout == Duration(std::chrono::minutes(30)));
}

TEST_CASE("damaged bundles are errors, never crashes") {
  const Bundle bundle = encode_bundle(sample_request(), {"", "web-1"});
  std::mt19937 random(7);
  for (int round = 0; round < 5000; ++round) {
    Bundle damaged = bundle;
    const auto spoil = [&](std::string& bytes) {
      if (!bytes.empty()) bytes[random() % bytes.size()] = static_cast<char>(random());
    };
    spoil(damaged.request);
    for (Blob& blob : damaged.blobs) {
      std::string bytes = *blob.bytes;
      spoil(bytes);
      blob.bytes = std::make_shared<const std::string>(std::move(bytes));
    }
    static_cast<void>(decode(damaged));
    static_cast<void>(blobs_of(damaged.request));
  }
  CHECK(decode_bundle(bundle.request, [](const std::string& digest) -> Result<std::string> {
          return Error{Code::kNotFound, digest};
        }).error().code == Code::kNotFound);
}

TEST_CASE("an outcome comes back as it was") {
  Outcome outcome;
  outcome.kind = OutcomeKind::kTimedOut;
  outcome.message = "timed out \xff";
  outcome.traceback = "t";
  outcome.place = "tasks.lua:3";
  outcome.outputs = Value::Map{{"a", 1}};
  outcome.changed = false;
  outcome.elapsed = std::chrono::milliseconds(5);
  outcome.warnings = {"w1", "w2"};
  const auto back = decode_outcome(encode_outcome(outcome));
  REQUIRE(back.ok());
  CHECK(back->kind == outcome.kind);
  CHECK(back->message == outcome.message);
  CHECK(back->traceback == "t");
  CHECK(back->place == "tasks.lua:3");
  CHECK(back->outputs == outcome.outputs);
  CHECK_FALSE(back->changed);
  CHECK(back->elapsed == outcome.elapsed);
  CHECK(back->warnings == outcome.warnings);
  CHECK_FALSE(decode_outcome("nonsense").ok());
}

}  // namespace
}  // namespace sloth::test
