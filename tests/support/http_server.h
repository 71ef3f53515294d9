// HttpServer: a small HTTP/1.1 server on 127.0.0.1 for tests, on one thread of its own.
//
// Thread-safe. Listens from construction on a port the system chose; the destructor closes everything.
//
//   GET  /echo...             JSON of the request: method, path, query, headers (lower case), body
//   GET  /json                {"hello":"world"}
//   GET  /status/N            that status
//   GET  /delay/MS            200 after that time; a timer, no thread
//   GET  /bytes/N             N bytes, "0123456789" over and over
//   GET  /chunked/N           N chunks "chunk I\n", chunked
//   GET  /drip/N/MS           N bytes, one every MS
//   GET  /redirect/N          302 to /redirect/N-1 and so on, at last to /echo
//   GET  /redirect-to?status=S&url=U (U percent-encoded)
//   GET  /flaky/NAME/N        503 the first N times for that NAME, then 200
//   GET  /busy/NAME/N         429 with "Retry-After: 0" the first N times for that NAME, then 200
//   GET  /cookies             two Set-Cookie headers
//   GET  /close-early         promises 100 bytes, sends 10, closes
//   GET  /reset               closes without an answer
//   GET  /hang                never answers
//
// Any method will do; a request with an absolute URL (a client that takes this for its proxy) is echoed.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace sloth::testing {

class HttpServer {
 public:
  HttpServer();
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  [[nodiscard]] std::uint16_t port() const;
  // "http://127.0.0.1:PORT" + path.
  [[nodiscard]] std::string url(const std::string& path = "") const;

  [[nodiscard]] int requests() const;      // read so far
  [[nodiscard]] int accepted() const;      // connections so far
  [[nodiscard]] int open() const;          // connections now
  [[nodiscard]] int most_waiting() const;  // most /delay requests that ever waited at once

  // Waits until `holds`, which asks the numbers above and is called whenever one changes. False after
  // `limit`.
  [[nodiscard]] bool wait_until(const std::function<bool()>& holds,
                                std::chrono::seconds limit = std::chrono::seconds(30)) const;

 private:
  class Loop;
  std::unique_ptr<Loop> loop_;
};

}  // namespace sloth::testing
