#include "userfault.h"

#include <sys/ioctl.h>
#include <sys/syscall.h>

#include <cerrno>

#include "failure.h"

namespace holdfast {

namespace {

// The kernel tells in `done` how far it got, or a negative errno when it did nothing.
Userfault::Progress progress(int result, int64_t done) {
  if (done > 0) return {static_cast<uint64_t>(done), 0};
  if (done < 0) return {0, static_cast<int>(-done)};
  return {0, result < 0 ? errno : 0};
}

}  // namespace

std::optional<uffd_msg> Userfault::next_event() const {
  uffd_msg message{};
  ssize_t length;
  do length = ::read(fd(), &message, sizeof message);
  while (length < 0 && errno == EINTR);
  if (length != static_cast<ssize_t>(sizeof message)) return std::nullopt;
  return message;
}

Userfault::Progress Userfault::copy(uint64_t address, const std::byte* from, uint64_t length) const {
  uffdio_copy request{};
  request.dst = address;
  request.src = reinterpret_cast<uint64_t>(from);
  request.len = length;
  const int result = ::ioctl(fd(), UFFDIO_COPY, &request);
  return progress(result, request.copy);
}

Userfault::Progress Userfault::zero(uint64_t address, uint64_t length) const {
  uffdio_zeropage request{};
  request.range = {address, length};
  const int result = ::ioctl(fd(), UFFDIO_ZEROPAGE, &request);
  return progress(result, request.zeropage);
}

void Userfault::wake(uint64_t address, uint64_t length) const {
  uffdio_range range{address, length};
  ::ioctl(fd(), UFFDIO_WAKE, &range);
}

File take_descriptor(int pid, int fd) {
  const File process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  const int taken = process.fd() < 0 ? -1 : static_cast<int>(::syscall(SYS_pidfd_getfd, process.fd(), fd, 0));
  if (taken < 0) {
    const int error = errno;
    throw Failure(code_of_errno(error), "descriptor " + std::to_string(fd) + " of process " + std::to_string(pid) +
                                            " cannot be taken: " + describe_errno(error));
  }
  return File(taken);
}

}  // namespace holdfast
