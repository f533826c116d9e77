// Gives way to the job while it runs: a thread's priority, lowered and raised again.
#pragma once

#include <sys/resource.h>

namespace holdfast {

class Background {
 public:
  // Without CAP_SYS_NICE a lowered priority cannot be raised again: then it stays as it is.
  // `step`: how much nicer than the others.
  explicit Background(int step) : step_(step), usual_(::getpriority(PRIO_PROCESS, 0)) {
    can_return_ = ::setpriority(PRIO_PROCESS, 0, usual_ + 1) == 0 && ::setpriority(PRIO_PROCESS, 0, usual_) == 0;
  }

  // Of the calling thread.
  void set(bool background) {
    if (!can_return_ || background == background_) return;
    ::setpriority(PRIO_PROCESS, 0, background ? usual_ + step_ : usual_);
    background_ = background;
  }

 private:
  const int step_;
  int usual_;
  bool can_return_;
  bool background_ = false;
};

}  // namespace holdfast
