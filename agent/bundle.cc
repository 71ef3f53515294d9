#include "agent/bundle.h"

#include <google/protobuf/io/coded_stream.h>

#include <algorithm>
#include <utility>

#include "agent/digest.h"
#include "agent/wire.h"
#include "agent/wire_function.h"
#include "agent/wire_value.h"
#include "sloth/v1/task.pb.h"
#include "sloth/v1/value.pb.h"

namespace sloth {
namespace {

// Arguments larger than this travel as content.
constexpr std::size_t kSmallArguments = std::size_t{64} << 10;
// Values nest up to 100 deep, three messages each.
constexpr int kRecursion = 400;

template <class M>
bool parse(std::string_view bytes, M& message) {
  google::protobuf::io::CodedInputStream stream(reinterpret_cast<const std::uint8_t*>(bytes.data()),
                                                static_cast<int>(bytes.size()));
  stream.SetRecursionLimit(kRecursion);
  return message.ParseFromCodedStream(&stream) && stream.ConsumedEntireMessage();
}

void add_blob(Bundle& bundle, std::string digest, std::shared_ptr<const std::string> bytes) {
  const auto same = [&](const Blob& blob) { return blob.digest == digest; };
  if (std::none_of(bundle.blobs.begin(), bundle.blobs.end(), same)) {
    bundle.blobs.push_back({std::move(digest), std::move(bytes)});
  }
}

// The functions among the three actions, for one store; written once their new numbers are known.
class ActionWriter {
 public:
  void add(const AttemptAction& action, v1::Action& out) {
    if (const auto* shell = std::get_if<ShellCommand>(&action)) {
      out.set_shell(shell->text);
      return;
    }
    const auto& function = std::get<PortableFunction>(action);
    store_ = function.store;  // all functions of one file refer into one store
    roots_.push_back(function.object);
    outs_.push_back(&out);
  }

  void finish(v1::AttemptRequest& request, Bundle& bundle) {
    if (roots_.empty()) return;
    EncodedStore encoded = encode_store(store_, roots_);
    for (std::size_t i = 0; i < outs_.size(); ++i) outs_[i]->set_function(encoded.functions[i]);
    for (std::size_t i = 0; i < encoded.texts.size(); ++i) {
      request.add_texts(encoded.digests[i]);
      add_blob(bundle, encoded.digests[i], encoded.texts[i]);
    }
    request.set_store(sha256(encoded.bytes));
    add_blob(bundle, request.store(), std::make_shared<const std::string>(std::move(encoded.bytes)));
  }

