#include "agent/grpc_link.h"

// Before gRPC's headers, which define macros of the same names.
#include "runner/base/mutex.h"

#include <grpc/grpc.h>
#include <grpc/support/log.h>
#include <grpcpp/create_channel_posix.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/server_posix.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <deque>
#include <string_view>
#include <thread>
#include <utility>

#include "agent/wire.h"
#include "runner/base/check.h"
#include "sloth/v1/link.grpc.pb.h"

namespace sloth {
namespace {

constexpr int kMostMessageBytes = static_cast<int>(kMostFrameBytes) + (64 << 10);
// Who dialled asks after this silence whether the other end is still there, and breaks the link without an answer: a peer
// that vanished is found within 20 seconds. The other way the master has leases.
constexpr int kPingAfterMs = 10'000;
constexpr int kPingAnswerMs = 10'000;

// What both ends of a stream have in common: the queue of what is to be written, one write at a time, and the delivery
// of what was read. It keeps itself alive until gRPC says that the stream is done.
class Stream : public std::enable_shared_from_this<Stream> {
 public:
  virtual ~Stream() = default;

  // From here on gRPC may call.
  void keep_alive() {
    MutexLock lock(mutex_);
    self_ = shared_from_this();
  }

  void open(Link::Events events) {
    keep_alive();
    events_ = std::move(events);
    begin();
  }

  void send(Message message) {
    {
      MutexLock lock(mutex_);
      if (closing_ || over_) return;
      queued_bytes_ += wire_size(message);
      if (std::holds_alternative<Heartbeat>(message)) {
        queue_.push_front(std::move(message));
      } else {
        queue_.push_back(std::move(message));
      }
    }
    go_on();
  }

  std::size_t queued_bytes() {
    MutexLock lock(mutex_);
    return queued_bytes_;
  }

  void close() {
    {
      MutexLock lock(mutex_);
      closing_ = true;
    }
    go_on();
  }

  // No event comes after this, except to a caller that is inside of one.
  void abandon() {
    bool inside = false;
    {
      MutexLock lock(mutex_);
      abandoned_ = true;
      inside = delivering_ && deliverer_ == std::this_thread::get_id();
      while (delivering_ && !inside) changed_.wait(mutex_);
    }
    close();
    if (!cancel() || inside) return;
    MutexLock lock(mutex_);
    while (self_ != nullptr) changed_.wait(mutex_);
  }

 protected:
  // Starts the stream and its first read.
  virtual void begin() = 0;
  virtual void start_write(const v1::Frame& frame) = 0;
  // Nothing is written any more; once, with no write under way.
  virtual void end(const std::string& reason) = 0;
  // True when the stream is done soon, whatever the other end does.
  virtual bool cancel() = 0;

  void was_read(const v1::Frame& frame) {
    Result<Message> message = from_frame(frame);
    if (!message) return break_off(message.error().message);
    deliver([&](Link::Events& events) { events.received(std::move(*message)); });
  }

  // The stream is of no more use: what waits is dropped.
  void break_off(std::string reason) {
    {
      MutexLock lock(mutex_);
      over_ = true;
      if (reason_.empty()) reason_ = std::move(reason);
      queue_.clear();
    }
    go_on();
  }

  void was_written(bool ok) {
    {
      MutexLock lock(mutex_);
      writing_ = false;
      queued_bytes_ -= writing_bytes_;
      if (!ok) {
        over_ = true;
        queue_.clear();
        queued_bytes_ = 0;
      }
    }
    go_on();
  }

  void was_done(const std::string& reason) {
    std::shared_ptr<Stream> self;
    std::string told;
    {
      MutexLock lock(mutex_);
      over_ = true;
      self = std::exchange(self_, nullptr);
      changed_.notify_all();
      told = !reason_.empty() ? reason_ : closing_ ? "" : reason.empty() ? "the other end closed" : reason;
    }
    deliver([&](Link::Events& events) { events.closed(told); });
  }

 private:
  void go_on() {
    std::string reason;
    bool write = false;
    // Only one of the two below is under way at a time, which is what writing_ and ended_ say.
    {
      MutexLock lock(mutex_);
      if (writing_ || ended_ || self_ == nullptr) return;
      write = !queue_.empty();
      if (write) {
        writing_ = true;
        writing_bytes_ = wire_size(queue_.front());
        frame_.Clear();
        to_frame(queue_.front(), frame_);
        queue_.pop_front();
      } else if (closing_ || over_) {
        ended_ = true;
        reason = reason_;
      } else {
        return;
      }
    }
    if (write) {
      start_write(frame_);
    } else {
      end(reason);
    }
  }

