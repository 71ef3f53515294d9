#include "modules/http_engine.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <deque>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "modules/http_exchange.h"
#include "modules/http_loop.h"
#include "modules/http_resolver.h"
#include "modules/http_url.h"
#include "runner/base/duration.h"
#include "runner/base/mutex.h"
#include "runner/exec/executor.h"
#include "runner/exec/reactor.h"

namespace sloth {
namespace {

using std::chrono::steady_clock;

constexpr Duration kFirstPause = std::chrono::milliseconds(250);
constexpr Duration kLongestPause = std::chrono::seconds(10);
constexpr Duration kLongestAskedPause = std::chrono::seconds(60);

// A socket each, and the rest of the program needs descriptors too.
std::size_t most_at_once() {
  constexpr rlim_t kMost = 1024;
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return kMost;
  return std::clamp<rlim_t>(limit.rlim_cur / 2, 16, kMost);
}

// A static OpenSSL knows the path of the distribution it was built on only.
std::string find_ca_file() {
  const char* named = std::getenv("SSL_CERT_FILE");
  if (named != nullptr && *named != '\0') return named;
  for (const char* path :
       {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"}) {
    if (access(path, R_OK) == 0) return path;
  }
  return "";
}

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

bool worth_a_retry(const Result<HttpResponse>& answer) {
  if (answer) return answer->status == 429 || (answer->status >= 502 && answer->status <= 504);
  return answer.error().code == Code::kUnavailable || answer.error().code == Code::kTimeout;
}

// Retry-After in seconds, if the answer has one that can be honoured.
std::optional<Duration> asked_pause(const Result<HttpResponse>& answer) {
  if (!answer) return std::nullopt;
  for (const auto& [name, value] : answer->headers) {
    if (name != "retry-after" || value.empty() || value.size() > 6) continue;
    if (value.find_first_not_of("0123456789") != std::string::npos) continue;
    return std::min<Duration>(std::chrono::seconds(std::stol(value)), kLongestAskedPause);
  }
  return std::nullopt;
}

void drop_headers(HttpHeaders& headers, std::initializer_list<std::string_view> names) {
  std::erase_if(headers, [&](const auto& header) {
    return std::any_of(names.begin(), names.end(), [&](std::string_view name) {
      return header.first.size() == name.size() &&
             std::equal(name.begin(), name.end(), header.first.begin(),
                        [](char a, char b) { return a == (b >= 'A' && b <= 'Z' ? b + ('a' - 'A') : b); });
    });
  });
}

}  // namespace

// All of it runs on the reactor's thread, or on the engine's last one when the reactor has stopped.
class HttpEngine::Core : public std::enable_shared_from_this<Core> {
 public:
  explicit Core(Executor& executor) : executor_(executor), limit_(most_at_once()) {}

  void start(Ticket ticket, HttpRequest request, Done done);
  void cancel(Ticket ticket);
  void end();

 private:
  struct Transfer {
    HttpRequest asked;    // as started, for the next attempt
    HttpRequest request;  // of this hop
    Done done;
    TimePoint started;
    TimePoint deadline{};  // of this attempt
    bool admitted = false;
    bool running = false;  // its exchange is inside the loop
    int attempt = 0;
    int redirects = 0;
    // Whoever waits for this transfer remembers the step; another number means that it has moved on.
    std::uint64_t step = 0;
    std::shared_ptr<HttpFile> file;
    std::unique_ptr<HttpExchange> exchange;
  };

  Transfer* find(Ticket ticket, std::uint64_t step);
  void open();
  void admit();
  void begin_attempt(Ticket ticket, Transfer& transfer);
  void begin_hop(Ticket ticket, Transfer& transfer);
  void exchange(Ticket ticket, Transfer& transfer, HttpUrl url, std::string proxy, std::string resolve);
  void exchanged(CURL* easy, CURLcode code);
  bool follow(Ticket ticket, Transfer& transfer, const std::string& location);
  void conclude(Ticket ticket, Result<HttpResponse> answer);
  void finish(Ticket ticket, Result<HttpResponse> answer);
  void release(Transfer& transfer);
  std::optional<Duration> time_left(const Transfer& transfer) const;

