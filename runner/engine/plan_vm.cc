#include "runner/engine/plan_vm.h"

#include <fmt/format.h>

#include <charconv>
#include <future>
#include <optional>

#include "runner/base/duration.h"
#include "runner/dsl/dsl.h"
#include "runner/engine/answer.h"
#include "runner/engine/task_scope.h"
#include "runner/exec/strand.h"
#include "runner/goroutine/scheduler.h"
#include "runner/lua/value_codec.h"
#include "runner/lua/vm.h"

namespace sloth {
namespace {

std::optional<Place> place_from(const std::string& text) {
  const auto colon = text.rfind(':');
  if (colon == std::string::npos) return std::nullopt;
  Place place{text.substr(0, colon), 0};
  const char* end = text.data() + text.size();
  const auto read = std::from_chars(text.data() + colon + 1, end, place.line);
  if (read.ec != std::errc() || read.ptr != end) return std::nullopt;
  return place;
}

}  // namespace

// Lives on the strand; jobs hold it.
class PlanVm::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(PlanVmOptions options, Host host)
      : strand(*options.executor), options_(options), host_(std::move(host)) {}

  const Strand strand;

  void open() {
    vm_ = Vm::open({.host = &host_, .chunks = options_.chunks, .interrupter = options_.interrupter});
    // Before the modules: `goroutine` asks for it when it is installed.
    scheduler_ = std::make_unique<Scheduler>(*vm_, strand, Scheduler::Options{.clock = options_.clock});
    for (const Module& module : *options_.modules) vm_->install(module);
    scope_ = std::make_unique<TaskScope>(*vm_);
    dsl_ = std::make_unique<Dsl>(*vm_);
    vm_->seal();
  }

  void close() {
    scheduler_.reset();
    dsl_.reset();
    scope_.reset();
    vm_.reset();
  }

  void load(File file, std::stop_token stop, UniqueFunction<void(Result<Workflow>)> done) {
    lua_State* L = vm_->state();
    if (auto pushed = dsl_->push_loader(L, file.name, file.text); !pushed) return done(pushed.error());
    const int function = luaL_ref(L, LUA_REGISTRYINDEX);
    std::string what = "load " + file.name;
    run_root(
        std::move(what), {}, std::move(stop),
        [function](lua_State* to) {
          lua_rawgeti(to, LUA_REGISTRYINDEX, function);
          return 0;
        },
        [this, file = std::move(file), done = std::move(done)](RootOutcome root, lua_State*, int) mutable {
          if (root.kind == RootOutcome::Kind::kCancelled) return done(Error{Code::kCancelled, "interrupted"});
          if (root.kind != RootOutcome::Kind::kReturned) return done(load_error(root.failure));
          if (!root.unawaited.empty()) return done(load_error(root.unawaited.front()));
          Result<Workflow> workflow = dsl_->finish(vm_->state(), file.name, file.directory);
          if (workflow) {
            auto& warnings = workflow->warnings;
            warnings.insert(warnings.end(), root.warnings.begin(), root.warnings.end());
          }
          done(std::move(workflow));
        });
  }

  void call(OperatorCall call, std::stop_token stop, UniqueFunction<void(Result<OperatorAnswer>)> done) {
    std::string what = call.what;
    auto name = what;
    run_root(
        std::move(name), kOperatorLimit, std::move(stop),
        [this, call = std::move(call)](lua_State* L) { return push_call(L, call); },
        [what = std::move(what), done = std::move(done)](RootOutcome root, lua_State* L,
                                                         int results) mutable {
          const auto error = [&](const std::string& message) {
            return Error{Code::kInvalid, what + ": " + message};
          };
          switch (root.kind) {
            case RootOutcome::Kind::kRaised: return done(error(root.failure.message));
            case RootOutcome::Kind::kTimedOut:
              return done(error("ended after " + format_duration(kOperatorLimit)));
            case RootOutcome::Kind::kCancelled: return done(Error{Code::kCancelled, what + ": cancelled"});
            case RootOutcome::Kind::kReturned: break;
          }
          if (!root.unawaited.empty()) return done(error(root.unawaited.front().message));
          done(operator_answer(L, results));
        });
  }

