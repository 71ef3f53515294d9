#include "modules/http_loop.h"

#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <utility>
#include <vector>

#include "runner/base/check.h"

namespace sloth {
namespace {

constexpr long kIdleConnections = 256;

}  // namespace

HttpLoop::HttpLoop(Reactor& reactor, UniqueFunction<void(CURL*, CURLcode)> done)
    : reactor_(reactor), done_(std::move(done)) {
  SLOTH_CHECK(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
  multi_ = curl_multi_init();
  SLOTH_CHECK(multi_ != nullptr);
  curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &HttpLoop::on_socket);
  curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
  curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &HttpLoop::on_timer);
  curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
  curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, kIdleConnections);
}

HttpLoop::~HttpLoop() {
  // Closes the idle connections, through close_socket.
  curl_multi_cleanup(multi_);
  curl_global_cleanup();
}

void HttpLoop::add(CURL* easy) {
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, &HttpLoop::open_socket);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, this);
  curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, &HttpLoop::close_socket);
  curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, this);
  SLOTH_CHECK(curl_multi_add_handle(multi_, easy) == CURLM_OK);
}

void HttpLoop::remove(CURL* easy) { curl_multi_remove_handle(multi_, easy); }

int HttpLoop::on_socket(CURL*, curl_socket_t fd, int what, void* self, void*) {
  unsigned directions = 0;
  if (what == CURL_POLL_IN || what == CURL_POLL_INOUT) directions |= Reactor::kReadable;
  if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT) directions |= Reactor::kWritable;
  static_cast<HttpLoop*>(self)->want(fd, directions);
  return 0;
}

void HttpLoop::want(curl_socket_t fd, unsigned directions) {
  const auto known = watches_.find(fd);
  if (known != watches_.end()) {
    known->second->set(directions);
    return;
  }
  if (directions == 0) return;
  // A raw pointer: every watch is closed by close_socket before this object goes.
  auto watch = reactor_.watch(fd, directions, [this, fd](unsigned ready) {
    int events = 0;
    if ((ready & Reactor::kReadable) != 0) events |= CURL_CSELECT_IN;
    if ((ready & Reactor::kWritable) != 0) events |= CURL_CSELECT_OUT;
    act(fd, events);
  });
  // It fails only when the reactor has stopped; then nothing moves any more and the owner is about to end us.
  if (watch) watches_.emplace(fd, std::move(*watch));
}

curl_socket_t HttpLoop::open_socket(void*, curlsocktype, curl_sockaddr* address) {
  // Close-on-exec from the first moment: children must not inherit connections.
  return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

int HttpLoop::close_socket(void* self, curl_socket_t fd) {
  auto watch = static_cast<HttpLoop*>(self)->watches_.extract(fd);
  if (watch.empty()) return ::close(fd);
  watch.mapped()->close([fd] { ::close(fd); });
  return 0;
}

void HttpLoop::act(curl_socket_t fd, int events) {
  // `done_` may drop the last outside reference.
  const auto self = shared_from_this();
  int running = 0;
  curl_multi_socket_action(multi_, fd, events, &running);
  std::vector<std::pair<CURL*, CURLcode>> ended;
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
    if (message->msg == CURLMSG_DONE) ended.emplace_back(message->easy_handle, message->data.result);
  }
  for (const auto& [easy, code] : ended) curl_multi_remove_handle(multi_, easy);
  for (const auto& [easy, code] : ended) done_(easy, code);
}

int HttpLoop::on_timer(CURLM*, long milliseconds, void* self) {
  auto& loop = *static_cast<HttpLoop*>(self);
  if (milliseconds < 0) {
    loop.due_.reset();
    return 0;
  }
  loop.due_ = std::chrono::steady_clock::now() + std::chrono::milliseconds(milliseconds);
  loop.arm();
  return 0;
}

// One timer serves many: reactor timers cannot be cancelled, so a later one is only made when the earlier
// fired.
void HttpLoop::arm() {
  if (armed_ && *armed_ <= *due_) return;
  armed_ = due_;
  reactor_.post_at(*due_, [weak = weak_from_this(), at = *due_] {
    if (const auto self = weak.lock()) self->timer_fired(at);
  });
}

void HttpLoop::timer_fired(TimePoint at) {
  if (armed_ == at) armed_.reset();
  if (!due_) return;
  if (std::chrono::steady_clock::now() < *due_) {
    arm();
    return;
  }
  due_.reset();
  act(CURL_SOCKET_TIMEOUT, 0);
}

}  // namespace sloth