  Executor& executor_;
  const std::size_t limit_;
  std::string ca_file_;
  std::shared_ptr<HttpLoop> loop_;
  std::shared_ptr<HttpResolver> resolver_;
  std::unordered_map<Ticket, Transfer> transfers_;
  std::unordered_map<CURL*, Ticket> by_handle_;
  std::deque<Ticket> queue_;
  std::size_t admitted_ = 0;
  bool admitting_ = false;
  bool ended_ = false;
};

HttpEngine::Core::Transfer* HttpEngine::Core::find(Ticket ticket, std::uint64_t step) {
  const auto found = transfers_.find(ticket);
  return found == transfers_.end() || found->second.step != step ? nullptr : &found->second;
}

void HttpEngine::Core::open() {
  if (loop_ != nullptr) return;
  ca_file_ = find_ca_file();
  resolver_ = std::make_shared<HttpResolver>(executor_);
  // A raw pointer: the loop's callbacks come from the reactor, and end() drops it first.
  loop_ = std::make_shared<HttpLoop>(executor_.reactor(),
                                     [this](CURL* easy, CURLcode code) { exchanged(easy, code); });
}

void HttpEngine::Core::start(Ticket ticket, HttpRequest request, Done done) {
  if (ended_) {
    done(Error{Code::kCancelled, "the program is ending"});
    return;
  }
  open();
  Transfer& transfer = transfers_[ticket];
  transfer.asked = std::move(request);
  transfer.done = std::move(done);
  transfer.started = steady_clock::now();
  queue_.push_back(ticket);
  admit();
}

void HttpEngine::Core::admit() {
  // An attempt may end at once and come here again: the outer loop goes on.
  if (std::exchange(admitting_, true)) return;
  while (admitted_ < limit_ && !queue_.empty() && !ended_) {
    const Ticket ticket = queue_.front();
    queue_.pop_front();
    const auto found = transfers_.find(ticket);
    if (found == transfers_.end()) continue;
    found->second.admitted = true;
    ++admitted_;
    begin_attempt(ticket, found->second);
  }
  admitting_ = false;
}

void HttpEngine::Core::begin_attempt(Ticket ticket, Transfer& transfer) {
  ++transfer.attempt;
  transfer.redirects = 0;
  transfer.request = transfer.asked;
  if (transfer.request.timeout > Duration{})
    transfer.deadline = steady_clock::now() + transfer.request.timeout;
  begin_hop(ticket, transfer);
}

std::optional<Duration> HttpEngine::Core::time_left(const Transfer& transfer) const {
  if (transfer.deadline == TimePoint{}) return std::nullopt;
  return transfer.deadline - steady_clock::now();
}

void HttpEngine::Core::begin_hop(Ticket ticket, Transfer& transfer) {
  auto url = parse_http_url(transfer.request.url);
  if (!url) {
    if (transfer.redirects == 0) return conclude(ticket, url.error());
    return conclude(ticket, url.error().in("redirect to " + without_credentials(transfer.request.url)));
  }
  if (transfer.request.user.empty()) {
    transfer.request.user = url->user;
    transfer.request.password = url->password;
  }
  std::string proxy = proxy_for(transfer.request.proxies, *url);
  auto peer = proxy.empty() ? Result(std::pair(url->host, url->port)) : proxy_address(proxy);
  if (!peer) return conclude(ticket, peer.error());
  const auto [host, port] = *peer;
  if (is_literal_address(host)) return exchange(ticket, transfer, std::move(*url), std::move(proxy), "");

  const std::uint64_t step = ++transfer.step;
  resolver_->resolve(host, [this, ticket, step, name = host, number = port, target = std::move(*url),
                            proxy = std::move(proxy)](const HostAddresses& addresses) mutable {
    Transfer* waiting = find(ticket, step);
    if (waiting == nullptr) return;
    if (!addresses) return conclude(ticket, addresses.error());
    std::string list;
    for (const std::string& address : *addresses) {
      if (!list.empty()) list += ',';
      list += address.find(':') == std::string::npos ? address : "[" + address + "]";
    }
    exchange(ticket, *waiting, std::move(target), std::move(proxy),
             fmt::format("{}:{}:{}", name, number, list));
  });
  // Curl's own timeout begins with the transfer; a lookup that is still under way needs another.
  if (find(ticket, step) != nullptr && transfer.deadline != TimePoint{}) {
    executor_.reactor().post_at(transfer.deadline, [weak = weak_from_this(), ticket, step, name = host] {
      const auto self = weak.lock();
      const Transfer* late = self == nullptr ? nullptr : self->find(ticket, step);
      if (late == nullptr) return;
      self->conclude(ticket,
                     Error{Code::kTimeout, fmt::format("timed out after {} while resolving \"{}\"",
                                                       format_duration(late->request.timeout), name)});
    });
  }
}

void HttpEngine::Core::exchange(Ticket ticket, Transfer& transfer, HttpUrl url, std::string proxy,
                                std::string resolve) {
  ++transfer.step;
  const auto left = time_left(transfer);
  if (left && *left <= Duration{}) {
    return conclude(ticket, Error{Code::kTimeout, fmt::format("timed out after {}",
                                                              format_duration(transfer.request.timeout))});
  }
  if (!transfer.request.save_to.empty() && transfer.file == nullptr) {
    transfer.file = std::make_shared<HttpFile>(executor_, transfer.request.save_to, [this, ticket] {
      const auto found = transfers_.find(ticket);
      if (found != transfers_.end() && found->second.running) found->second.exchange->resume();
    });
  }
  HttpExchange::Target target{std::move(url), std::move(proxy), std::move(resolve), left.value_or(Duration{}),
                              transfer.request.ca_file.empty() ? ca_file_ : transfer.request.ca_file};
  transfer.exchange = std::make_unique<HttpExchange>(transfer.request, std::move(target), transfer.file);
  transfer.running = true;
  by_handle_[transfer.exchange->handle()] = ticket;
  loop_->add(transfer.exchange->handle());
}

void HttpEngine::Core::exchanged(CURL* easy, CURLcode code) {
  const auto known = by_handle_.extract(easy);
  SLOTH_CHECK(!known.empty());
  const Ticket ticket = known.mapped();
  Transfer& transfer = transfers_.at(ticket);
  transfer.running = false;
  auto answer = transfer.exchange->take(code);
  if (!answer) return conclude(ticket, std::move(answer));
  if (is_redirect(answer->status) && transfer.request.max_redirects > 0) {
    const std::string location = transfer.exchange->redirect();
    if (!location.empty() && follow(ticket, transfer, location)) return;
  }
  const bool good = answer->status >= 200 && answer->status < 300;
  if (!good || transfer.file == nullptr) return conclude(ticket, std::move(answer));
  const std::uint64_t step = ++transfer.step;
  transfer.file->commit(
      [this, ticket, step, response = std::move(*answer)](Result<std::uint64_t> written) mutable {
        if (find(ticket, step) == nullptr) return;
        if (!written) return conclude(ticket, written.error());
        response.saved = *written;
        response.is_saved = true;
        transfers_.at(ticket).file.reset();
        conclude(ticket, std::move(response));
      });
}

// False: the response is the answer after all. Rules of RFC 9110, 15.4, as browsers apply them to POST.
bool HttpEngine::Core::follow(Ticket ticket, Transfer& transfer, const std::string& location) {
  HttpRequest& request = transfer.request;
  if (++transfer.redirects > request.max_redirects) {
    conclude(ticket, Error{Code::kLimit, fmt::format("stopped after {} redirects, the next one to {}",
                                                     request.max_redirects, location)});
    return true;
  }
  const HttpUrl from = transfer.exchange->url();
  long status = 0;
  curl_easy_getinfo(transfer.exchange->handle(), CURLINFO_RESPONSE_CODE, &status);
  if ((status == 303 && request.method != "HEAD") ||
      ((status == 301 || status == 302) && request.method == "POST")) {
    request.method = "GET";
    request.body.reset();
    drop_headers(request.headers, {"content-type", "content-length", "content-encoding"});
  }
  const auto to = parse_http_url(location);
  if (!to || !to->same_origin(from)) {
    request.user.clear();
    request.password.clear();
    drop_headers(request.headers, {"authorization", "cookie", "proxy-authorization"});
  }
  request.url = location;
  transfer.exchange.reset();
  begin_hop(ticket, transfer);
  return true;
}

// The end of one attempt.
void HttpEngine::Core::conclude(Ticket ticket, Result<HttpResponse> answer) {
  const auto found = transfers_.find(ticket);
  if (found == transfers_.end()) return;
  Transfer& transfer = found->second;
  if (transfer.attempt > transfer.asked.retries || !worth_a_retry(answer)) {
    return finish(ticket, std::move(answer));
  }
  release(transfer);
  const Duration doubled = kFirstPause * (std::int64_t{1} << std::min(transfer.attempt - 1, 10));
  const Duration pause = asked_pause(answer).value_or(std::min(doubled, kLongestPause));
  const bool accepted = executor_.reactor().post_at(
      steady_clock::now() + pause, [weak = weak_from_this(), ticket, step = transfer.step] {
        const auto self = weak.lock();
        if (self == nullptr || self->find(ticket, step) == nullptr) return;
        self->queue_.push_back(ticket);
        self->admit();
      });
  if (!accepted) finish(ticket, std::move(answer));
}

// Gives back what an attempt holds. Its place is free for others while it pauses.
void HttpEngine::Core::release(Transfer& transfer) {
  ++transfer.step;
  if (transfer.exchange != nullptr && std::exchange(transfer.running, false)) {
    by_handle_.erase(transfer.exchange->handle());
    loop_->remove(transfer.exchange->handle());
  }
  transfer.exchange.reset();
  if (transfer.file != nullptr) std::exchange(transfer.file, nullptr)->abandon();
  if (std::exchange(transfer.admitted, false)) --admitted_;
}

void HttpEngine::Core::finish(Ticket ticket, Result<HttpResponse> answer) {
  auto node = transfers_.extract(ticket);
  if (node.empty()) return;
  Transfer& transfer = node.mapped();
  release(transfer);
  if (answer) answer->elapsed = steady_clock::now() - transfer.started;
  transfer.done(std::move(answer));
  admit();
}

void HttpEngine::Core::cancel(Ticket ticket) { finish(ticket, Error{Code::kCancelled, "cancelled"}); }

void HttpEngine::Core::end() {
  ended_ = true;
  std::vector<Ticket> tickets;
  for (const auto& [ticket, transfer] : transfers_) tickets.push_back(ticket);
  for (const Ticket ticket : tickets) cancel(ticket);
  loop_.reset();
  resolver_.reset();
}

HttpEngine::HttpEngine(Executor& executor) : executor_(executor), core_(std::make_shared<Core>(executor)) {}

HttpEngine::~HttpEngine() {
  if (last_.load() == 0) return;  // nothing was ever started: do not wake the reactor for nothing
  struct Ended {
    Mutex mutex;
    CondVar changed;
    bool yes GUARDED_BY(mutex) = false;
  };
  Ended ended;
  const bool accepted = executor_.reactor().post([this, &ended] {
    core_->end();
    MutexLock lock(ended.mutex);
    ended.yes = true;
    ended.changed.notify_all();
  });
  if (!accepted) {
    core_->end();
    return;
  }
  MutexLock lock(ended.mutex);
  while (!ended.yes) ended.changed.wait(ended.mutex);
}

HttpEngine::Ticket HttpEngine::start(HttpRequest request, Done done) {
  const Ticket ticket = ++last_;
  struct Start {
    HttpRequest request;
    Done done;
  };
  auto what = std::make_shared<Start>(Start{std::move(request), std::move(done)});
  const bool accepted = executor_.reactor().post(
      [core = core_, ticket, what] { core->start(ticket, std::move(what->request), std::move(what->done)); });
  if (!accepted) what->done(Error{Code::kCancelled, "the program is ending"});
  return ticket;
}

void HttpEngine::cancel(Ticket ticket) {
  executor_.reactor().post([core = core_, ticket] { core->cancel(ticket); });
}

}  // namespace sloth
