#include "tests/support/http_server.h"

#include <fmt/format.h>

#include <algorithm>
#include <asio/buffer.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/post.hpp>
#include <asio/read.hpp>
#include <asio/read_until.hpp>
#include <asio/steady_timer.hpp>
#include <asio/write.hpp>
#include <atomic>
#include <cctype>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "runner/base/json.h"
#include "runner/base/value.h"

namespace sloth::testing {
namespace {

using asio::ip::tcp;

struct Request {
  std::string method;
  std::string path;
  std::string query;
  Value::Map headers;
  std::string body;
};

std::vector<std::string> segments_of(std::string_view path) {
  std::vector<std::string> segments;
  while (!path.empty()) {
    path.remove_prefix(1);
    const std::size_t end = std::min(path.find('/'), path.size());
    segments.emplace_back(path.substr(0, end));
    path.remove_prefix(end);
  }
  segments.resize(std::max<std::size_t>(segments.size(), 3));
  return segments;
}

std::string decoded(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      result += static_cast<char>(std::strtol(std::string(text.substr(i + 1, 2)).c_str(), nullptr, 16));
      i += 2;
    } else {
      result += text[i];
    }
  }
  return result;
}

std::string query_value(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view field = query.substr(0, end);
    if (field.starts_with(std::string(name) + "=")) return decoded(field.substr(name.size() + 1));
    query.remove_prefix(std::min(end + 1, query.size()));
  }
  return "";
}

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

std::string digits(std::size_t count) {
  std::string text(count, '\0');
  for (std::size_t i = 0; i < count; ++i) text[i] = static_cast<char>('0' + i % 10);
  return text;
}

const char* reason_of(int status) {
  switch (status) {
    case 200: return "OK";
    case 204: return "No Content";
    case 302: return "Found";
    case 404: return "Not Found";
    case 429: return "Too Many Requests";
    case 500: return "Internal Server Error";
    case 503: return "Service Unavailable";
    default: return "Status";
  }
}

// "*": the end of the header is the end of the message for these.
bool has_body(int status) { return status >= 200 && status != 204 && status != 304; }

}  // namespace

class HttpServer::Loop {
 public:
  Loop() : acceptor_(io_) {
    const tcp::endpoint anywhere(asio::ip::make_address("127.0.0.1"), 0);
    acceptor_.open(anywhere.protocol());
    acceptor_.bind(anywhere);
    acceptor_.listen(4096);
    port = acceptor_.local_endpoint().port();
    accept();
    thread_ = std::thread([this] { io_.run(); });
  }

  ~Loop() {
    io_.stop();
    thread_.join();
  }

  class Session;

  void count(std::atomic<int>& number, int change) {
    {
      std::lock_guard lock(mutex);
      number += change;
    }
    changed.notify_all();
  }

  std::mutex mutex;
  std::condition_variable changed;
  std::uint16_t port = 0;
  std::atomic<int> requests{0};
  std::atomic<int> accepted{0};
  std::atomic<int> open{0};
  std::atomic<int> most_waiting{0};
  // Of the server's thread.
  int waiting = 0;
  std::map<std::string, int> visits;

 private:
  void accept();

  asio::io_context io_{1};
  tcp::acceptor acceptor_;
  std::thread thread_;
};

// One connection. Lives as long as an operation on it is under way.
class HttpServer::Loop::Session : public std::enable_shared_from_this<Session> {
 public:
  Session(Loop& loop, tcp::socket socket)
      : loop_(loop), socket_(std::move(socket)), timer_(socket_.get_executor()) {
    loop_.count(loop_.open, 1);
  }
  ~Session() { loop_.count(loop_.open, -1); }

  void read() {
    auto self = shared_from_this();
    asio::async_read_until(socket_, asio::dynamic_buffer(input_), "\r\n\r\n",
                           [this, self](const std::error_code& error, std::size_t size) {
                             if (!error) read_body(size);
                           });
  }

 private:
  void read_body(std::size_t header_size) {
    Request request = parse(std::string_view(input_).substr(0, header_size));
    input_.erase(0, header_size);
    std::size_t length = 0;
    const auto declared = request.headers.find(MapKey("content-length"));
    if (declared != request.headers.end())
      length = std::strtoul(declared->second.as_string().c_str(), nullptr, 10);
    const std::size_t missing = length > input_.size() ? length - input_.size() : 0;
    auto self = shared_from_this();
    asio::async_read(socket_, asio::dynamic_buffer(input_), asio::transfer_exactly(missing),
                     [this, self, length, request](const std::error_code& error, std::size_t) mutable {
                       if (error) return;
                       request.body = input_.substr(0, length);
                       input_.erase(0, length);
                       loop_.count(loop_.requests, 1);
                       answer(request);
                     });
  }

  static Request parse(std::string_view header) {
    Request request;
    const std::size_t first = header.find("\r\n");
    const std::string line(header.substr(0, first));
    const std::size_t space = line.find(' ');
    const std::string target = line.substr(space + 1, line.rfind(' ') - space - 1);
    const std::size_t mark = std::min(target.find('?'), target.size());
    request.method = line.substr(0, space);
    request.path = target.substr(0, mark);
    request.query = target.substr(std::min(mark + 1, target.size()));
    header.remove_prefix(first + 2);
    while (!header.starts_with("\r\n") && !header.empty()) {
      const std::size_t end = header.find("\r\n");
      const std::string field(header.substr(0, end));
      const std::size_t colon = field.find(": ");
      if (colon != std::string::npos)
        request.headers[lower(field.substr(0, colon))] = field.substr(colon + 2);
      header.remove_prefix(end + 2);
    }
    return request;
  }

