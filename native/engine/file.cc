#include "file.h"

#include <fcntl.h>

#include <cerrno>

#include "failure.h"

namespace holdfast {

namespace {

[[noreturn]] void fail(int pid, const char* name, int error) {
  const std::string who = "process " + std::to_string(pid);
  if (error == ENOENT || error == ESRCH) throw Failure("NOT_FOUND", who + " does not exist");
  throw Failure(code_of_errno(error), std::string(name) + " of " + who + " in /proc: " + describe_errno(error));
}

std::string proc_path(int pid, const char* name) { return "/proc/" + std::to_string(pid) + "/" + name; }

}  // namespace

File open_proc(int pid, const char* name, int flags) {
  const int fd = ::open(proc_path(pid, name).c_str(), flags | O_CLOEXEC);
  if (fd < 0) fail(pid, name, errno);
  return File(fd);
}

std::string read_proc(int pid, const char* name) {
  const File file = open_proc(pid, name, O_RDONLY);
  std::string text;
  char block[65536];
  for (;;) {
    const ssize_t got = ::read(file.fd(), block, sizeof block);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail(pid, name, errno);
    if (got == 0) return text;
    text.append(block, static_cast<size_t>(got));
  }
}

}  // namespace holdfast
