#include "modules/http_engine.h"

#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <future>
#include <thread>

#include "modules/http_resolver.h"
#include "runner/exec/executor.h"
#include "runner/exec/reactor.h"
#include "tests/support/http_server.h"

using namespace sloth;
using sloth::testing::HttpServer;

namespace {

constexpr auto kLong = std::chrono::seconds(30);

struct EngineFixture {
  HttpServer server;
  Executor executor{{.workers = 2}};
  HttpEngine engine{executor};

  std::future<Result<HttpResponse>> begin(HttpRequest request, HttpEngine::Ticket* ticket = nullptr) {
    auto promise = std::make_shared<std::promise<Result<HttpResponse>>>();
    const auto started = engine.start(std::move(request), [promise](Result<HttpResponse> answer) {
      promise->set_value(std::move(answer));
    });
    if (ticket != nullptr) *ticket = started;
    return promise->get_future();
  }

  Result<HttpResponse> fetch(HttpRequest request) {
    auto future = begin(std::move(request));
    REQUIRE(future.wait_for(kLong) == std::future_status::ready);
    return future.get();
  }

  Result<HttpResponse> get(const std::string& path) {
    HttpRequest request;
    request.url = server.url(path);
    return fetch(std::move(request));
  }
};

struct Folder {
  std::filesystem::path path;
  int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "sloth-http-XXXXXX").string();
    path = mkdtemp(pattern.data());
    REQUIRE(inotify_add_watch(watch, path.c_str(), IN_CREATE | IN_DELETE | IN_MOVE) >= 0);
  }
  ~Folder() {
    close(watch);
    std::filesystem::remove_all(path);
  }
  [[nodiscard]] bool wait_for_entries(std::size_t count) const {
    while (entries() != count) {
      pollfd entry{watch, POLLIN, 0};
      if (poll(&entry, 1, static_cast<int>(std::chrono::milliseconds(kLong).count())) != 1) return false;
      char events[4096];
      static_cast<void>(read(watch, events, sizeof(events)));
    }
    return true;
  }
  [[nodiscard]] std::size_t entries() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(path), {}));
  }
};

int process_threads() {
  return static_cast<int>(std::distance(std::filesystem::directory_iterator("/proc/self/task"),
                                        std::filesystem::directory_iterator()));
}

}  // namespace

TEST_CASE("http engine: answers with status, headers, body and url") {
  EngineFixture http;
  auto answer = http.get("/json");
  REQUIRE(answer);
  CHECK(answer->status == 200);
  CHECK(answer->status_text == "OK");
  CHECK(answer->body == R"({"hello":"world"})");
  CHECK(answer->url == http.server.url("/json"));
  CHECK(std::find(answer->headers.begin(), answer->headers.end(),
                  std::pair<std::string, std::string>("content-type", "application/json")) !=
        answer->headers.end());
  CHECK(http.get("/status/404")->status == 404);
  CHECK(http.get("/chunked/3")->body == "chunk 1\nchunk 2\nchunk 3\n");
  CHECK(http.get("/bytes/1000000")->body.size() == 1000000);
  CHECK(http.get("/drip/5/1")->body == ".....");
}

TEST_CASE("http engine: a connection is used again") {
  EngineFixture http;
  for (int i = 0; i < 5; ++i) REQUIRE(http.get("/json"));
  CHECK(http.server.accepted() == 1);
}

TEST_CASE("http engine: no answer is an error that says why") {
  EngineFixture http;
  HttpRequest refused;
  refused.url = "http://127.0.0.1:1/";
  CHECK(http.fetch(refused).error().message == "could not connect to 127.0.0.1:1: connection refused");
  CHECK_THAT(http.get("/reset").error().message, Catch::StartsWith("the connection to 127.0.0.1:"));
  CHECK_THAT(http.get("/close-early").error().message, Catch::Contains("broke"));
  HttpRequest unknown;
  unknown.url = "http://no-such-host.invalid/";
  unknown.timeout = std::chrono::seconds(25);
  CHECK_THAT(http.fetch(unknown).error().message, Catch::Contains("\"no-such-host.invalid\""));
  HttpRequest bad;
  bad.url = "gopher://x";
  CHECK(http.fetch(bad).error().code == Code::kInvalid);
}