  void answer(const Request& request) {
    const auto parts = segments_of(request.path);
    const std::string& route = parts[0];
    head_only_ = request.method == "HEAD";
    if (!request.path.starts_with('/')) return echo(request);
    if (route == "echo") return echo(request);
    if (route == "json") return reply(200, R"({"hello":"world"})", "Content-Type: application/json\r\n");
    if (route == "status") return reply(std::atoi(parts[1].c_str()), "status " + parts[1]);
    if (route == "delay") return delay(std::atoi(parts[1].c_str()));
    if (route == "bytes") return reply(200, digits(std::strtoul(parts[1].c_str(), nullptr, 10)));
    if (route == "chunked") return chunked(std::atoi(parts[1].c_str()));
    if (route == "drip") return drip(std::atoi(parts[1].c_str()), std::atoi(parts[2].c_str()));
    if (route == "redirect") return redirect(std::atoi(parts[1].c_str()));
    if (route == "redirect-to") {
      return reply(std::atoi(query_value(request.query, "status").c_str()), "",
                   "Location: " + query_value(request.query, "url") + "\r\n");
    }
    if (route == "flaky") {
      const bool bad = loop_.visits[route + " " + parts[1]]++ < std::atoi(parts[2].c_str());
      return reply(bad ? 503 : 200, bad ? "not yet" : "now");
    }
    if (route == "busy") {
      const bool bad = loop_.visits[route + " " + parts[1]]++ < std::atoi(parts[2].c_str());
      return reply(bad ? 429 : 200, bad ? "slow down" : "now", bad ? "Retry-After: 0\r\n" : "");
    }
    if (route == "cookies")
      return reply(200, "", "Set-Cookie: a=1, b\r\nSet-Cookie: c=2\r\nX-Two: 1\r\nX-Two: 2\r\n");
    if (route == "close-early")
      return send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789", false);
    if (route == "reset") return;
    if (route == "hang") return hang();
    reply(404, "no such route");
  }

  void echo(const Request& request) {
    const Value::Map body{{"method", request.method},
                          {"path", request.path},
                          {"query", request.query},
                          {"headers", request.headers},
                          {"body", request.body}};
    reply(200, to_json(body), "Content-Type: application/json\r\n");
  }

  void redirect(int more) {
    reply(302, "",
          fmt::format("Location: {}\r\n", more > 1 ? fmt::format("/redirect/{}", more - 1) : "/echo"));
  }

  void delay(int ms) {
    loop_.most_waiting = std::max(loop_.most_waiting.load(), ++loop_.waiting);
    timer_.expires_after(std::chrono::milliseconds(ms));
    timer_.async_wait([this, self = shared_from_this(), ms](const std::error_code&) {
      --loop_.waiting;
      reply(200, fmt::format("waited {}", ms));
    });
  }

  // Ends when the client goes.
  void hang() {
    asio::async_read(socket_, asio::dynamic_buffer(input_),
                     [self = shared_from_this()](const std::error_code&, std::size_t) {});
  }

  void chunked(int count) {
    std::string text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (int i = 1; i <= count; ++i) {
      const std::string chunk = fmt::format("chunk {}\n", i);
      text += fmt::format("{:x}\r\n{}\r\n", chunk.size(), chunk);
    }
    send(text + "0\r\n\r\n", true);
  }

  void drip(int count, int ms) {
    send(fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", count), true,
         [this, count, ms] { drop(count, ms); });
  }

  void drop(int left, int ms) {
    if (left == 0) return read();
    timer_.expires_after(std::chrono::milliseconds(ms));
    timer_.async_wait([this, self = shared_from_this(), left, ms](const std::error_code&) {
      send(".", true, [this, left, ms] { drop(left - 1, ms); });
    });
  }

  void reply(int status, const std::string& body, const std::string& headers = "") {
    std::string text = fmt::format("HTTP/1.1 {} {}\r\n{}", status, reason_of(status), headers);
    if (has_body(status)) text += fmt::format("Content-Length: {}\r\n", body.size());
    text += "\r\n";
    if (has_body(status) && !head_only_) text += body;
    send(std::move(text), true);
  }

  void send(std::string text, bool keep, std::function<void()> next = nullptr) {
    output_ = std::move(text);
    asio::async_write(socket_, asio::buffer(output_),
                      [this, self = shared_from_this(), keep, next = std::move(next)](
                          const std::error_code& error, std::size_t) {
                        if (error || !keep) return;
                        if (next) return next();
                        read();
                      });
  }

  Loop& loop_;
  tcp::socket socket_;
  asio::steady_timer timer_;
  std::string input_;
  std::string output_;
  bool head_only_ = false;
};

void HttpServer::Loop::accept() {
  acceptor_.async_accept([this](const std::error_code& error, tcp::socket socket) {
    if (!error) {
      count(accepted, 1);
      socket.set_option(tcp::no_delay(true));
      std::make_shared<Session>(*this, std::move(socket))->read();
    }
    accept();
  });
}

HttpServer::HttpServer() : loop_(std::make_unique<Loop>()) {}
HttpServer::~HttpServer() = default;

std::uint16_t HttpServer::port() const { return loop_->port; }
std::string HttpServer::url(const std::string& path) const {
  return fmt::format("http://127.0.0.1:{}{}", loop_->port, path);
}
int HttpServer::requests() const { return loop_->requests; }
int HttpServer::accepted() const { return loop_->accepted; }
int HttpServer::open() const { return loop_->open; }
int HttpServer::most_waiting() const { return loop_->most_waiting; }

bool HttpServer::wait_until(const std::function<bool()>& holds, std::chrono::seconds limit) const {
  std::unique_lock lock(loop_->mutex);
  return loop_->changed.wait_for(lock, limit, holds);
}

}  // namespace sloth::testing