  template <class Call>
  void deliver(Call call) {
    {
      MutexLock lock(mutex_);
      if (abandoned_) return;
      delivering_ = true;
      deliverer_ = std::this_thread::get_id();
    }
    call(events_);
    MutexLock lock(mutex_);
    delivering_ = false;
    changed_.notify_all();
  }

  Mutex mutex_;
  CondVar changed_;
  Link::Events events_;  // set before the stream begins
  v1::Frame frame_;      // the one being written
  std::shared_ptr<Stream> self_ GUARDED_BY(mutex_);
  std::deque<Message> queue_ GUARDED_BY(mutex_);
  std::size_t queued_bytes_ GUARDED_BY(mutex_) = 0;
  std::size_t writing_bytes_ GUARDED_BY(mutex_) = 0;
  std::string reason_ GUARDED_BY(mutex_);
  std::thread::id deliverer_ GUARDED_BY(mutex_);
  bool writing_ GUARDED_BY(mutex_) = false;
  bool closing_ GUARDED_BY(mutex_) = false;    // this side wants the end, after what is queued
  bool over_ GUARDED_BY(mutex_) = false;       // nothing can be written any more
  bool ended_ GUARDED_BY(mutex_) = false;      // end() was called
  bool abandoned_ GUARDED_BY(mutex_) = false;  // the Link is gone
  bool delivering_ GUARDED_BY(mutex_) = false;
};

class StreamLink final : public Link {
 public:
  explicit StreamLink(std::shared_ptr<Stream> stream) : stream_(std::move(stream)) {}
  ~StreamLink() override { stream_->abandon(); }

  void open(Events events) override { stream_->open(std::move(events)); }
  void send(Message message) override { stream_->send(std::move(message)); }
  [[nodiscard]] std::size_t queued_bytes() const override { return stream_->queued_bytes(); }
  void close() override { stream_->close(); }

 private:
  const std::shared_ptr<Stream> stream_;
};

class ClientStream final : public Stream, private grpc::ClientBidiReactor<v1::Frame, v1::Frame> {
 public:
  ClientStream(std::shared_ptr<grpc::Channel> channel, Role role)
      : channel_(std::move(channel)), stub_(v1::Master::NewStub(channel_)), role_(role) {}

 protected:
  void begin() override {
    if (role_ == Role::kAgent) {
      stub_->async()->Agent(&context_, this);
    } else {
      stub_->async()->Run(&context_, this);
    }
    // Writes come from outside of gRPC's own calls, until end().
    AddHold();
    StartRead(&in_);
    StartCall();
  }
  void start_write(const v1::Frame& frame) override { StartWrite(&frame); }
  void end(const std::string& reason) override {
    if (reason.empty()) {
      StartWritesDone();
    } else {
      context_.TryCancel();
    }
    RemoveHold();
  }
  bool cancel() override {
    context_.TryCancel();
    return true;
  }

 private:
  void OnReadDone(bool ok) override {
    if (!ok) return break_off("");
    was_read(in_);
    StartRead(&in_);
  }
  void OnWriteDone(bool ok) override { was_written(ok); }
  void OnDone(const grpc::Status& status) override { was_done(status.error_message()); }

  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<v1::Master::Stub> stub_;
  const Role role_;
  grpc::ClientContext context_;
  v1::Frame in_;
};

class ServerStream final : public Stream, public grpc::ServerBidiReactor<v1::Frame, v1::Frame> {
 public:
 protected:
  void begin() override { StartRead(&in_); }
  void start_write(const v1::Frame& frame) override { StartWrite(&frame); }
  void end(const std::string& reason) override {
    Finish(reason.empty() ? grpc::Status::OK : grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, reason));
  }
  // Not waited for: its peer may be a process that stands still.
  bool cancel() override { return false; }

 private:
  void OnReadDone(bool ok) override {
    if (!ok) return break_off("");
    was_read(in_);
    StartRead(&in_);
  }
  void OnWriteDone(bool ok) override { was_written(ok); }
  void OnCancel() override { break_off(""); }
  void OnDone() override { was_done(""); }

