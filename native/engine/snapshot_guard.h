// Keeps a snapshot's clone: it ends with this process, whatever ends that, and no longer with its parent; nothing makes it run.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "clone_identity.h"
#include "failure.h"

namespace holdfast {

class SnapshotGuard {
 public:
  // WRONG_STATE, NOT_FOUND when there is no such clone; other failures of ptrace(2).
  SnapshotGuard(int clone, int parent);
  // The clone ends; without end() its remains stay.
  ~SnapshotGuard();

  // False when the clone has ended before its time: what was read of it may be incomplete.
  bool intact() const { return !ended_; }

  // Ends the clone and has its parent's remains of it removed, for which the parent is stopped for less than a
  // millisecond. Fails when somebody else traces the parent for seconds.
  void end();

 private:
  // Returns when the clone has ended. Safe twice.
  void kill();
  void hold();
  void report(std::optional<Failure> failure);
  // Returns when the clone has ended.
  void watch();

  // Pidfds: a number may be somebody else's by the time it is used.
  File process_;
  File parent_;
  CloneIdentity identity_;
  std::atomic<bool> ended_ = false;
  std::mutex mutex_;
  std::condition_variable seized_;
  bool has_report_ = false;
  std::optional<Failure> failure_;
  std::thread thread_;  // ptrace's tracer is a thread
};

// The same for a clone that no guard holds (any more). Nothing there is no failure; WRONG_STATE when it is another process.
void end_clone(int clone, int parent);

}  // namespace holdfast
