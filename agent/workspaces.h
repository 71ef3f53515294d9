// Workspaces: the directories of attempts inside an agent's state directory.
//
//   attempts/<id>/   request, spool, result, log: the agent's, gone when the attempt came home
//   work/<id>/       what the attempt works in: its user's, kept when the attempt did not succeed
//   content/         what attempts share (content_store.h)
//
// Thread-safe: it only knows paths. What blocks says so; ids are those of attempt_id(), so safe as names.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "agent/attempt_process.h"
#include "runner/base/result.h"

namespace sloth {

class Workspaces {
 public:
  explicit Workspaces(std::string directory) : directory_(std::move(directory)) {}

  [[nodiscard]] AttemptFiles files(const std::string& id) const { return {directory_ + "/attempts/" + id}; }
  [[nodiscard]] std::string workspace(const std::string& id) const { return directory_ + "/work/" + id; }
  [[nodiscard]] std::string content() const { return directory_ + "/content"; }
  [[nodiscard]] const std::string& directory() const { return directory_; }

  // Blocks. All of them, private to this user; for an agent that is root, whose attempts are others, `work`
  // and the way to it may be passed through but not listed.
  [[nodiscard]] Result<void> make() const;
  // Blocks. A fresh attempts/<id> with the request in it. The file is not synced: after a power failure its
  // digest says whether it is whole, and an attempt that cannot be started for that reason is offered again.
  [[nodiscard]] Result<void> write_request(const std::string& id, std::string_view request) const;
  // Blocks. What is left of an attempt; what is not there is no error.
  void remove(const std::string& id, bool workspace_too) const;
  // Blocks. Everything that belongs to none of `known`: a crash left it.
  void sweep(const std::set<std::string>& known) const;

  // Blocks. Room that is kept for the journal: a task may fill the disk that both are on, and its end must be written all
  // the same. make_reserve() does nothing when it is there, or when there is no room for it now.
  void make_reserve() const;
  void give_up_reserve() const;

 private:
  [[nodiscard]] std::string reserve() const { return directory_ + "/reserve"; }

  const std::string directory_;
};

}  // namespace sloth
