#include "runner/engine/plan_vm.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <future>
#include <map>
#include <optional>

#include "runner/base/duration.h"
#include "runner/base/mutex.h"
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

// A load or call from when it is asked until it is answered, which happens once.
struct PlanVm::Question {
  std::string what;
  std::stop_token stop;
  UniqueFunction<void(Error)> refuse;
  TimePoint limit = TimePoint::max();
  TimePoint stop_seen = TimePoint::max();
};

// Lives on the strand; jobs hold it.
class PlanVm::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(PlanVmOptions options, Host host)
      : strand(*options.executor), options_(options), host_(std::move(host)) {
    host_.write = [this, write = std::move(host_.write)](OutputStream stream,
                                                         std::string_view bytes) mutable {
      MutexLock lock(sink_mutex_);
      if (!silent_ && write) write(stream, bytes);
    };
    host_.log = [this, log = std::move(host_.log)](Severity severity, std::string_view text,
                                                   const Value& fields) mutable {
      MutexLock lock(sink_mutex_);
      if (!silent_ && log) log(severity, text, fields);
    };
  }

  const Strand strand;

  // Returns the number under which it is kept; 0 when it was refused at once.
  std::uint64_t ask(Question question) EXCLUDES(mutex_) {
    {
      MutexLock lock(mutex_);
      if (!stuck_) {
        questions_.emplace(++asked_, std::move(question));
        return asked_;
      }
    }
    question.refuse(too_long(question.what));
    return 0;
  }
  // False: it has been refused.
  bool answered(std::uint64_t number) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return questions_.erase(number) != 0;
  }
  bool stuck() EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return stuck_;
  }

  void open() {
    vm_ = Vm::open({.host = &host_, .chunks = options_.chunks, .interrupter = options_.interrupter});
    // Before the modules: `goroutine` asks for it when it is installed.
    Scheduler::Options scheduling{.clock = options_.clock};
    scheduling.unresponsive = [weak = weak_from_this()] {
      const auto self = weak.lock();
      if (self == nullptr) return;
      self->options_.executor->post_blocking([self] { self->give_up_if_over(); });
    };
    scheduler_ = std::make_unique<Scheduler>(*vm_, strand, std::move(scheduling));
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

  void load(std::uint64_t number, File file, std::stop_token stop,
            UniqueFunction<void(Result<Workflow>)> done) {
    lua_State* L = vm_->state();
    if (auto pushed = dsl_->push_loader(L, file.name, file.text); !pushed) return done(pushed.error());
    const int function = luaL_ref(L, LUA_REGISTRYINDEX);
    std::string what = "load " + file.name;
    run_root(
        number, std::move(what), "", {}, std::move(stop),
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

  void call(std::uint64_t number, OperatorCall call, std::stop_token stop,
            UniqueFunction<void(Result<OperatorAnswer>)> done) {
    std::string what = call.what;
    auto name = what;
    auto task = call.self ? call.self->name : std::string();
    run_root(
        number, std::move(name), std::move(task), kOperatorLimit, std::move(stop),
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

  std::string speaking() const {
    const auto task = tasks_.find(scheduler_->running_root());
    return task == tasks_.end() ? "" : task->second;
  }

  std::string excerpt(const std::string& text) {
    const auto place = place_from(text);
    return place ? dsl_->excerpt(*place) : "";
  }

 private:
  // What a stop request needs while a root runs.
  using OnStop = std::optional<std::stop_callback<UniqueFunction<void()>>>;

  static Error too_long(const std::string& what) {
    return {Code::kInvalid, what +
                                ": still inside one call of C code that nothing can interrupt (usually a "
                                "pattern on a long text, in "
                                "string.find, match, gmatch or gsub)"};
  }

  // The VM's code does not react. Any thread.
  void give_up_if_over() EXCLUDES(mutex_, sink_mutex_) {
    constexpr std::chrono::seconds kPatience{2};
    std::map<std::uint64_t, Question> refused;
    {
      MutexLock lock(mutex_);
      const TimePoint now = options_.clock->now();
      for (auto& [number, question] : questions_) {
        if (question.stop.stop_requested()) question.stop_seen = std::min(question.stop_seen, now);
        stuck_ = stuck_ || std::min(question.limit, question.stop_seen) <= now - kPatience;
      }
      if (!stuck_) return;
      refused.swap(questions_);
    }
    {
      MutexLock lock(sink_mutex_);
      silent_ = true;
    }
    for (auto& [number, question] : refused) question.refuse(too_long(question.what));
  }

  void run_root(std::uint64_t number, std::string name, std::string task, Duration timeout,
                std::stop_token stop, Push push, Scheduler::RootDone done) {
    if (timeout > Duration::zero()) {
      MutexLock lock(mutex_);
      const auto question = questions_.find(number);
      if (question != questions_.end()) question->second.limit = options_.clock->now() + timeout;
    }
    auto on_stop = std::make_shared<OnStop>();
    auto ended = std::make_shared<bool>(false);
    const Scheduler::RootId root =
        scheduler_->start_root({.name = std::move(name), .timeout = timeout}, std::move(push),
                               [this, on_stop, ended, done = std::move(done)](
                                   RootOutcome outcome, lua_State* L, int results) mutable {
                                 *ended = true;
                                 tasks_.erase(scheduler_->running_root());
                                 on_stop->reset();
                                 done(std::move(outcome), L, results);
                               });
    if (*ended) return;
    if (!task.empty()) tasks_.emplace(root, std::move(task));
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
  Mutex mutex_;
  std::map<std::uint64_t, Question> questions_ GUARDED_BY(mutex_);
  std::uint64_t asked_ GUARDED_BY(mutex_) = 0;
  bool stuck_ GUARDED_BY(mutex_) = false;
  Mutex sink_mutex_;
  bool silent_ GUARDED_BY(sink_mutex_) = false;  // given up: the sink may be gone
  Host host_;
  std::unique_ptr<Vm> vm_;
  std::unique_ptr<TaskScope> scope_;
  std::unique_ptr<Dsl> dsl_;
  std::unique_ptr<Scheduler> scheduler_;
  std::map<Scheduler::RootId, std::string> tasks_;  // of the calls under way
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

bool PlanVm::stuck() const { return impl_->stuck(); }

std::string PlanVm::speaking() const { return impl_->speaking(); }

void PlanVm::load(File file, std::stop_token stop, UniqueFunction<void(Result<Workflow>)> done) {
  const auto shared = std::make_shared<decltype(done)>(std::move(done));
  const auto refuse = [shared, stop](const Error& error) {
    (*shared)(stop.stop_requested() ? Error{Code::kCancelled, "interrupted"} : error);
  };
  const std::uint64_t number = impl_->ask({.what = "load " + file.name, .stop = stop, .refuse = refuse});
  if (number == 0) return;
  impl_->strand.post([impl = impl_, number, shared, file = std::move(file),
                      stop = std::move(stop)]() mutable {
    impl->load(number, std::move(file), std::move(stop), [impl, number, shared](Result<Workflow> workflow) {
      if (impl->answered(number)) (*shared)(std::move(workflow));
    });
  });
}

void PlanVm::call(OperatorCall call, std::stop_token stop,
                  UniqueFunction<void(Result<OperatorAnswer>)> done) {
  const auto shared = std::make_shared<decltype(done)>(std::move(done));
  const auto refuse = [shared](const Error& error) { (*shared)(error); };
  const std::uint64_t number = impl_->ask({.what = call.what, .stop = stop, .refuse = refuse});
  if (number == 0) return;
  impl_->strand.post(
      [impl = impl_, number, shared, call = std::move(call), stop = std::move(stop)]() mutable {
        impl->call(number, std::move(call), std::move(stop),
                   [impl, number, shared](Result<OperatorAnswer> answer) {
                     if (impl->answered(number)) (*shared)(std::move(answer));
                   });
      });
}

std::string PlanVm::excerpt(const std::string& place) {
  if (impl_->stuck()) return "";
  std::promise<std::string> text;
  if (!impl_->strand.post([impl = impl_, &place, &text] { text.set_value(impl->excerpt(place)); })) return "";
  return text.get_future().get();
}

}  // namespace sloth
