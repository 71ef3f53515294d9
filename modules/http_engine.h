// HttpEngine: every HTTP transfer of the program, on the reactor's thread.
//
// Thread-safe. One per process; its cost begins with the first request. Names are looked up once on the
// blocking lane (HttpResolver), connections are kept and shared, and when very many transfers run the rest
// wait their turn in order.
//
//   HttpEngine engine(executor);
//   auto ticket = engine.start(request, [](Result<HttpResponse> answer) { ... });
//   engine.cancel(ticket);
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "modules/http_message.h"
#include "runner/base/result.h"
#include "runner/base/unique_function.h"

namespace sloth {

class Executor;

class HttpEngine {
 public:
  // Called once per start(), on the reactor's thread (or, when the program is ending, on the caller's). A
  // response for any status; an error says what failed, without the URL. kCancelled after cancel().
  using Done = UniqueFunction<void(Result<HttpResponse>)>;
  using Ticket = std::uint64_t;

  // `executor` outlives the engine.
  explicit HttpEngine(Executor& executor);
  // Ends what is under way (kCancelled) and closes all connections. Not from the reactor's thread.
  ~HttpEngine();
  HttpEngine(const HttpEngine&) = delete;
  HttpEngine& operator=(const HttpEngine&) = delete;

  Ticket start(HttpRequest request, Done done);

  // Ends a transfer at once. One that ended already: nothing.
  void cancel(Ticket ticket);

 private:
  class Core;
  Executor& executor_;
  std::shared_ptr<Core> core_;
  std::atomic<Ticket> last_{0};
};

}  // namespace sloth