TEST_CASE("http engine: a timeout bounds the whole attempt") {
  EngineFixture http;
  HttpRequest request;
  request.url = http.server.url("/hang");
  request.timeout = std::chrono::milliseconds(500);  // ample for the connection
  const auto answer = http.fetch(request);
  REQUIRE_FALSE(answer);
  CHECK(answer.error().code == Code::kTimeout);
  CHECK_THAT(answer.error().message, Catch::StartsWith("timed out after 500ms while waiting for 127.0.0.1:"));
  CHECK(http.server.wait_until([&] { return http.server.open() == 0; }));
}

TEST_CASE("http engine: a stalled transfer ends") {
  EngineFixture http;
  HttpRequest request;
  request.url = http.server.url("/hang");
  request.timeout = Duration{};
  request.stall_timeout = std::chrono::seconds(1);
  CHECK(http.fetch(request).error().message == "nothing arrived for 1.0s");
}

TEST_CASE("http engine: cancel ends the transfer and its connection at once") {
  EngineFixture http;
  HttpRequest request;
  request.url = http.server.url("/hang");
  HttpEngine::Ticket ticket = 0;
  auto future = http.begin(request, &ticket);
  REQUIRE(http.server.wait_until([&] { return http.server.requests() == 1; }));
  http.engine.cancel(ticket);
  REQUIRE(future.wait_for(kLong) == std::future_status::ready);
  CHECK(future.get().error().code == Code::kCancelled);
  CHECK(http.server.wait_until([&] { return http.server.open() == 0; }));
  http.engine.cancel(ticket);
  CHECK(http.get("/json"));
}

TEST_CASE("http engine: its end cancels what is under way") {
  HttpServer server;
  Executor executor({.workers = 1});
  auto engine = std::make_unique<HttpEngine>(executor);
  std::promise<Result<HttpResponse>> ended;
  HttpRequest request;
  request.url = server.url("/hang");
  engine->start(request, [&](Result<HttpResponse> answer) { ended.set_value(std::move(answer)); });
  engine.reset();
  auto future = ended.get_future();
  REQUIRE(future.wait_for(std::chrono::seconds(0)) == std::future_status::ready);
  CHECK(future.get().error().code == Code::kCancelled);
}

TEST_CASE("http engine: it may end after its executor stopped") {
  HttpServer server;
  Executor executor({.workers = 1});
  HttpEngine engine(executor);
  auto ended = std::make_shared<std::promise<Result<HttpResponse>>>();
  HttpRequest request;
  request.url = server.url("/hang");
  engine.start(request, [ended](Result<HttpResponse> answer) { ended->set_value(std::move(answer)); });
  executor.stop();
  bool refused = false;
  engine.start(request, [&](const Result<HttpResponse>& answer) { refused = !answer; });
  CHECK(refused);
}

