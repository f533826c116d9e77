#include "pack_checksum.h"

#include "failure.h"
#include "hex_digits.h"

namespace holdfast {

PackChecksum pack_checksum_of_text(const std::string& digits) {
  Sha256 sha256;
  if (from_text(digits, sha256)) return sha256;
  Xxh3 xxh3;
  if (from_text(digits, xxh3)) return xxh3;
  throw Failure("INVALID_ARGUMENT", "neither a SHA-256 nor an XXH3: " + digits);
}

bool matches(const PackChecksum& recorded, Bytes pack) {
  if (const auto* digest = std::get_if<Sha256>(&recorded)) return sha256(pack) == *digest;
  return xxh3(pack) == std::get<Xxh3>(recorded);
}

std::string name_of(const PackChecksum& checksum) { return std::holds_alternative<Sha256>(checksum) ? "SHA-256" : "XXH3"; }

}  // namespace holdfast
