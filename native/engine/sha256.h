// SHA-256 by OpenSSL.
#pragma once

#include <array>
#include <cstddef>
#include <string>

#include "bytes.h"

namespace holdfast {

using Sha256 = std::array<std::byte, 32>;

Sha256 sha256(Bytes bytes);

// Of 64 hexadecimal digits; INVALID_ARGUMENT for anything else.
Sha256 sha256_of_text(const std::string& digits);

// The first 8 bytes of the SHA-256: guards headers against flipped bits.
uint64_t check_of(Bytes bytes);

}  // namespace holdfast