TEST_CASE("http engine: redirects") {
  EngineFixture http;
  SECTION("are followed, and the last URL is told") {
    auto answer = http.get("/redirect/3");
    REQUIRE(answer);
    CHECK(answer->status == 200);
    CHECK(answer->url == http.server.url("/echo"));
    CHECK(http.server.requests() == 4);
  }
  SECTION("stop at the limit") {
    HttpRequest request;
    request.url = http.server.url("/redirect/5");
    request.max_redirects = 4;
    CHECK_THAT(http.fetch(request).error().message, Catch::StartsWith("stopped after 4 redirects"));
    request.max_redirects = 0;
    CHECK(http.fetch(request)->status == 302);
  }
  SECTION("turn a POST into a GET for 303, and keep it for 307") {
    HttpRequest request;
    request.method = "POST";
    request.body = "payload";
    request.headers = {{"Content-Type", "text/plain"}};
    request.url = http.server.url("/redirect-to?status=303&url=%2Fecho");
    auto answer = http.fetch(request);
    CHECK_THAT(answer->body, Catch::Contains(R"("method":"GET")") && !Catch::Contains("text/plain"));
    request.url = http.server.url("/redirect-to?status=307&url=%2Fecho");
    answer = http.fetch(request);
    CHECK_THAT(answer->body, Catch::Contains(R"("method":"POST")") && Catch::Contains(R"("body":"payload")"));
  }
  SECTION("to another origin lose credentials, to the same one keep them") {
    HttpServer other;
    HttpRequest request;
    request.user = "me";
    request.password = "secret";
    request.headers = {{"Cookie", "session=1"}, {"X-Other", "kept"}};
    request.url = http.server.url("/redirect-to?status=302&url=%2Fecho");
    CHECK_THAT(http.fetch(request)->body,
               Catch::Contains("Basic bWU6c2VjcmV0") && Catch::Contains("session=1"));
    request.url = http.server.url("/redirect-to?status=302&url=" + other.url("/echo"));
    CHECK_THAT(http.fetch(request)->body,
               !Catch::Contains("Basic") && !Catch::Contains("session=1") && Catch::Contains("kept"));
  }
  SECTION("to other protocols fail") {
    HttpRequest request;
    request.url = http.server.url("/redirect-to?status=302&url=file%3A%2F%2F%2Fetc%2Fpasswd");
    CHECK_THAT(http.fetch(request).error().message, Catch::Contains("only http and https are spoken"));
  }
}

TEST_CASE("http engine: retries come after failures and busy servers, nothing else") {
  EngineFixture http;
  HttpRequest request;
  request.url = http.server.url("/flaky/a/1");
  CHECK(http.fetch(request)->status == 503);
  request.url = http.server.url("/flaky/b/1");
  request.retries = 1;
  CHECK(http.fetch(request)->status == 200);
  request.url = http.server.url("/flaky/c/3");
  CHECK(http.fetch(request)->status == 503);
  CHECK(http.server.requests() == 5);
  request.url = http.server.url("/busy/a/8");
  request.retries = 8;
  const auto start = std::chrono::steady_clock::now();
  CHECK(http.fetch(request)->status == 200);
  // "Retry-After: 0". Without it the pauses would add up to 35 seconds.
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(30));
  request.url = http.server.url("/status/500");
  CHECK(http.fetch(request)->status == 500);
  CHECK(http.server.requests() == 15);
}

TEST_CASE("http engine: a body beyond the limit fails instead of filling the memory") {
  EngineFixture http;
  HttpRequest request;
  request.url = http.server.url("/bytes/1001");
  request.max_body = 1000;
  CHECK_THAT(http.fetch(request).error().message,
             Catch::StartsWith("the body is larger than max_body (1000 bytes)"));
  request.url = http.server.url("/bytes/1000");
  CHECK(http.fetch(request));
}

TEST_CASE("http engine: a download appears whole or not at all") {
  Folder folder;  // outlives the engine, which tidies up in it
  EngineFixture http;
  HttpRequest request;
  request.save_to = (folder.path / "data").string();
  request.max_body = 1000;
  SECTION("whole") {
    request.url = http.server.url("/bytes/20000000");
    const auto answer = http.fetch(request);
    REQUIRE(answer);
    CHECK(answer->is_saved);
    CHECK(answer->saved == 20000000);
    CHECK(answer->body.empty());
    CHECK(std::filesystem::file_size(request.save_to) == 20000000);
    std::ifstream file(request.save_to);
    file.seekg(19999990);
    std::string tail;
    file >> tail;
    CHECK(tail == "0123456789");
  }
  SECTION("empty, over an older one") {
    std::ofstream(request.save_to) << "old";
    request.url = http.server.url("/bytes/0");
    CHECK(http.fetch(request)->is_saved);
    CHECK(std::filesystem::file_size(request.save_to) == 0);
  }
  SECTION("not for another status") {
    request.url = http.server.url("/status/404");
    const auto answer = http.fetch(request);
    REQUIRE(answer);
    CHECK_FALSE(answer->is_saved);
    CHECK(answer->body == "status 404");
    CHECK(folder.entries() == 0);
  }
  SECTION("not when the connection breaks, and the older one stays") {
    std::ofstream(request.save_to) << "old";
    request.url = http.server.url("/close-early");
    CHECK_FALSE(http.fetch(request));
    CHECK(folder.wait_for_entries(1));
    CHECK(std::filesystem::file_size(request.save_to) == 3);
  }
  SECTION("not when cancelled") {
    request.url = http.server.url("/drip/1000/5");
    HttpEngine::Ticket ticket = 0;
    auto future = http.begin(request, &ticket);
    REQUIRE(folder.wait_for_entries(1));
    http.engine.cancel(ticket);
    CHECK_FALSE(future.get());
    CHECK(folder.wait_for_entries(0));
  }
  SECTION("not when the folder is missing") {
    request.save_to = (folder.path / "no" / "data").string();
    request.url = http.server.url("/bytes/10");
    CHECK_THAT(http.fetch(request).error().message, Catch::Contains("No such file or directory"));
  }
}

