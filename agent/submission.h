// submit_attempt(): what a run's Submit becomes: an attempt in the journal, the one that is there already, or
// a refusal.
//
// Strand-confined: call only on the master's strand. The same id and digest again is the same attempt.
// Contents that the master does not have are asked of the run first; until they are here nothing is recorded,
// and a run that leaves meanwhile has submitted nothing.
#pragma once

#include "agent/message.h"

namespace sloth {

class RunSession;
struct MasterCore;

void submit_attempt(MasterCore& core, RunSession& session, Submit submit);

}  // namespace sloth
