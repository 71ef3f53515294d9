#include "modules/http_resolver.h"

#include <fmt/format.h>
#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <chrono>
#include <system_error>
#include <utility>

#include "runner/exec/executor.h"
#include "runner/exec/reactor.h"

namespace sloth {
namespace {

constexpr Duration kKept = std::chrono::seconds(60);
constexpr std::size_t kMostKept = 4096;
constexpr std::size_t kMostAddresses = 16;

}  // namespace

HostAddresses look_up_host(const std::string& host) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int code = getaddrinfo(host.c_str(), nullptr, &hints, &found);
  if (code != 0) {
    std::string reason = code == EAI_SYSTEM ? std::generic_category().message(errno) : gai_strerror(code);
    reason.front() = static_cast<char>(std::tolower(static_cast<unsigned char>(reason.front())));
    return Error{Code::kUnavailable, fmt::format("could not resolve \"{}\": {}", host, reason)};
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, freeaddrinfo);
  std::vector<std::string> addresses;
  for (const addrinfo* item = found; item != nullptr && addresses.size() < kMostAddresses;
       item = item->ai_next) {
    char text[NI_MAXHOST];
    if (getnameinfo(item->ai_addr, item->ai_addrlen, text, sizeof text, nullptr, 0, NI_NUMERICHOST) != 0)
      continue;
    const std::string address(text);
    // An address with a zone cannot be handed to curl as text.
    if (address.find('%') != std::string::npos) continue;
    if (std::find(addresses.begin(), addresses.end(), address) == addresses.end())
      addresses.push_back(address);
  }
  if (addresses.empty()) {
    return Error{Code::kUnavailable, fmt::format("could not resolve \"{}\": no usable address", host)};
  }
  return addresses;
}

HttpResolver::HttpResolver(Executor& executor, HostAddresses (*look_up)(const std::string&))
    : executor_(executor), look_up_(look_up) {}

void HttpResolver::resolve(const std::string& host, Answer answer) {
  const auto known = known_.find(host);
  if (known != known_.end()) {
    if (known->second.expires > std::chrono::steady_clock::now()) {
      answer(known->second.addresses);
      return;
    }
    known_.erase(known);
  }
  auto& waiting = waiting_[host];
  waiting.push_back(std::move(answer));
  if (waiting.size() > 1) return;
  const bool accepted =
      executor_.post_blocking([weak = weak_from_this(), &executor = executor_, look_up = look_up_, host] {
        auto addresses = look_up(host);
        executor.reactor().post([weak, host, addresses = std::move(addresses)] {
          if (const auto self = weak.lock()) self->arrived(host, addresses);
        });
      });
  if (!accepted) arrived(host, Error{Code::kCancelled, "the program is ending"});
}

void HttpResolver::arrived(const std::string& host, const HostAddresses& addresses) {
  const auto now = std::chrono::steady_clock::now();
  if (addresses) {
    if (known_.size() >= kMostKept) {
      std::erase_if(known_, [now](const auto& entry) { return entry.second.expires <= now; });
    }
    if (known_.size() < kMostKept) known_[host] = Known{*addresses, now + kKept};
  }
  auto waiting = waiting_.extract(host);
  if (waiting.empty()) return;
  for (Answer& answer : waiting.mapped()) answer(addresses);
}

}  // namespace sloth
