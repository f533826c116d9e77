// Knows a snapshot's clone (native/remote/remote_clone.h) from any other process.
#pragma once

#include "file.h"

namespace holdfast {

struct CloneIdentity {
  int clone;
  int parent;
  int number;    // the clone's pid in the parent's pid namespace
  bool is_ended; // a zombie
};

// NOT_FOUND when neither a clone nor its remains are there; WRONG_STATE when the pid is that of something else.
CloneIdentity identify_clone(int clone, int parent);

}  // namespace holdfast
