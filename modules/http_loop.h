// HttpLoop: libcurl's multi handle driven by the reactor: no thread of its own, however many transfers.
//
// Confined to the reactor's thread, callbacks too; after the reactor has stopped, any one thread.
//
// Who closes what: a socket's Watch lives as long as the socket, not as long as curl is interested in it, and
// curl closes no socket by itself: the descriptor is closed once its Watch has left epoll. Else a copy of the
// descriptor in a child just being started would keep the entry, and its events would hit whoever has the
// number next.
#pragma once

#include <curl/curl.h>

#include <memory>
#include <optional>
#include <unordered_map>

#include "runner/base/clock.h"
#include "runner/base/unique_function.h"
#include "runner/exec/reactor.h"

namespace sloth {

class HttpLoop : public std::enable_shared_from_this<HttpLoop> {
 public:
  // `done` gets each handle that ended, removed from the loop already. `reactor` outlives this.
  HttpLoop(Reactor& reactor, UniqueFunction<void(CURL*, CURLcode)> done);
  // REQUIRES: no handle inside.
  ~HttpLoop();
  HttpLoop(const HttpLoop&) = delete;
  HttpLoop& operator=(const HttpLoop&) = delete;

  // Starts a transfer; sets the handle's socket callbacks. The handle stays the caller's and must live until
  // `done` or remove().
  void add(CURL* easy);

  // Ends a transfer without `done`. Not inside one of curl's callbacks.
  void remove(CURL* easy);

 private:
  static int on_socket(CURL* easy, curl_socket_t fd, int what, void* self, void* per_socket);
  static int on_timer(CURLM* multi, long milliseconds, void* self);
  static curl_socket_t open_socket(void* self, curlsocktype purpose, curl_sockaddr* address);
  static int close_socket(void* self, curl_socket_t fd);

  void want(curl_socket_t fd, unsigned directions);
  void act(curl_socket_t fd, int events);
  void arm();
  void timer_fired(TimePoint at);

  Reactor& reactor_;
  UniqueFunction<void(CURL*, CURLcode)> done_;
  CURLM* multi_;
  std::unordered_map<curl_socket_t, std::shared_ptr<Reactor::Watch>> watches_;
  std::optional<TimePoint> due_;    // when curl wants to be called
  std::optional<TimePoint> armed_;  // the earliest timer under way
};

}  // namespace sloth