  std::string excerpt(const std::string& text) {
    const auto place = place_from(text);
    return place ? dsl_->excerpt(*place) : "";
  }

 private:
  // What a stop request needs while a root runs.
  using OnStop = std::optional<std::stop_callback<UniqueFunction<void()>>>;

  void run_root(std::string name, Duration timeout, std::stop_token stop, Push push,
                Scheduler::RootDone done) {
    auto on_stop = std::make_shared<OnStop>();
    auto ended = std::make_shared<bool>(false);
    const Scheduler::RootId root = scheduler_->start_root(
        {.name = std::move(name), .timeout = timeout}, std::move(push),
        [on_stop, ended, done = std::move(done)](RootOutcome outcome, lua_State* L, int results) mutable {
          *ended = true;
          on_stop->reset();
          done(std::move(outcome), L, results);
        });
    if (*ended) return;
    // Not by way of the strand, which an endless loop occupies. The scheduler outlives what waits for a stop.
    on_stop->emplace(std::move(stop),
                     [self = shared_from_this(), root] { self->scheduler_->cancel_root(root, "cancelled"); });
  }

  int push_call(lua_State* L, const OperatorCall& call) {
    if (const auto* shell = std::get_if<ShellCommand>(&call.action)) {
      return scope_->push_shell(L, shell->text, call.self ? call.self->workdir : "", call.env);
    }
    lua_State* main = vm_->state();
    dsl_->push_plan_function(main, std::get<PlanFunction>(call.action));
    lua_xmove(main, L, main == L ? 0 : 1);
    if (call.self) scope_->push_this(L, *call.self);
    for (const Value& argument : call.arguments) push_value(L, argument);
    return static_cast<int>(call.arguments.size()) + (call.self ? 1 : 0);
  }

  [[nodiscard]] Error load_error(const Vm::Failure& failure) {
    std::string text = failure.message;
    if (const std::string line = excerpt(failure.place); !line.empty()) text += "\n" + line;
    if (!failure.traceback.empty()) text += "\n" + failure.traceback;
    while (text.ends_with('\n')) text.pop_back();
    return Error{Code::kInvalid, std::move(text)};
  }

  const PlanVmOptions options_;
  Host host_;
  std::unique_ptr<Vm> vm_;
  std::unique_ptr<TaskScope> scope_;
  std::unique_ptr<Dsl> dsl_;
  std::unique_ptr<Scheduler> scheduler_;
};

PlanVm::PlanVm(PlanVmOptions options, Host host) : impl_(std::make_shared<Impl>(options, std::move(host))) {
  impl_->strand.post([impl = impl_] { impl->open(); });
}

PlanVm::~PlanVm() {
  std::promise<void> closed;
  if (impl_->strand.post([impl = impl_, &closed] {
        impl->close();
        closed.set_value();
      })) {
    closed.get_future().wait();
  }
}

void PlanVm::load(File file, std::stop_token stop, UniqueFunction<void(Result<Workflow>)> done) {
  impl_->strand.post(
      [impl = impl_, file = std::move(file), stop = std::move(stop), done = std::move(done)]() mutable {
        impl->load(std::move(file), std::move(stop), std::move(done));
      });
}

void PlanVm::call(OperatorCall call, std::stop_token stop,
                  UniqueFunction<void(Result<OperatorAnswer>)> done) {
  impl_->strand.post(
      [impl = impl_, call = std::move(call), stop = std::move(stop), done = std::move(done)]() mutable {
        impl->call(std::move(call), std::move(stop), std::move(done));
      });
}

std::string PlanVm::excerpt(const std::string& place) {
  std::promise<std::string> text;
  if (!impl_->strand.post([impl = impl_, &place, &text] { text.set_value(impl->excerpt(place)); })) return "";
  return text.get_future().get();
}

}  // namespace sloth
