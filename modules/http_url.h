// URLs of http and https: taken apart, extended by a query, matched with proxies.
//
// Thread-safe: pure functions.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "modules/http_message.h"
#include "runner/base/result.h"

namespace sloth {

struct HttpUrl {
  std::string text;    // normalised, without user, password and fragment: for requests and messages
  std::string scheme;  // "http" or "https"
  std::string host;    // lower case; international names as xn--; IPv6 without brackets
  std::string port;    // always there
  std::string user;    // decoded; "" when absent
  std::string password;

  [[nodiscard]] bool same_origin(const HttpUrl& other) const {
    return scheme == other.scheme && host == other.host && port == other.port;
  }
};

// kInvalid for other schemes, a missing scheme or host, and text that is no URL. Blanks and bytes beyond
// ASCII in path and query are percent-encoded.
Result<HttpUrl> parse_http_url(const std::string& text);

// The text as given, less user and password: for messages, also about what is no URL.
std::string without_credentials(const std::string& text);

// A numeric address needs no lookup.
bool is_literal_address(const std::string& host);

// Everything but letters, digits and -._~ as %XX.
std::string percent_encode(std::string_view text);

// "a=1&b=x%20y".
std::string encode_form(const std::vector<std::pair<std::string, std::string>>& fields);

// `url` with `query` (encoded) behind what it has, before its fragment.
std::string with_query(const std::string& url, const std::string& query);

// The proxy for a URL, "" for none.
std::string proxy_for(const HttpProxies& proxies, const HttpUrl& url);

// Host and port of a proxy's URL, whatever its scheme; a name alone means http.
Result<std::pair<std::string, std::string>> proxy_address(const std::string& proxy);

}  // namespace sloth
