// Unix sockets between processes of one user: who is at the other end is asked of the kernel, never of the peer.
//
// Thread-safe: free functions; none of them waits. Descriptors are close-on-exec and the caller's to close. Paths may be
// longer than the 107 bytes of a socket address.
#pragma once

#include <string>

#include "runner/base/result.h"
#include "runner/os/descriptor.h"

namespace sloth {

// Binds and listens, mode 0600, in place of a socket that a dead process left. REQUIRES: nobody else listens there (the
// caller holds the directory's lock). Non-blocking.
Result<Descriptor> listen_unix(const std::string& path);

// kUnavailable when nobody listens there; kRefused when whoever listens is another user, other than root.
Result<Descriptor> connect_unix(const std::string& path);

// kRefused when the peer is another user, other than root: the caller closes it.
Result<void> check_peer(int socket);

}  // namespace sloth
