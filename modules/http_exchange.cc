#include "modules/http_exchange.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <system_error>
#include <utility>

#include "runner/base/check.h"
#include "runner/base/duration.h"
#include "runner/base/version.h"

namespace sloth {
namespace {

// curl takes zero for "no limit".
long whole_ms(Duration duration) {
  return std::max(1L,
                  static_cast<long>(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count()));
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return result;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() &&
         (text.back() == '\r' || text.back() == '\n' || text.back() == ' ' || text.back() == '\t')) {
    text.remove_suffix(1);
  }
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  return text;
}

// System texts start with a capital, our sentences go on.
std::string continued(std::string text) {
  if (text.size() > 1 && std::islower(static_cast<unsigned char>(text[1])) != 0) {
    text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
  }
  return text;
}

}  // namespace

HttpExchange::HttpExchange(const HttpRequest& request, Target target, std::shared_ptr<HttpFile> file)
    : request_(request), target_(std::move(target)), file_(std::move(file)), easy_(curl_easy_init()) {
  SLOTH_CHECK(easy_ != nullptr);
  set_request();
  set_headers();
  set_transport();
}

HttpExchange::~HttpExchange() { curl_easy_cleanup(easy_); }

void HttpExchange::set_request() {
  curl_easy_setopt(easy_, CURLOPT_URL, target_.url.text.c_str());
  curl_easy_setopt(easy_, CURLOPT_PROTOCOLS_STR, "http,https");
  if (request_.method == "HEAD") {
    curl_easy_setopt(easy_, CURLOPT_NOBODY, 1L);
  } else if (request_.body || request_.method == "POST" || request_.method == "PUT" ||
             request_.method == "PATCH") {
    // A method that is expected to bring a body sends "Content-Length: 0" when it has none.
    const std::string_view body = request_.body ? std::string_view(*request_.body) : std::string_view();
    curl_easy_setopt(easy_, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
    curl_easy_setopt(easy_, CURLOPT_POSTFIELDS, body.empty() ? "" : body.data());
  }
  if (request_.method != "HEAD") curl_easy_setopt(easy_, CURLOPT_CUSTOMREQUEST, request_.method.c_str());
  if (!request_.user.empty()) {
    curl_easy_setopt(easy_, CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BASIC));
    curl_easy_setopt(easy_, CURLOPT_USERNAME, request_.user.c_str());
    curl_easy_setopt(easy_, CURLOPT_PASSWORD, request_.password.c_str());
  }
  curl_easy_setopt(easy_, CURLOPT_WRITEFUNCTION, &HttpExchange::on_body);
  curl_easy_setopt(easy_, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(easy_, CURLOPT_HEADERFUNCTION, &HttpExchange::on_header);
  curl_easy_setopt(easy_, CURLOPT_HEADERDATA, this);
  curl_easy_setopt(easy_, CURLOPT_ERRORBUFFER, text_);
  curl_easy_setopt(easy_, CURLOPT_PRIVATE, this);
}

void HttpExchange::set_headers() {
  bool own_type = false;
  bool own_encoding = false;
  bool own_agent = false;
  for (const auto& [name, value] : request_.headers) {
    const std::string key = lower(name);
    own_type = own_type || key == "content-type";
    own_encoding = own_encoding || key == "accept-encoding";
    own_agent = own_agent || key == "user-agent";
    // For curl "Name:" removes a header and "Name;" sends it empty.
    headers_.add(value.empty() ? name + ";" : name + ": " + value);
  }
  if (!own_type) headers_.add("Content-Type:");
  headers_.add("Expect:");
  curl_easy_setopt(easy_, CURLOPT_HTTPHEADER, headers_.list);
  if (!own_agent) curl_easy_setopt(easy_, CURLOPT_USERAGENT, fmt::format("sloth/{}", version()).c_str());
  // A download keeps the bytes of the archive that was asked for.
  if (!own_encoding && file_ == nullptr) curl_easy_setopt(easy_, CURLOPT_ACCEPT_ENCODING, "");
}

void HttpExchange::set_transport() {
  curl_easy_setopt(easy_, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy_, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(easy_, CURLOPT_CONNECTTIMEOUT_MS, whole_ms(request_.connect_timeout));
  if (target_.timeout > Duration{}) curl_easy_setopt(easy_, CURLOPT_TIMEOUT_MS, whole_ms(target_.timeout));
  if (request_.stall_timeout > Duration{}) {
    curl_easy_setopt(easy_, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(easy_, CURLOPT_LOW_SPEED_TIME, std::max(1L, whole_ms(request_.stall_timeout) / 1000));
  }
  const bool http2 = request_.http2 && target_.url.scheme == "https";
  curl_easy_setopt(easy_, CURLOPT_HTTP_VERSION,
                   static_cast<long>(http2 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
  // Many requests to one server wait for its first handshake and share that connection if it speaks HTTP/2.
  if (http2) curl_easy_setopt(easy_, CURLOPT_PIPEWAIT, 1L);
  curl_easy_setopt(easy_, CURLOPT_SSL_VERIFYPEER, request_.verify ? 1L : 0L);
  curl_easy_setopt(easy_, CURLOPT_SSL_VERIFYHOST, request_.verify ? 2L : 0L);
  if (!target_.ca_file.empty()) curl_easy_setopt(easy_, CURLOPT_CAINFO, target_.ca_file.c_str());
  // Always set: an unset one makes curl read the environment of this process, not of the task.
  curl_easy_setopt(easy_, CURLOPT_PROXY, target_.proxy.c_str());
  curl_easy_setopt(easy_, CURLOPT_NOPROXY, "");
  curl_easy_setopt(easy_, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  if (!target_.resolve.empty()) {
    resolve_.add(target_.resolve);
    curl_easy_setopt(easy_, CURLOPT_RESOLVE, resolve_.list);
  }
}

void HttpExchange::resume() { curl_easy_pause(easy_, CURLPAUSE_CONT); }

std::size_t HttpExchange::on_header(char* data, std::size_t size, std::size_t count, void* self) {
  static_cast<HttpExchange*>(self)->header_line(std::string_view(data, size * count));
  return size * count;
}

void HttpExchange::header_line(std::string_view line) {
  line = trimmed(line);
  if (line.starts_with("HTTP/")) {
    // The last status counts: "100 Continue" and the like come before it.
    response_.headers.clear();
    response_.status_text.clear();
    const std::size_t code = std::min(line.find(' '), line.size());
    const std::size_t reason = line.find(' ', code + 1);
    if (reason != std::string_view::npos) response_.status_text = trimmed(line.substr(reason));
    return;
  }
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return;
  response_.headers.emplace_back(lower(trimmed(line.substr(0, colon))), trimmed(line.substr(colon + 1)));
}

std::size_t HttpExchange::on_body(char* data, std::size_t size, std::size_t count, void* self) {
  bool full = false;
  if (static_cast<HttpExchange*>(self)->body_part(std::string_view(data, size * count), full))
    return size * count;
  return full ? CURL_WRITEFUNC_PAUSE : 0;
}

bool HttpExchange::body_part(std::string_view part, bool& full) {
  if (file_ != nullptr) {
    long status = 0;
    curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &status);
    to_file_ = status >= 200 && status < 300;
  }
  if (to_file_) {
    if (file_->error()) return false;
    full = !file_->write(part);
    return !full;
  }
  too_large_ = response_.body.size() + part.size() > request_.max_body;
  if (too_large_) return false;
  response_.body += part;
  return true;
}

Result<HttpResponse> HttpExchange::take(CURLcode code) {
  if (code != CURLE_OK) return failure(code);
  long status = 0;
  curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &status);
  response_.status = static_cast<int>(status);
  response_.url = target_.url.text;
  return std::move(response_);
}

std::string HttpExchange::redirect() const {
  char* location = nullptr;
  curl_easy_getinfo(easy_, CURLINFO_REDIRECT_URL, &location);
  return location == nullptr ? "" : location;
}

Error HttpExchange::failure(CURLcode code) const {
  const HttpUrl& url = target_.url;
  const std::string detail = continued(text_[0] != '\0' ? text_ : curl_easy_strerror(code));
  const std::string via = target_.proxy.empty() ? "" : " through the proxy";
  const std::string peer = fmt::format(
      "{}:{}{}", url.host.find(':') == std::string::npos ? url.host : "[" + url.host + "]", url.port, via);
  switch (code) {
    case CURLE_COULDNT_CONNECT: {
      long number = 0;
      curl_easy_getinfo(easy_, CURLINFO_OS_ERRNO, &number);
      const std::string reason =
          number == 0 ? detail : continued(std::generic_category().message(static_cast<int>(number)));
      return Error{Code::kUnavailable, fmt::format("could not connect to {}: {}", peer, reason)};
    }
    case CURLE_OPERATION_TIMEDOUT: {
      double connected = 0;
      curl_easy_getinfo(easy_, CURLINFO_CONNECT_TIME, &connected);
      const bool connecting = connected <= 0;
      if (detail.find("too slow") != std::string::npos) {
        return Error{Code::kTimeout,
                     fmt::format("nothing arrived for {}", format_duration(request_.stall_timeout))};
      }
      const bool overall =
          request_.timeout > Duration{} && (!connecting || request_.timeout <= request_.connect_timeout);
      return Error{Code::kTimeout,
                   fmt::format("timed out after {} while {} {}",
                               format_duration(overall ? request_.timeout : request_.connect_timeout),
                               connecting ? "connecting to" : "waiting for", peer)};
    }
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
      return Error{
          Code::kRefused,
          fmt::format(
              "the TLS certificate of {} was not accepted: {}; name its authority with ca_file, or set "
              "verify = false to accept any",
              peer, detail)};
    case CURLE_WRITE_ERROR:
      if (too_large_) {
        return Error{Code::kLimit,
                     fmt::format("the body is larger than max_body ({} bytes); raise it or use http.download",
                                 request_.max_body)};
      }
      if (file_ != nullptr && file_->error()) return *file_->error();
      return Error{Code::kIo, detail};
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_PARTIAL_FILE:
      return Error{Code::kUnavailable, fmt::format("the connection to {} broke: {}", peer, detail)};
    default: return Error{Code::kUnavailable, fmt::format("request to {} failed: {}", peer, detail)};
  }
}

}  // namespace sloth
