#include "agent/agent.h"

#include <future>
#include <utility>

#include "agent/agent_core.h"

namespace sloth {

class Agent::Impl : public AgentCore {
 public:
  using AgentCore::AgentCore;
};

Result<std::unique_ptr<Agent>> Agent::open(Options options, Services services) {
  std::unique_ptr<Agent> agent(new Agent());
  agent->impl_ = std::make_shared<Impl>(std::move(options), services);
  if (auto opened = agent->impl_->open(); !opened) return opened.error();
  return agent;
}

Agent::~Agent() {
  if (!impl_) return;
  if (impl_->strand().running_here()) {
    impl_->shut_down();
  } else {
    std::promise<void> over;
    const bool posted = impl_->strand().post([this, &over] {
      impl_->shut_down();
      over.set_value();
    });
    if (posted) {
      over.get_future().wait();
    } else {
      impl_->shut_down();  // the executor has stopped: nobody else is there
    }
  }
  impl_->close();
}

void Agent::start() {
  impl_->strand().post([impl = impl_] { impl->start(); });
}

void Agent::drain(UniqueFunction<void()> done) {
  impl_->strand().post([impl = impl_, done = std::move(done)]() mutable { impl->drain(std::move(done)); });
}

void Agent::cancel_all(std::string reason) {
  impl_->strand().post([impl = impl_, reason = std::move(reason)] { impl->cancel_all(reason); });
}

void Agent::on_drain_asked(std::function<void()> asked) { impl_->drain_asked = std::move(asked); }

void Agent::on_note(std::function<void(std::string)> note) { impl_->note = std::move(note); }

}  // namespace sloth
