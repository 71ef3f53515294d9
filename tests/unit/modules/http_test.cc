#include "modules/http.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <memory>
#include <thread>

#include "modules/goroutine.h"
#include "modules/json.h"
#include "modules/log.h"
#include "tests/support/http_server.h"
#include "tests/support/lua_fixture.h"
#include "tests/support/stub_examples.h"

using namespace sloth;
using sloth::testing::HttpServer;
using sloth::testing::LuaFixture;

namespace {

struct Folder {
  std::string path;
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "sloth-http-XXXXXX").string();
    path = mkdtemp(pattern.data());
  }
  ~Folder() { std::filesystem::remove_all(path); }
};

struct HttpFixture {
  HttpServer server;
  Folder folder;
  std::unique_ptr<HttpEngine> engine;
  LuaFixture lua{
      {.workdir = folder.path}, [this](Executor& executor) {
        engine = std::make_unique<HttpEngine>(executor);
        return std::vector<Module>{goroutine_module(), http_module(*engine), json_module(), log_module()};
      }};
  // The engine goes before the executor, which is the fixture's.
  ~HttpFixture() { engine.reset(); }

  // $ stands for the server's URL.
  LuaFixture::Ran run(std::string text, Duration timeout = {}) {
    for (std::size_t at; (at = text.find('$')) != std::string::npos;) text.replace(at, 1, server.url());
    return lua.run(text, timeout);
  }
};

extern "C" char** environ;

// openssl s_server on a port of its choice, with a certificate made on the spot.
class TlsServer {
 public:
  explicit TlsServer(const std::string& folder) {
    run({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
         "1", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout",
         folder + "/key.pem", "-out", folder + "/cert.pem"});
    int output[2];
    int input[2];
    REQUIRE(pipe2(output, O_CLOEXEC) == 0);
    REQUIRE(pipe2(input, O_CLOEXEC) == 0);
    pid_ = start({"openssl", "s_server", "-accept", "127.0.0.1:0", "-www", "-cert", folder + "/cert.pem",
                  "-key", folder + "/key.pem"},
                 input[0], output[1]);
    close(output[1]);
    close(input[0]);
    input_ = input[1];
    std::string text;
    char c = 0;
    while (read(output[0], &c, 1) == 1) {
      text += c;
      if (c == '\n' && text.find("ACCEPT ") != std::string::npos) break;
    }
    output_ = output[0];
    port = std::stoi(text.substr(text.rfind(':') + 1));
  }
  ~TlsServer() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    close(input_);
    close(output_);
  }

  int port = 0;

 private:
  static pid_t start(std::vector<std::string> arguments, int input, int output) {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    if (input >= 0) posix_spawn_file_actions_adddup2(&actions, input, 0);
    if (output >= 0) posix_spawn_file_actions_adddup2(&actions, output, 1);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    std::vector<char*> words;
    for (std::string& argument : arguments) words.push_back(argument.data());
    words.push_back(nullptr);
    pid_t pid = 0;
    REQUIRE(posix_spawnp(&pid, words[0], &actions, nullptr, words.data(), environ) == 0);
    posix_spawn_file_actions_destroy(&actions);
    return pid;
  }
  static void run(std::vector<std::string> arguments) {
    int status = 0;
    REQUIRE(waitpid(start(std::move(arguments), -1, -1), &status, 0) > 0);
    REQUIRE(status == 0);
  }

  pid_t pid_ = 0;
  int input_ = -1;
  int output_ = -1;
};

}  // namespace

