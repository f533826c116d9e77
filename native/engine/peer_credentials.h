// Who is at the other end of a UNIX socket, as the kernel recorded it at connect.
#pragma once

#include <cstdint>

namespace holdfast {

struct PeerCredentials {
  int32_t pid;  // 0 when it is in a pid namespace we cannot see
  uint32_t uid;
  uint32_t gid;
};

// INVALID_ARGUMENT when fd is not a connected UNIX socket.
PeerCredentials peer_credentials(int fd);

}  // namespace holdfast
