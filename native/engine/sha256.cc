#include "sha256.h"

#include <openssl/evp.h>

#include <cstring>

#include "failure.h"
#include "hex_digits.h"

namespace holdfast {

Sha256 sha256(Bytes bytes) {
  // Fetched once: a fetch per digest takes locks inside OpenSSL.
  static const EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  Sha256 digest;
  auto* out = reinterpret_cast<unsigned char*>(digest.data());
  if (algorithm == nullptr || EVP_Digest(bytes.data(), bytes.size(), out, nullptr, algorithm, nullptr) != 1) {
    throw Failure("INTERNAL", "OpenSSL cannot compute SHA-256 on this machine");
  }
  return digest;
}

Sha256 sha256_of_text(const std::string& digits) {
  Sha256 digest;
  if (!from_text(digits, digest)) throw Failure("INVALID_ARGUMENT", "not a SHA-256: " + digits);
  return digest;
}

uint64_t check_of(Bytes bytes) {
  const Sha256 digest = sha256(bytes);
  uint64_t check;
  std::memcpy(&check, digest.data(), sizeof check);
  return check;
}

}  // namespace holdfast
