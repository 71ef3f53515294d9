// HttpRequest and HttpResponse: what the engine is asked and what it answers.
//
// Not shared: one thread at a time. Values: copied and moved freely.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runner/base/clock.h"

namespace sloth {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

// Which proxy serves which URL: URLs, or "" for none. `exceptions` is a list like no_proxy's:
// "localhost,.internal,10.0.0.1", "*" for all.
struct HttpProxies {
  std::string http;
  std::string https;
  std::string exceptions;
};

struct HttpRequest {
  std::string method = "GET";
  std::string url;
  HttpHeaders headers;
  std::optional<std::string> body;

  // Of one attempt, redirects and the lookup of names included. Zero: none.
  Duration timeout = std::chrono::seconds(30);
  Duration connect_timeout = std::chrono::seconds(30);
  // Ends a transfer that moves nothing for this long. Zero: never.
  Duration stall_timeout{};
  int retries = 0;         // further attempts after a transport failure or status 429, 502, 503, 504
  int max_redirects = 10;  // 0: a redirect is the answer
  bool verify = true;      // the server's certificate
  std::string ca_file;     // absolute; "": the machine's bundle
  HttpProxies proxies;
  bool http2 = true;  // offered to https servers
  std::string user;   // basic authentication; "": what the URL names, if anything
  std::string password;
  std::uint64_t max_body = std::uint64_t{64} << 20;
  // A body with a status of 2xx goes to this absolute path, atomically and whatever its size.
  std::string save_to;
};

struct HttpResponse {
  int status = 0;
  std::string status_text;  // "Not Found"; "" under HTTP/2
  HttpHeaders headers;      // names in lower case, in order of arrival
  std::string body;
  std::string url;          // of the last redirect, without user and password
  Duration elapsed{};       // all attempts and pauses
  std::uint64_t saved = 0;  // bytes written to save_to
  bool is_saved = false;
};

}  // namespace sloth
