// ContentFeed: sends an agent the contents that it asks for, a part at a time, as fast as its link takes
// them.
//
// Strand-confined: call only on its master's strand. Holds no content but the part that is being sent. What
// is not here is asked of the runs whose attempts are with that agent, and sent when it has come.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "agent/link.h"
#include "runner/base/result.h"

namespace sloth {

struct MasterCore;

class ContentFeed {
 public:
  // Both outlive it.
  ContentFeed(MasterCore& core, Link& link);
  ~ContentFeed();
  ContentFeed(const ContentFeed&) = delete;
  ContentFeed& operator=(const ContentFeed&) = delete;

  // kInvalid for what is no digest, kLimit for too many at once.
  Result<void> want(const std::vector<std::string>& digests);

 private:
  struct State;
  const std::shared_ptr<State> state_;
};

}  // namespace sloth
