// Keeps a snapshot's clone: it ends with this process, whatever ends that, and no longer with its parent; nothing makes it run.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>

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
  bool intact() const { return !held_->ended; }

  // Ends the clone and has its parent's remains of it removed, for which the parent is stopped for less than a
  // millisecond. TIMEOUT when the clone does not end in seconds (its control group is frozen): it does so when it can. Fails when somebody
  // else traces the parent for seconds.
  void end();

 private:
  // Of the thread, too, which waits for an end that may come late.
  struct Held {
    CloneIdentity identity;
    std::atomic<bool> ended = false;
    std::mutex mutex;
    std::condition_variable changed;
    bool has_report = false;
    std::optional<Failure> failure;
    void report(std::optional<Failure> failure);
    void report_end();
  };
  // Of a thread of its own, for ptrace's tracer is a thread: returns when the clone has ended.
  static void hold(const std::shared_ptr<Held>& held);

  // Pidfds: a number may be somebody else's by the time it is used.
  File process_;
  File parent_;
  std::shared_ptr<Held> held_;
};

// The same for a clone that no guard holds (any more). Nothing there is no failure; WRONG_STATE when it is another process.
void end_clone(int clone, int parent);

}  // namespace holdfast
