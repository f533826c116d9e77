// XXH3 with 128 bits: tells stored bytes that have changed, as well as SHA-256 does and several times faster. It does not resist
// somebody who changes them on purpose.
#pragma once

#include <array>
#include <cstddef>
#include <string>

#include "bytes.h"

namespace holdfast {

using Xxh3 = std::array<std::byte, 16>;

// In canonical (big-endian) order.
Xxh3 xxh3(Bytes bytes);

}  // namespace holdfast
