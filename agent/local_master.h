// LocalMaster: the master of this machine's user, joined or hosted: what makes delegation on one machine need no set-up.
//
// Thread-safe. Whoever needs a master and finds none becomes it; when that process ends, the next one that dials takes
// its place, over the same directory. A unix socket, mode 0600 in a directory of mode 0700, the peer's user checked.
//
//   LocalMaster local({state_directory + "/master", version}, executor, clock);
//   auto link = local.dial(Role::kRun);
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "agent/link.h"
#include "agent/master.h"
#include "runner/base/clock.h"
#include "runner/base/result.h"
#include "runner/exec/executor.h"

namespace sloth {

class LocalMaster final : public Dialer {
 public:
  struct Options {
    Master::Options master;
    bool may_host = true;
  };
  LocalMaster(Options options, Executor& executor, const Clock& clock);
  // A hosted master stops; attempts go on.
  ~LocalMaster() override;

  // Hosts when there is no master; false when there is one already. Errors as of Master::open.
  Result<bool> host();
  // To the master there is, which is this process when there was none and it may host.
  std::unique_ptr<Link> dial(Role role) override;

  [[nodiscard]] bool hosting() const;
  // What the hosted master says about itself.
  void on_note(std::function<void(std::string)> note);

 private:
  class Hosted;
  struct State;
  const std::unique_ptr<State> state_;
};

}  // namespace sloth
