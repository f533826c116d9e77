#include "snapshot_guard.h"

#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <thread>

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

Failure not_ended(int clone) {
  return Failure("TIMEOUT", "snapshot " + std::to_string(clone) + " was killed and does not end");
}

void wait_for_end(const File& process, int clone) {
  pollfd ended{process.fd(), POLLIN, 0};
  if (::poll(&ended, 1, kEndLimitMs) != 1) throw not_ended(clone);
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
    : process_(open_clone(clone, parent)), parent_(open_process(parent)), held_(std::make_shared<Held>()) {
  held_->identity = identify_clone(clone, parent);
  std::thread([held = held_] { hold(held); }).detach();
  std::unique_lock lock(held_->mutex);
  held_->changed.wait(lock, [this] { return held_->has_report; });
  if (held_->failure) throw *held_->failure;
}

SnapshotGuard::~SnapshotGuard() { kill_process(process_); }

void SnapshotGuard::end() {
  kill_process(process_);
  std::unique_lock lock(held_->mutex);
  const auto has_gone = [this] { return held_->ended.load(); };
  if (!held_->changed.wait_for(lock, std::chrono::milliseconds(kEndLimitMs), has_gone)) throw not_ended(held_->identity.clone);
  lock.unlock();
  if (!has_ended(parent_)) reap(held_->identity);
}

void SnapshotGuard::hold(const std::shared_ptr<Held>& held) {
  const int clone = held->identity.clone;
  remote_error error{};
  if (!::remote_clone_keep(clone, &error)) {
    held->report(remote_failure(error));
    return;
  }
  held->report(std::nullopt);
  int status = 0;
  pid_t changed = 0;
  do changed = ::waitpid(clone, &status, __WALL);
  while (changed < 0 ? errno == EINTR : WIFSTOPPED(status));
  held->report_end();
}

void SnapshotGuard::Held::report(std::optional<Failure> reason) {
  const std::lock_guard lock(mutex);
  failure = std::move(reason);
  has_report = true;
  changed.notify_one();
}

void SnapshotGuard::Held::report_end() {
  const std::lock_guard lock(mutex);
  ended = true;
  changed.notify_all();
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
