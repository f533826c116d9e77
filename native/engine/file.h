// An owned file descriptor, and whole-file reads of /proc.
#pragma once

#include <unistd.h>

#include <string>
#include <utility>

namespace holdfast {

class File {
 public:
  File() = default;
  explicit File(int fd) : fd_(fd) {}
  File(File&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  File& operator=(File&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }

  int fd() const { return fd_; }

 private:
  int fd_ = -1;
};

// Opens /proc/<pid>/<name> with O_CLOEXEC. Failure names the pid: NOT_FOUND when there is no such process.
File open_proc(int pid, const char* name, int flags);

// The whole text of /proc/<pid>/<name>. A process without memory (a zombie) reads as empty.
std::string read_proc(int pid, const char* name);

}  // namespace holdfast