  v1::Frame in_;
};

class BrokenLink final : public Link {
 public:
  explicit BrokenLink(std::string reason) : reason_(std::move(reason)) {}
  void open(Events events) override { events.closed(reason_); }
  void send(Message) override {}
  [[nodiscard]] std::size_t queued_bytes() const override { return 0; }
  void close() override {}

 private:
  const std::string reason_;
};

// A call on a channel to nobody. gRPC's callback threads end with the last channel that ever made a call, joined by whoever
// drops it; when a stream ends that is one of themselves, which aborts. This one is never dropped.
class Pin final : private grpc::ClientBidiReactor<v1::Frame, v1::Frame> {
 public:
  Pin() {
    int ends[2] = {-1, -1};
    SLOTH_CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
    ::close(ends[1]);
    channel_ = grpc::CreateInsecureChannelFromFd("nobody", ends[0]);
    stub_ = v1::Master::NewStub(channel_);
    stub_->async()->Run(&context_, this);
    StartCall();
  }

 private:
  void OnDone(const grpc::Status&) override {}

  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::Master::Stub> stub_;
  grpc::ClientContext context_;
};

// gRPC for the whole life of the process: taken down with its last object, it would end on a thread of its own, beside
// the end of the program. What it thinks of connections is not for stderr, which belongs to the user's tasks; the last
// words before it aborts are let through.
void prepare_grpc() {
  static const Pin* const pin = [] {
    grpc_init();
    gpr_set_log_function([](gpr_log_func_args* args) {
      if (std::string_view(args->message).find("assertion failed") == std::string_view::npos) return;
      std::fprintf(stderr, "sloth: gRPC, %s:%d: %s\n", args->file, args->line, args->message);
    });
    return new Pin;
  }();
  static_cast<void>(pin);
}

}  // namespace

class GrpcServer::Impl final : public v1::Master::CallbackService {
 public:
  explicit Impl(AcceptLink accept) : accept_(std::move(accept)) {
    prepare_grpc();
    grpc::ServerBuilder builder;
    builder.SetMaxReceiveMessageSize(kMostMessageBytes);
    builder.SetMaxSendMessageSize(kMostMessageBytes);
    // Not an attack: these are our pings.
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, kPingAfterMs / 2);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    SLOTH_CHECK(server_ != nullptr);
  }
  ~Impl() override {
    server_->Shutdown(std::chrono::system_clock::now());
    server_->Wait();
  }

  void add(Descriptor socket) { grpc::AddInsecureChannelFromFd(server_.get(), socket.release()); }

 private:
  grpc::ServerBidiReactor<v1::Frame, v1::Frame>* Agent(grpc::CallbackServerContext*) override {
    return take(Role::kAgent);
  }
  grpc::ServerBidiReactor<v1::Frame, v1::Frame>* Run(grpc::CallbackServerContext*) override { return take(Role::kRun); }
  grpc::ServerBidiReactor<v1::Frame, v1::Frame>* take(Role role) {
    auto stream = std::make_shared<ServerStream>();
    ServerStream* reactor = stream.get();
    stream->keep_alive();
    accept_(role, std::make_unique<StreamLink>(std::move(stream)));
    return reactor;
  }

  const AcceptLink accept_;
  std::unique_ptr<grpc::Server> server_;
};

GrpcServer::GrpcServer(AcceptLink accept) : impl_(std::make_unique<Impl>(std::move(accept))) {}
GrpcServer::~GrpcServer() = default;
void GrpcServer::add(Descriptor socket) { impl_->add(std::move(socket)); }

std::unique_ptr<Link> grpc_dial(Descriptor socket, Role role) {
  prepare_grpc();
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMostMessageBytes);
  arguments.SetMaxSendMessageSize(kMostMessageBytes);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kPingAfterMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kPingAnswerMs);
  // Without data in between, too: an idle agent hears nothing for hours.
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  std::shared_ptr<grpc::Channel> channel =
      grpc::CreateCustomInsecureChannelFromFd("unix", socket.release(), arguments);
  return std::make_unique<StreamLink>(std::make_shared<ClientStream>(std::move(channel), role));
}

std::unique_ptr<Link> broken_link(std::string reason) { return std::make_unique<BrokenLink>(std::move(reason)); }

}  // namespace sloth
