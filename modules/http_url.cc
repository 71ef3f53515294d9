#include "modules/http_url.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>

namespace sloth {
namespace {

struct UrlDeleter {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
using UrlHandle = std::unique_ptr<CURLU, UrlDeleter>;

std::string part_of(CURLU* url, CURLUPart part, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, flags) != CURLUE_OK) return "";
  std::string result(text);
  curl_free(text);
  return result;
}

std::string host_of(CURLU* url) {
  std::string host;
#ifdef CURLU_PUNYCODE
  host = part_of(url, CURLUPART_HOST, CURLU_PUNYCODE);
#endif
  if (host.empty()) host = part_of(url, CURLUPART_HOST);
  if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
  std::transform(host.begin(), host.end(), host.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return host;
}

Error bad_url(std::string_view why) {
  return Error{Code::kInvalid, fmt::format("not a usable URL: {}", why)};
}

bool matches_exception(std::string_view host, std::string_view rule) {
  if (rule == "*") return true;
  while (!rule.empty() && rule.front() == '.') rule.remove_prefix(1);
  if (rule.empty() || !host.ends_with(rule)) return false;
  return host.size() == rule.size() || host[host.size() - rule.size() - 1] == '.';
}

}  // namespace

Result<HttpUrl> parse_http_url(const std::string& text) {
  if (text.find('\0') != std::string::npos) return bad_url("it holds a zero byte");
  if (text.find("://") == std::string::npos) return bad_url("it must start with http:// or https://");
  const UrlHandle url(curl_url());
  SLOTH_CHECK(url != nullptr);
  const CURLUcode code =
      curl_url_set(url.get(), CURLUPART_URL, text.c_str(), CURLU_NON_SUPPORT_SCHEME | CURLU_URLENCODE);
  if (code != CURLUE_OK) return bad_url(curl_url_strerror(code));
  HttpUrl parts;
  parts.scheme = part_of(url.get(), CURLUPART_SCHEME);
  if (parts.scheme != "http" && parts.scheme != "https") {
    return bad_url(fmt::format("only http and https are spoken, not {}", parts.scheme));
  }
  parts.host = host_of(url.get());
  if (parts.host.empty()) return bad_url("it names no host");
  parts.port = part_of(url.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT);
  parts.user = part_of(url.get(), CURLUPART_USER, CURLU_URLDECODE);
  parts.password = part_of(url.get(), CURLUPART_PASSWORD, CURLU_URLDECODE);
  for (const CURLUPart secret : {CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_FRAGMENT}) {
    curl_url_set(url.get(), secret, nullptr, 0);
  }
  parts.text = part_of(url.get(), CURLUPART_URL);
  return parts;
}

std::string without_credentials(const std::string& text) {
  const std::size_t scheme = text.find("://");
  const std::size_t start = scheme == std::string::npos ? 0 : scheme + 3;
  const std::size_t end = std::min(text.find_first_of("/?#", start), text.size());
  const std::size_t at = text.substr(0, end).rfind('@');
  if (at == std::string::npos || at < start) return text;
  return text.substr(0, start) + text.substr(at + 1);
}

bool is_literal_address(const std::string& host) {
  in6_addr address{};
  // A zone ("fe80::1%eth0") is no part of what inet_pton reads.
  return inet_pton(AF_INET, host.c_str(), &address) == 1 ||
         inet_pton(AF_INET6, host.substr(0, host.find('%')).c_str(), &address) == 1;
}

std::string percent_encode(std::string_view text) {
  constexpr std::string_view kPlain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  std::string result;
  for (const char c : text) {
    if (kPlain.find(c) != std::string_view::npos) {
      result += c;
    } else {
      result += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return result;
}

std::string encode_form(const std::vector<std::pair<std::string, std::string>>& fields) {
  std::string text;
  for (const auto& [name, value] : fields) {
    if (!text.empty()) text += '&';
    text += percent_encode(name) + "=" + percent_encode(value);
  }
  return text;
}

std::string with_query(const std::string& url, const std::string& query) {
  if (query.empty()) return url;
  const std::size_t end = std::min(url.find('#'), url.size());
  const std::string head = url.substr(0, end);
  const bool has_query = head.find('?') != std::string::npos;
  const bool open = head.ends_with('?') || head.ends_with('&');
  return head + (has_query ? (open ? "" : "&") : "?") + query + url.substr(end);
}

std::string proxy_for(const HttpProxies& proxies, const HttpUrl& url) {
  std::string_view rest = proxies.exceptions;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find_first_of(", \t"), rest.size());
    if (matches_exception(url.host, rest.substr(0, end))) return "";
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return url.scheme == "https" ? proxies.https : proxies.http;
}

Result<std::pair<std::string, std::string>> proxy_address(const std::string& proxy) {
  const UrlHandle url(curl_url());
  SLOTH_CHECK(url != nullptr);
  const CURLUcode code =
      curl_url_set(url.get(), CURLUPART_URL, proxy.c_str(), CURLU_NON_SUPPORT_SCHEME | CURLU_GUESS_SCHEME);
  if (code != CURLUE_OK) {
    return Error{Code::kInvalid, fmt::format("\"{}\" is no proxy's URL: {}", without_credentials(proxy),
                                             curl_url_strerror(code))};
  }
  std::string port = part_of(url.get(), CURLUPART_PORT);
  if (port.empty()) port = part_of(url.get(), CURLUPART_SCHEME) == "https" ? "443" : "1080";
  return std::pair(host_of(url.get()), port);
}

}  // namespace sloth