TEST_CASE("http: a response tells everything") {
  HttpFixture http;
  CHECK(http.run(R"(
    local r = http.get("$/json")
    assert(r.elapsed_ms > 0 and r.url == "$/json")
    return r.status, r.status_code, r.status_text, r.success, r.body, r.headers["content-type"], r:json().hello)")
            .text() == R"(200 200 "OK" true "{\"hello\":\"world\"}" "application/json" "world")");
  CHECK(http.run(R"(local r = http.get("$/status/503") return r.status, r.success)").text() == "503 false");
  CHECK(http.run(R"(local h = http.get("$/cookies").headers return h["set-cookie"], h["x-two"])").text() ==
        R"("a=1, b\nc=2" "1, 2")");
  CHECK(http.run(R"(local r = http.head("$/bytes/10") return r.status, r.body, r.headers["content-length"])")
            .text() == R"(200 "" "10")");
}

TEST_CASE("http: every verb sends its method") {
  HttpFixture http;
  CHECK(http.run(R"(
    local seen = {}
    for _, verb in ipairs{"get", "post", "put", "patch", "delete"} do
      seen[#seen + 1] = http[verb]("$/echo"):json().method
      seen[#seen + 1] = http["try_" .. verb]("$/echo", {body = "x"}):json().body
    end
    seen[#seen + 1] = http.request("purge", "$/echo"):json().method
    return table.concat(seen, " "))")
            .text() == R"("GET x POST x PUT x PATCH x DELETE x PURGE")");
  CHECK(http.run(R"(return http.post("$/echo"):json().headers["content-length"])").text() == R"("0")");
  CHECK(http.run(R"(return http.get("$/echo"):json().headers["content-length"])").text() == "null");
}

TEST_CASE("http: options shape the request") {
  HttpFixture http;
  CHECK(http.run(R"(
    local seen = http.post("$/echo?x=0", {
      query = {b = true, a = {1, "two words"}},
      headers = {["X-One"] = 1, ["X-Many"] = {"a", "b"}, ["X-Empty"] = ""},
      json = {list = json.array(), n = 1},
    }):json()
    return seen.query, seen.body, seen.headers["content-type"], seen.headers["x-one"], seen.headers["x-empty"] ~= nil)")
            .text() ==
        R"("x=0&a=1&a=two%20words&b=true" "{\"list\":[],\"n\":1}" "application/json" "1" false)");
  CHECK(http.run(R"(local s = http.put("$/echo", {form = {a = "1 2", b = false}}):json()
    return s.body, s.headers["content-type"])")
            .text() == R"("a=1%202&b=false" "application/x-www-form-urlencoded")");
  CHECK(
      http.run(
              R"(local h = http.post("$/echo", {body = "raw", headers = {["content-type"] = "text/x"}}):json().headers
    return h["content-type"], h["user-agent"]:match("^sloth/"), h["expect"])")
          .text() == R"("text/x" "sloth/" null)");
  CHECK(http.run(R"(return http.post("$/echo", {body = "raw"}):json().headers["content-type"])").text() ==
        "null");
  CHECK(
      http.run(
              R"(return http.get("$/echo", {user = "me", password = "secret"}):json().headers.authorization)")
          .text() == R"("Basic bWU6c2VjcmV0")");
  CHECK(http.run(R"(return http.get("$/redirect/1", {follow_redirects = false}).status)").text() == "302");
  CHECK(http.run(R"(return http.get("$/flaky/x/1", {retries = 1, timeout = "5s"}).status)").text() == "200");
}

TEST_CASE("http: get raises and try_get returns when there is no answer") {
  HttpFixture http;
  CHECK(
      http.run("\nhttp.get('http://127.0.0.1:1/health')").error() ==
      "test.lua:2: http.get http://127.0.0.1:1/health: could not connect to 127.0.0.1:1: connection refused");
  CHECK(http.run("return pcall(http.get, 'http://127.0.0.1:1/')").results.at(0) == Value(false));
  CHECK(http.run("return http.try_get('http://127.0.0.1:1/')").text() ==
        "null \"http.try_get http://127.0.0.1:1/: could not connect to 127.0.0.1:1: connection refused\"");
  CHECK_THAT(http.run("http.get('$/hang', {timeout = 0.05})").error(),
             Catch::Contains("timed out after 50ms"));
  CHECK_THAT(http.run("http.get('http://me:secret@127.0.0.1:1/')").error(),
             Catch::Contains("http.get http://127.0.0.1:1/: could not") && !Catch::Contains("secret"));
  CHECK_THAT(http.run("http.get('localhost:80')").error(),
             Catch::Contains("must start with http:// or https://"));
  CHECK_THAT(http.run("return http.get('$/bytes/11', {max_body = 10})").error(),
             Catch::Contains("larger than max_body"));
}

TEST_CASE("http: wrong use raises and names the culprit") {
  HttpFixture http;
  CHECK(http.run("\nhttp.get()").error() ==
        "test.lua:2: bad argument #1 to 'http.get' (string expected, got no value)");
  CHECK(http.run("http.try_post('x', 'body')").error() ==
        "test.lua:1: bad argument #2 to 'http.try_post' (table of options expected, got string)");
  const auto option = [&](const std::string& options) {
    return http.run("http.get('$/json', " + options + ")").error();
  };
  CHECK_THAT(option("{tiemout = 1}"),
             Catch::StartsWith("test.lua:1:") && Catch::Contains("did you mean \"timeout\"?"));
  CHECK_THAT(option("{timeout = 'soon'}"),
             Catch::Contains("bad option \"timeout\" (\"soon\" is not a duration"));
  CHECK_THAT(option("{timeout = 0}"), Catch::Contains("bad option \"timeout\""));
  CHECK_THAT(option("{headers = {['a b'] = 1}}"), Catch::Contains("\"a b\" is no header name"));
  CHECK_THAT(option("{headers = {a = 'x\\r\\nInjected: 1'}}"), Catch::Contains("holds a line break"));
  CHECK_THAT(option("{headers = {a = true}}"), Catch::Contains("the value of \"a\" is a boolean"));
  CHECK_THAT(option("{body = 'x', json = {}}"), Catch::Contains("bad option \"json\" (there is a \"body\""));
  CHECK_THAT(option("{json = {f = print}}"), Catch::Contains("json.f is a function"));
  CHECK_THAT(option("{retries = 1.5}"), Catch::Contains("whole number from 0 to 100"));
  CHECK_THAT(http.run("http.request('G T', '$/')").error(),
             Catch::Contains("bad argument #1 to 'http.request'"));
  CHECK(http.server.requests() == 0);
}

TEST_CASE("http: a body that is no JSON gives nil and the place") {
  HttpFixture http;
  CHECK_THAT(http.run("local v, m = http.get('$/status/200'):json() return v == nil, m").text(),
             Catch::StartsWith("true \"the body is not JSON: "));
}

TEST_CASE("http: downloads go to the task's directory") {
  HttpFixture http;
  CHECK(http.run("local r = http.download('$/bytes/3000000', 'data.bin') return r.success, r.bytes, r.path")
            .text() == "true 3000000 \"" + http.folder.path + "/data.bin\"");
  CHECK(std::filesystem::file_size(http.folder.path + "/data.bin") == 3000000);
  CHECK(http.run("local r = http.download('$/status/404', 'none') return r.success, r.body, r.path").text() ==
        R"(false "status 404" null)");
  CHECK_FALSE(std::filesystem::exists(http.folder.path + "/none"));
  CHECK_THAT(http.run("http.download('$/close-early', 'none')").error(), Catch::Contains("broke"));
  CHECK_THAT(http.run("return http.try_download('$/bytes/1', 'no/such/x')").text(),
             Catch::Contains("create "));
  CHECK_THAT(http.run("http.download('$/bytes/1', 'x/')").error(),
             Catch::Contains("path of a file expected"));
  CHECK_THAT(http.run("http.download('$/bytes/1')").error(),
             Catch::Contains("bad argument #2 to 'http.download'"));
}

TEST_CASE("http: cancelling a task ends its transfer") {
  HttpFixture http;
  const auto ran = http.run("http.get('$/hang')", std::chrono::milliseconds(100));
  CHECK(ran.outcome.kind == RootOutcome::Kind::kTimedOut);
  CHECK(http.server.wait_until([&] { return http.server.open() == 0; }));
}

TEST_CASE("http: a thousand goroutines ask at the same time") {
  HttpFixture http;
  const std::string url = "'http://localhost:" + std::to_string(http.server.port()) + "/delay/100'";
  const auto start = std::chrono::steady_clock::now();
  CHECK(http.run(R"(
    local wg, healthy = goroutine.wait_group(), 0
    for i = 1, 1000 do
      wg:add(1)
      goroutine.spawn(function()
        if http.get()" +
                 url + R"().success then healthy = healthy + 1 end
        wg:done()
      end)
    end
    wg:wait()
    return healthy)")
            .text() == "1000");
  CHECK(http.lua.executor().stats().blocking_started == 1);
  CHECK(http.server.most_waiting() > 100);
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(50));  // one by one: 100 s
}

TEST_CASE("http: proxies come from the option or the task's environment") {
  HttpFixture http;
  const std::string proxy = http.server.url();
  CHECK(http.run("return http.get('http://somewhere.invalid/x', {proxy = '$'}):json().path").text() ==
        R"("http://somewhere.invalid/x")");
  http.lua.host.environment.emplace_back("http_proxy", proxy);
  http.lua.host.environment.emplace_back("no_proxy", "127.0.0.1");
  CHECK(http.run("return http.get('http://somewhere.invalid/y'):json().path").text() ==
        R"("http://somewhere.invalid/y")");
  CHECK(http.run("return http.get('$/echo'):json().path").text() == R"("/echo")");
  CHECK_THAT(http.run("return http.try_get('http://127.0.0.1:1', {proxy = 'http://127.0.0.1:2'})").text(),
             Catch::Contains("could not connect to 127.0.0.1:1 through the proxy: connection refused"));
}

TEST_CASE("http: a certificate that nobody vouches for is refused unless asked otherwise") {
  HttpFixture http;
  const TlsServer tls(http.folder.path);
  const std::string url = "'https://localhost:" + std::to_string(tls.port) + "/'";
  CHECK_THAT(http.run("http.get(" + url + ")").error(),
             Catch::Contains("the TLS certificate of localhost:") && Catch::Contains("verify = false"));
  CHECK(http.run("return http.get(" + url + ", {verify = false}).status").text() == "200");
  CHECK(http.run("return http.get(" + url + ", {ca_file = 'cert.pem'}).status").text() == "200");
  CHECK_THAT(http.run("http.get(" + url + ", {ca_file = 'missing.pem'})").error(),
             Catch::Contains("missing.pem"));
  // The other name of the machine is not in the certificate of an address alone.
  CHECK(http.run("return http.get('https://127.0.0.1:" + std::to_string(tls.port) +
                 "/', {ca_file = 'cert.pem'}).status")
            .text() == "200");
}

TEST_CASE("http: the examples of the stub run") {
  HttpFixture http;
  const auto examples = sloth::testing::stub_examples(http_module(*http.engine).stub);
  CHECK(examples.size() == 5);
  for (auto example : examples) {
    const std::string shown = "http://localhost:8080";
    for (std::size_t at; (at = example.text.find(shown)) != std::string::npos;) {
      example.text.replace(at, shown.size(), "http://localhost:" + std::to_string(http.server.port()));
    }
    INFO("line " << example.line);
    CHECK(http.run(example.text).text() == "");
  }
}
