// HttpExchange: one request to one URL and its response, on one curl handle.
//
// Confined to the reactor's thread. Redirects and retries are further exchanges (HttpEngine).
#pragma once

#include <curl/curl.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "modules/http_file.h"
#include "modules/http_message.h"
#include "modules/http_url.h"
#include "runner/base/result.h"

namespace sloth {

class HttpExchange {
 public:
  struct Target {
    HttpUrl url;
    std::string proxy;    // its URL; "": none
    std::string resolve;  // CURLOPT_RESOLVE's "name:port:address,address"; "": a literal address
    Duration timeout{};   // what is left; zero: none
    std::string ca_file;  // "": curl's default
  };

  // `request` outlives the exchange. `file`, if any, takes the body of a 2xx response.
  HttpExchange(const HttpRequest& request, Target target, std::shared_ptr<HttpFile> file);
  ~HttpExchange();
  HttpExchange(const HttpExchange&) = delete;
  HttpExchange& operator=(const HttpExchange&) = delete;

  [[nodiscard]] CURL* handle() const { return easy_; }
  [[nodiscard]] const HttpUrl& url() const { return target_.url; }
  [[nodiscard]] bool to_file() const { return to_file_; }

  // The body goes on after HttpFile refused bytes.
  void resume();

  // After the end, whose code that is: the response (its url and elapsed are the caller's to set), or what
  // failed.
  Result<HttpResponse> take(CURLcode code);

  // Where the response redirects to, "" for nowhere.
  [[nodiscard]] std::string redirect() const;

 private:
  struct Headers {
    curl_slist* list = nullptr;
    ~Headers() { curl_slist_free_all(list); }
    void add(const std::string& line) { list = curl_slist_append(list, line.c_str()); }
  };

  static std::size_t on_header(char* data, std::size_t size, std::size_t count, void* self);
  static std::size_t on_body(char* data, std::size_t size, std::size_t count, void* self);
  void set_request();
  void set_headers();
  void set_transport();
  void header_line(std::string_view line);
  bool body_part(std::string_view part, bool& full);
  [[nodiscard]] Error failure(CURLcode code) const;

  const HttpRequest& request_;
  const Target target_;
  const std::shared_ptr<HttpFile> file_;
  CURL* const easy_;
  Headers headers_;
  Headers resolve_;
  char text_[CURL_ERROR_SIZE] = {};
  HttpResponse response_;
  bool to_file_ = false;
  bool too_large_ = false;
};

}  // namespace sloth