TEST_CASE("http engine: a thousand transfers by name share one lookup and few threads") {
  EngineFixture http;
  HttpRequest request;
  request.url = "http://localhost:" + std::to_string(http.server.port()) + "/delay/100";
  const auto start = std::chrono::steady_clock::now();
  std::vector<std::future<Result<HttpResponse>>> futures;
  for (int i = 0; i < 1000; ++i) futures.push_back(http.begin(request));
  REQUIRE(http.server.wait_until([&] { return http.server.requests() > 0; }));
  const int threads = process_threads();
  for (auto& future : futures) {
    REQUIRE(future.wait_for(kLong) == std::future_status::ready);
    auto answer = future.get();
    if (!answer) FAIL(answer.error().message);
    if (answer->status != 200) FAIL(answer->status);
  }
  const auto took = std::chrono::steady_clock::now() - start;
  // Ours: workers, reactor, one lookup; the test's: main and its server.
  CHECK(threads <= 8);
  CHECK(http.executor.stats().blocking_started <= 1);
  CHECK(http.server.most_waiting() > 100);
  INFO("most at once " << http.server.most_waiting());
  CHECK(took < std::chrono::seconds(50));  // one by one they would take 100 s
}

namespace {

std::atomic<int> lookups{0};

HostAddresses fake_look_up(const std::string& host) {
  ++lookups;
  if (host == "bad") return Error{Code::kUnavailable, "no"};
  return std::vector<std::string>{"127.0.0.1"};
}

}  // namespace

TEST_CASE("http resolver: lookups of one name are shared, kept when good, not kept when bad") {
  Executor executor({.workers = 1});
  auto resolver = std::make_shared<HttpResolver>(executor, fake_look_up);
  lookups = 0;
  // What the job holds is its own: it may run on for a moment after the last answer.
  struct Asked {
    std::string host;
    int times = 0;
    int answers = 0;
    int good = 0;
    std::promise<int> all;
  };
  const auto ask = [&](const std::string& host, int times) {
    auto asked = std::make_shared<Asked>();
    asked->host = host;
    asked->times = times;
    auto all = asked->all.get_future();
    executor.reactor().post([asked, with = resolver.get()] {
      for (int i = 0; i < asked->times; ++i) {
        with->resolve(asked->host, [asked](const HostAddresses& addresses) {
          asked->good += addresses ? 1 : 0;
          if (++asked->answers == asked->times) asked->all.set_value(asked->good);
        });
      }
    });
    return all.get();
  };
  CHECK(ask("good", 10) == 10);
  CHECK(lookups == 1);
  CHECK(ask("good", 1) == 1);
  CHECK(lookups == 1);
  CHECK(ask("bad", 3) == 0);
  CHECK(ask("bad", 1) == 0);
  CHECK(lookups == 3);
  // It is of the reactor's thread to its end.
  std::promise<void> gone;
  executor.reactor().post([&] {
    resolver.reset();
    gone.set_value();
  });
  gone.get_future().wait();
}
