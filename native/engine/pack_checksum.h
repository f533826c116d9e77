// What a stored pack is verified by as a whole.
#pragma once

#include <optional>
#include <string>
#include <variant>

#include "sha256.h"
#include "xxh3.h"

namespace holdfast {

using PackChecksum = std::variant<Sha256, Xxh3>;

// The number of hexadecimal digits tells which it is; INVALID_ARGUMENT for anything else.
PackChecksum pack_checksum_of_text(const std::string& digits);

// Whether these are the bytes that it was made of.
bool matches(const PackChecksum& recorded, Bytes pack);

std::string name_of(const PackChecksum& checksum);

}  // namespace holdfast
