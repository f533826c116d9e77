#include "peer_credentials.h"

#include <sys/socket.h>

#include <cerrno>

#include "failure.h"

namespace holdfast {

PeerCredentials peer_credentials(int fd) {
  const std::string what = "file descriptor " + std::to_string(fd);
  int domain = 0;
  socklen_t size = sizeof domain;
  if (::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0) {
    throw Failure("INVALID_ARGUMENT", what + " has no peer credentials: " + describe_errno(errno));
  }
  ucred peer{};
  size = sizeof peer;
  // Other sockets answer too, with nobody's credentials.
  const bool known = domain == AF_UNIX && ::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0;
  if (!known || peer.uid == static_cast<uid_t>(-1)) {
    throw Failure("INVALID_ARGUMENT", what + " is not a connected UNIX socket");
  }
  return {peer.pid, peer.uid, peer.gid};
}

}  // namespace holdfast
