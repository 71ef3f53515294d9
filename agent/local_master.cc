#include "agent/local_master.h"

#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "agent/grpc_link.h"
#include "agent/unix_socket.h"
#include "runner/base/mutex.h"
#include "runner/exec/reactor.h"

namespace sloth {
namespace {

// How long accepting rests when there is no descriptor left for one more connection.
constexpr std::chrono::milliseconds kAcceptPause{100};

std::string socket_path(const std::string& directory) { return directory + "/socket"; }

}  // namespace

// The master, its socket and its server, in the order of their lives.
class LocalMaster::Hosted {
 public:
  static Result<std::unique_ptr<Hosted>> open(const Master::Options& options, Executor& executor, const Clock& clock,
                                              std::function<void(std::string)> note) {
    auto master = Master::open(options, executor, clock);
    if (!master) return master.error();
    if (note) (*master)->on_note(std::move(note));
    auto socket = listen_unix(socket_path(options.directory));
    if (!socket) return socket.error();
    return std::unique_ptr<Hosted>(new Hosted(std::move(*master), std::move(*socket), executor));
  }

  ~Hosted() {
    // Nobody is let in any more; then every link is broken, then the master forgets them.
    {
      MutexLock lock(watch_->mutex);
      watch_->hosted = nullptr;
    }
    watch_->watch->close([watch = watch_] { watch->socket.reset(); });
    server_.reset();
  }

 private:
  struct Watch {
    Mutex mutex;
    Hosted* hosted GUARDED_BY(mutex) = nullptr;
    Descriptor socket;
    std::shared_ptr<Reactor::Watch> watch;
  };

  Hosted(std::unique_ptr<Master> master, Descriptor socket, Executor& executor)
      : executor_(executor),
        master_(std::move(master)),
        server_(std::make_unique<GrpcServer>(
            [this](Role role, std::unique_ptr<Link> link) { master_->accept(role, std::move(link)); })),
        watch_(std::make_shared<Watch>()) {
    watch_->socket = std::move(socket);
    {
      MutexLock lock(watch_->mutex);
      watch_->hosted = this;
    }
    auto watch = executor.reactor().watch(watch_->socket.get(), 0, [watch = watch_](unsigned) { accept(*watch); });
    SLOTH_CHECK(watch.ok());
    watch_->watch = *watch;
    watch_->watch->set(Reactor::kReadable);
  }

  static void accept(Watch& watch) {
    MutexLock lock(watch.mutex);
    if (watch.hosted == nullptr) return;
    while (true) {
      Descriptor peer(::accept4(watch.socket.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (peer.open()) {
        if (check_peer(peer.get())) watch.hosted->server_->add(std::move(peer));
        continue;
      }
      if (errno == EINTR || errno == ECONNABORTED) continue;
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) watch.hosted->pause();
      return;
    }
  }

  void pause() {
    watch_->watch->set(0);
    const TimePoint then = std::chrono::steady_clock::now() + kAcceptPause;
    executor_.run_at(then, [watch = watch_] { watch->watch->set(Reactor::kReadable); });
  }

  Executor& executor_;
  std::unique_ptr<Master> master_;
  std::unique_ptr<GrpcServer> server_;
  std::shared_ptr<Watch> watch_;
};

struct LocalMaster::State {
  const Options options;
  Executor& executor;
  const Clock& clock;
  Mutex mutex;
  std::function<void(std::string)> note GUARDED_BY(mutex);
  std::unique_ptr<Hosted> hosted GUARDED_BY(mutex);
};

LocalMaster::LocalMaster(Options options, Executor& executor, const Clock& clock)
    : state_(new State{std::move(options), executor, clock, {}, {}, {}}) {}

LocalMaster::~LocalMaster() = default;

Result<bool> LocalMaster::host() {
  MutexLock lock(state_->mutex);
  if (state_->hosted != nullptr) return true;
  auto hosted = Hosted::open(state_->options.master, state_->executor, state_->clock, state_->note);
  if (hosted) {
    state_->hosted = std::move(*hosted);
    return true;
  }
  if (hosted.error().code == Code::kUnavailable) return false;
  return hosted.error();
}

std::unique_ptr<Link> LocalMaster::dial(Role role) {
  const std::string path = socket_path(state_->options.master.directory);
  auto socket = connect_unix(path);
  if (!socket && socket.error().code == Code::kUnavailable && state_->options.may_host) {
    if (auto hosts = host(); !hosts) return broken_link(hosts.error().message);
    socket = connect_unix(path);
  }
  if (!socket) return broken_link(socket.error().message);
  return grpc_dial(std::move(*socket), role);
}

bool LocalMaster::hosting() const {
  MutexLock lock(state_->mutex);
  return state_->hosted != nullptr;
}

void LocalMaster::on_note(std::function<void(std::string)> note) {
  MutexLock lock(state_->mutex);
  state_->note = std::move(note);
}

}  // namespace sloth
