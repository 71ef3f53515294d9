// HttpResolver: host names to addresses, each looked up once and on the blocking lane.
//
// Confined to the reactor's thread, callbacks too. Why not curl's own: it starts a thread for every lookup.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "runner/base/clock.h"
#include "runner/base/result.h"
#include "runner/base/unique_function.h"

namespace sloth {

class Executor;

using HostAddresses = Result<std::vector<std::string>>;

// What the machine's configuration says about a name (files, DNS, its plug-ins), preferred address first.
// Blocks, for as long as the machine's resolver likes. The one place that asks.
HostAddresses look_up_host(const std::string& host);

class HttpResolver : public std::enable_shared_from_this<HttpResolver> {
 public:
  using Answer = UniqueFunction<void(const HostAddresses&)>;

  // `executor` outlives it. `look_up` runs on the blocking lane.
  explicit HttpResolver(Executor& executor, HostAddresses (*look_up)(const std::string&) = look_up_host);

  // Calls `answer` at once when the name is known, else when its lookup ends; lookups of one name are shared.
  // Addresses are kept for a minute, failures are not. Dropped unanswered when the resolver is destroyed
  // first.
  void resolve(const std::string& host, Answer answer);

 private:
  struct Known {
    std::vector<std::string> addresses;
    TimePoint expires;
  };
  void arrived(const std::string& host, const HostAddresses& addresses);

  Executor& executor_;
  HostAddresses (*look_up_)(const std::string&);
  std::unordered_map<std::string, Known> known_;
  std::unordered_map<std::string, std::vector<Answer>> waiting_;
};

}  // namespace sloth
