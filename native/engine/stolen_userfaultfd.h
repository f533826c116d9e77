// A userfaultfd of another process, taken from outside while the process is stopped for less than a millisecond.
#pragma once

#include "file.h"

namespace holdfast {

// Close-on-exec and non-blocking; nothing of it remains in the process. Any thread may call it, also for a child of this
// process. NOT_CAPTURABLE when this process can never be treated so (another tracker must be used): traced by somebody, a seccomp
// filter, 32-bit. NOT_FOUND when it has ended. Other codes, such as TIMEOUT: this attempt failed.
File steal_userfaultfd(int pid);

}  // namespace holdfast
