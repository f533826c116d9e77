#include "snapshot_guard.h"

#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cerrno>
#include <chrono>
#include <csignal>

#include "../remote/remote_clone.h"
#include "../remote/remote_reap.h"
#include "remote_failure.h"

namespace holdfast {

namespace {

constexpr auto kReapPause = std::chrono::milliseconds(20);
constexpr int kReapAttempts = 250;
constexpr int kEndLimitMs = 10000;

File open_process(int pid) {
  const auto fd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  if (fd < 0) throw Failure(code_of_errno(errno), "process " + std::to_string(pid) + ": " + describe_errno(errno));
  return File(fd);
}

void kill_process(const File& process) { ::syscall(SYS_pidfd_send_signal, process.fd(), SIGKILL, nullptr, 0); }

// Between the two looks the pid cannot have become another process.
File open_clone(int clone, int parent) {
  File process = open_process(clone);
  identify_clone(clone, parent);
  return process;
}

bool has_ended(const File& process) {
  pollfd ended{process.fd(), POLLIN, 0};
  return ::poll(&ended, 1, 0) != 0;
}

void wait_for_end(const File& process, int clone) {
  pollfd ended{process.fd(), POLLIN, 0};
  if (::poll(&ended, 1, kEndLimitMs) != 1) {
    throw Failure("TIMEOUT", "snapshot " + std::to_string(clone) + " was killed and does not end");
  }
}

// The parent may still be in the hands of CRIU, or not stop in time.
void reap(const CloneIdentity& identity) {
  remote_error error{};
  for (int attempt = 0; attempt < kReapAttempts; attempt++) {
    if (::remote_reap(identity.parent, identity.number, &error) || error.outcome == REMOTE_GONE) return;
    std::this_thread::sleep_for(kReapPause);
  }
  throw remote_failure(error);
}

}  // namespace

SnapshotGuard::SnapshotGuard(int clone, int parent)
    : process_(open_clone(clone, parent)), parent_(open_process(parent)), identity_{identify_clone(clone, parent)} {
  thread_ = std::thread([this] { hold(); });
  std::unique_lock lock(mutex_);
  seized_.wait(lock, [this] { return has_report_; });
  if (!failure_) return;
  lock.unlock();
  thread_.join();
  throw *failure_;
}

SnapshotGuard::~SnapshotGuard() { kill(); }

void SnapshotGuard::kill() {
  kill_process(process_);
  if (thread_.joinable()) thread_.join();
}

void SnapshotGuard::end() {
  kill();
  if (!has_ended(parent_)) reap(identity_);
}

void SnapshotGuard::hold() {
  remote_error error{};
  if (::remote_clone_keep(identity_.clone, &error)) {
    report(std::nullopt);
    watch();
  } else {
    report(remote_failure(error));
  }
}

void SnapshotGuard::report(std::optional<Failure> failure) {
  const std::lock_guard lock(mutex_);
  failure_ = std::move(failure);
  has_report_ = true;
  seized_.notify_one();
}

void SnapshotGuard::watch() {
  int status = 0;
  pid_t changed = 0;
  do changed = ::waitpid(identity_.clone, &status, __WALL);
  while (changed < 0 ? errno == EINTR : WIFSTOPPED(status));
  ended_ = true;
}

void end_clone(int clone, int parent) {
  CloneIdentity identity{};
  try {
    const File process = open_clone(clone, parent);
    identity = identify_clone(clone, parent);
    kill_process(process);
    wait_for_end(process, clone);
  } catch (const Failure& failure) {
    if (std::string(failure.code) == "NOT_FOUND") return;
    throw;
  }
  reap(identity);
}

}  // namespace holdfast
