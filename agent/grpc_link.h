// GrpcServer, grpc_dial: links over gRPC, one bidirectional stream each, on sockets that others opened.
//
// Thread-safe. gRPC's own threads only hand over: whatever Link::Events do there must be short.
#pragma once

#include <memory>
#include <string>

#include "agent/link.h"
#include "runner/os/descriptor.h"

namespace sloth {

class GrpcServer {
 public:
  // `accept` comes from gRPC's threads. It listens nowhere: connections are handed to it.
  explicit GrpcServer(AcceptLink accept);
  // Breaks every link.
  ~GrpcServer();
  GrpcServer(const GrpcServer&) = delete;
  GrpcServer& operator=(const GrpcServer&) = delete;

  // A connected socket whose peer has been checked.
  void add(Descriptor socket);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// A link over a connected socket. Never fails at once: a peer that does not answer is told by `closed`.
std::unique_ptr<Link> grpc_dial(Descriptor socket, Role role);

// A link that was never there: `closed` comes with this reason.
std::unique_ptr<Link> broken_link(std::string reason);

}  // namespace sloth
