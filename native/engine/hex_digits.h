// Digests as text.
#pragma once

#include <span>
#include <string>

#include "bytes.h"

namespace holdfast {

// Lower-case hexadecimal digits.
std::string to_text(Bytes digest);

// Fills `digest` from exactly its number of digits; false for anything else.
bool from_text(const std::string& digits, std::span<std::byte> digest);

}  // namespace holdfast