 private:
  std::shared_ptr<const PortableStore> store_;
  std::vector<std::uint32_t> roots_;
  std::vector<v1::Action*> outs_;
};

void write_arguments(const TaskRequest& request, v1::AttemptRequest& out, Bundle& bundle) {
  v1::Arguments arguments;
  Value::Map params = request.params;
  // The run's directory means nothing elsewhere; the attempt puts its own there.
  params.erase(MapKey(std::string("workdir")));
  to_wire(params, *arguments.mutable_params());
  to_wire(request.deps, *arguments.mutable_deps());
  to_wire(request.values, *arguments.mutable_values());
  std::string bytes = arguments.SerializeAsString();
  if (bytes.size() <= kSmallArguments) {
    *out.mutable_arguments() = std::move(arguments);
    return;
  }
  out.set_arguments_digest(sha256(bytes));
  add_blob(bundle, out.arguments_digest(), std::make_shared<const std::string>(std::move(bytes)));
}

Result<v1::AttemptRequest> parse_request(std::string_view bytes) {
  v1::AttemptRequest request;
  const auto bad = [](const char* what) { return Error{Code::kInvalid, std::string("bundle: ") + what}; };
  if (!parse(bytes, request)) return bad("not an encoded request");
  if (!is_name(request.run()) || !is_name(request.agent())) return bad("wrong name of run or agent");
  if (request.task().empty() || request.task().size() > 4096) return bad("wrong name of the task");
  if (request.attempt() < 1 || request.attempt() > 1'000'000) return bad("wrong number of the attempt");
  if (request.timeout_ns() < 0) return bad("wrong timeout");
  if (!request.store().empty() && !is_digest(request.store())) return bad("wrong digest of the functions");
  if (!request.arguments_digest().empty() && !is_digest(request.arguments_digest())) {
    return bad("wrong digest of the arguments");
  }
  if (!std::all_of(request.texts().begin(), request.texts().end(), [](const auto& text) { return is_digest(text); })) {
    return bad("wrong digest of a text");
  }
  return request;
}

Result<AttemptAction> read_action(const v1::Action& in, const std::shared_ptr<const PortableStore>& store) {
  switch (in.kind_case()) {
    case v1::Action::kShell: return AttemptAction(ShellCommand{in.shell()});
    case v1::Action::kFunction:
      if (store == nullptr || in.function() >= store->objects.size() ||
          !std::holds_alternative<PortableClosure>(store->objects[in.function()])) {
        break;
      }
      return AttemptAction(PortableFunction{store, in.function()});
    case v1::Action::KIND_NOT_SET: break;
  }
  return Error{Code::kInvalid, "bundle: an action without function or command"};
}

Result<void> read_arguments(const v1::Arguments& in, TaskRequest& out) {
  auto params = from_wire(in.params());
  if (!params) return params.error();
  auto deps = from_wire(in.deps());
  if (!deps) return deps.error();
  auto values = from_wire(in.values());
  if (!values) return values.error();
  out.params = std::move(*params);
  out.deps = std::move(*deps);
  out.values = std::move(*values);
  return {};
}

constexpr std::pair<OutcomeKind, const char*> kEnds[] = {{OutcomeKind::kSucceeded, "succeeded"},
                                                         {OutcomeKind::kFailed, "failed"},
                                                         {OutcomeKind::kTimedOut, "timed_out"},
                                                         {OutcomeKind::kCancelled, "cancelled"},
                                                         {OutcomeKind::kUnknown, "unknown"},
                                                         {OutcomeKind::kRefused, "refused"},
                                                         {OutcomeKind::kUnreachable, "unreachable"}};

}  // namespace

Bundle encode_bundle(const TaskRequest& request, const BundleExtras& extras) {
  const TaskSpec& spec = *request.spec;
  Bundle bundle;
  v1::AttemptRequest out;
  out.set_run(request.run);
  out.set_task(spec.name);
  out.set_workflow(spec.workflow);
  out.set_agent(extras.agent);
  out.set_user(extras.user);
  out.set_attempt(static_cast<std::uint32_t>(request.attempt));
  if (spec.timeout) out.set_timeout_ns(spec.timeout->count());
  out.set_workdir(spec.workdir);
  for (const auto& [name, value] : spec.env) {
    v1::EnvironmentEntry& entry = *out.add_environment();
    entry.set_name(name);
    entry.set_value(value);
  }
  ActionWriter actions;
  actions.add(spec.command, *out.mutable_command());
  if (spec.pre_hook) actions.add(*spec.pre_hook, *out.mutable_pre_hook());
  if (spec.post_hook) actions.add(*spec.post_hook, *out.mutable_post_hook());
  actions.finish(out, bundle);
  write_arguments(request, out, bundle);
  bundle.request = out.SerializeAsString();
  bundle.digest = sha256(bundle.request);
  return bundle;
}

Result<std::vector<std::string>> blobs_of(std::string_view request) {
  auto parsed = parse_request(request);
  if (!parsed) return parsed.error();
  std::vector<std::string> digests(parsed->texts().begin(), parsed->texts().end());
  if (!parsed->store().empty()) digests.push_back(parsed->store());
  if (!parsed->arguments_digest().empty()) digests.push_back(parsed->arguments_digest());
  return digests;
}

Result<Unbundled> decode_bundle(std::string_view request,
                                const std::function<Result<std::string>(const std::string& digest)>& blob) {
  auto in = parse_request(request);
  if (!in) return in.error();
  std::shared_ptr<const PortableStore> store;
  if (!in->store().empty()) {
    auto bytes = blob(in->store());
    if (!bytes) return bytes.error();
    auto decoded = decode_store(*bytes, blob);
    if (!decoded) return decoded.error();
    store = std::move(*decoded);
  }
  auto spec = std::make_shared<TaskSpec>();
  spec->name = in->task();
  spec->workflow = in->workflow();
  spec->workdir = in->workdir();
  if (in->timeout_ns() > 0) spec->timeout = Duration(in->timeout_ns());
  for (const v1::EnvironmentEntry& entry : in->environment()) spec->env.insert_or_assign(entry.name(), entry.value());
  auto command = read_action(in->command(), store);
  if (!command) return command.error();
  spec->command = std::move(*command);
  const auto read_hook = [&](bool said, const v1::Action& action, std::optional<AttemptAction>& hook) -> Result<void> {
    if (!said) return {};
    auto read = read_action(action, store);
    if (!read) return read.error();
    hook = std::move(*read);
    return {};
  };
  if (auto read = read_hook(in->has_pre_hook(), in->pre_hook(), spec->pre_hook); !read) return read.error();
  if (auto read = read_hook(in->has_post_hook(), in->post_hook(), spec->post_hook); !read) return read.error();

  Unbundled unbundled;
  unbundled.extras = {in->user(), in->agent()};
  TaskRequest& out = unbundled.request;
  out.run = in->run();
  out.attempt = static_cast<int>(in->attempt());
  v1::Arguments apart;
  if (!in->arguments_digest().empty()) {
    auto bytes = blob(in->arguments_digest());
    if (!bytes) return bytes.error();
    if (!parse(*bytes, apart)) return Error{Code::kInvalid, "bundle: not encoded arguments"};
  }
  if (auto read = read_arguments(in->arguments_digest().empty() ? in->arguments() : apart, out); !read) {
    return read.error().in("bundle");
  }
  out.spec = std::move(spec);
  return unbundled;
}

Result<BundleHead> read_bundle_head(std::string_view request) {
  auto in = parse_request(request);
  if (!in) return in.error();
  BundleHead head{in->task(), in->user(), std::nullopt};
  if (in->timeout_ns() > 0) head.timeout = Duration(in->timeout_ns());
  return head;
}

std::string encode_outcome(const Outcome& outcome) {
  v1::Outcome out;
  for (const auto& [kind, name] : kEnds) {
    if (kind == outcome.kind) out.set_kind(name);
  }
  SLOTH_CHECK(!out.kind().empty());
  out.set_message(outcome.message);
  out.set_traceback(outcome.traceback);
  out.set_place(outcome.place);
  to_wire(outcome.outputs, *out.mutable_outputs());
  out.set_unchanged(!outcome.changed);
  out.set_elapsed_ns(outcome.elapsed.count());
  for (const std::string& warning : outcome.warnings) out.add_warnings(warning);
  return out.SerializeAsString();
}

Result<Outcome> decode_outcome(std::string_view bytes) {
  v1::Outcome in;
  if (!parse(bytes, in)) return Error{Code::kInvalid, "not an encoded outcome"};
  Outcome outcome;
  const auto* end = std::find_if(std::begin(kEnds), std::end(kEnds), [&](const auto& e) { return in.kind() == e.second; });
  if (end == std::end(kEnds)) return Error{Code::kInvalid, "an outcome of unknown kind"};
  auto outputs = from_wire(in.outputs());
  if (!outputs) return outputs.error();
  outcome.kind = end->first;
  outcome.message = in.message();
  outcome.traceback = in.traceback();
  outcome.place = in.place();
  outcome.outputs = std::move(*outputs);
  outcome.changed = !in.unchanged();
  outcome.elapsed = Duration(in.elapsed_ns());
  outcome.warnings.assign(in.warnings().begin(), in.warnings().end());
  return outcome;
}

}  // namespace sloth
