// The failures of native/remote as those of the engine.
#pragma once

#include "../remote/remote_error.h"
#include "failure.h"

namespace holdfast {

Failure remote_failure(const remote_error& error);

}  // namespace holdfast
