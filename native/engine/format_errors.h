// The two ways a stored object can be refused (docs/format.md, "What a reader does with what it does not know").
#pragma once

#include <string>

#include "failure.h"

namespace holdfast {

[[noreturn]] inline void corrupt(const std::string& what, const std::string& cause) {
  throw Failure("CORRUPT", what + ": " + cause, "Restart from another generation; this object is damaged.");
}

[[noreturn]] inline void unknown_format(const std::string& what, const std::string& cause) {
  throw Failure("UNKNOWN_FORMAT", what + ": " + cause, "Use the version of Holdfast that wrote it, or a newer one.");
}

}  // namespace holdfast
