#include "modules/http_url.h"

#include <catch2/catch.hpp>

using namespace sloth;

TEST_CASE("http url: is taken apart") {
  auto url = parse_http_url("HTTP://user:p%40ss@Example.COM/a b?q=é#part");
  REQUIRE(url);
  CHECK(url->scheme == "http");
  CHECK(url->host == "example.com");
  CHECK(url->port == "80");
  CHECK(url->user == "user");
  CHECK(url->password == "p@ss");
  CHECK(url->text.find("user") == std::string::npos);
  CHECK(url->text.find("#") == std::string::npos);
  CHECK(url->text.find("/a%20b?q=%c3%a9") != std::string::npos);
  CHECK(parse_http_url("https://[::1]:8443/")->host == "::1");
  CHECK(parse_http_url("https://[::1]:8443/")->port == "8443");
  CHECK(parse_http_url("https://example.com")->text == "https://example.com/");
}

TEST_CASE("http url: what is none is refused in words") {
  CHECK_THAT(parse_http_url("example.com/x").error().message,
             Catch::Contains("must start with http:// or https://"));
  CHECK_THAT(parse_http_url("ftp://example.com").error().message,
             Catch::Contains("only http and https are spoken"));
  CHECK_THAT(parse_http_url("file:///etc/passwd").error().message,
             Catch::Contains("only http and https are spoken"));
  CHECK_FALSE(parse_http_url("http://"));
  CHECK_FALSE(parse_http_url("http://a:b:c/"));
  CHECK_FALSE(parse_http_url("http://x:99999/"));
  CHECK_FALSE(parse_http_url(std::string("http://a/\0b", 11)));
}

TEST_CASE("http url: passwords do not reach messages") {
  CHECK(without_credentials("http://me:secret@host/x@y") == "http://host/x@y");
  CHECK(without_credentials("http://host/x?mail=a@b") == "http://host/x?mail=a@b");
  CHECK(without_credentials("me:secret@host") == "host");
  CHECK(without_credentials("") == "");
}

TEST_CASE("http url: queries are added before the fragment") {
  CHECK(with_query("http://h/p", "a=1") == "http://h/p?a=1");
  CHECK(with_query("http://h/p?x=0", "a=1") == "http://h/p?x=0&a=1");
  CHECK(with_query("http://h/p?#f", "a=1") == "http://h/p?a=1#f");
  CHECK(with_query("http://h/p", "") == "http://h/p");
  CHECK(encode_form({{"a b", "1&2"}, {"c", "ü~"}}) == "a%20b=1%262&c=%C3%BC~");
}

TEST_CASE("http url: numeric addresses need no lookup") {
  CHECK(is_literal_address("127.0.0.1"));
  CHECK(is_literal_address("::1"));
  CHECK(is_literal_address("fe80::1%eth0"));
  CHECK_FALSE(is_literal_address("localhost"));
  CHECK_FALSE(is_literal_address("1.2.3"));
}

TEST_CASE("http url: proxies are chosen by scheme and by the list of exceptions") {
  const HttpProxies proxies{"http://p:1", "http://s:2", "localhost, .internal,example.com"};
  CHECK(proxy_for(proxies, *parse_http_url("http://other.org")) == "http://p:1");
  CHECK(proxy_for(proxies, *parse_http_url("https://other.org")) == "http://s:2");
  CHECK(proxy_for(proxies, *parse_http_url("http://localhost:9")) == "");
  CHECK(proxy_for(proxies, *parse_http_url("http://a.internal")) == "");
  CHECK(proxy_for(proxies, *parse_http_url("http://www.example.com")) == "");
  CHECK(proxy_for(proxies, *parse_http_url("http://notexample.com")) == "http://p:1");
  CHECK(proxy_for({"http://p:1", "", "*"}, *parse_http_url("http://x")) == "");
  CHECK(*proxy_address("http://me:pw@Proxy:3128") == std::pair<std::string, std::string>("proxy", "3128"));
  CHECK(proxy_address("proxy")->second == "1080");
  CHECK_FALSE(proxy_address("http://a b"));
}
