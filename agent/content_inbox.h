// ContentInbox: gets from one run the contents that its attempts need and the master does not have.
//
// Strand-confined: call only on its master's strand. Asks for 32 at a time; what was not asked for is
// refused.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "agent/content_store.h"
#include "agent/message.h"
#include "runner/base/result.h"
#include "runner/base/unique_function.h"

namespace sloth {

class RunSession;
struct MasterCore;

class ContentInbox {
 public:
  // Both outlive it.
  ContentInbox(MasterCore& core, RunSession& session) : core_(core), session_(session) {}

  // `then` when all of them are stored; never, and it is destroyed, when this goes before.
  void want(const std::vector<std::string>& digests, UniqueFunction<void()> then);
  // Asks out of the row for what this run may have or not.
  void ask(const std::string& digest);
  // kInvalid, kLimit: the run may not go on.
  Result<void> take(ContentPart part);
  // Nothing comes any more: whoever waits is let go.
  void drop();

 private:
  // Somebody who waits for several.
  struct Waiting {
    std::size_t missing = 0;
    UniqueFunction<void()> then;
  };

  void ask_more();
  void stored(const std::string& digest, Result<void> put);

  MasterCore& core_;
  RunSession& session_;
  ContentAssembly assembly_;
  std::size_t begun_bytes_ = 0;
  std::map<std::string, std::vector<std::shared_ptr<Waiting>>> waiting_;  // by digest
  std::deque<std::string> unasked_;
  std::set<std::string> asked_;  // in the row
  std::set<std::string> extra_;  // out of it
};

}  // namespace sloth
