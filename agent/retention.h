// Retention: what ended long ago goes: attempts, their spools, contents that nobody names; and what a crash
// left over.
//
// Strand-confined: call only on its master's strand. Looks at the start and every hour.
#pragma once

#include <string>
#include <vector>

namespace sloth {

struct MasterCore;

class Retention {
 public:
  explicit Retention(MasterCore& core) : core_(core) {}

  void begin();

 private:
  void sweep();
  void sweep_contents();
  void sweep_orphans();

  MasterCore& core_;
};

}  // namespace sloth
