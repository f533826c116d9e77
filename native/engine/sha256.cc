#include "sha256.h"

#include <openssl/evp.h>

#include <charconv>
#include <cstring>

#include "failure.h"

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

std::string to_text(const Sha256& digest) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (const std::byte b : digest) {
    text += digits[std::to_integer<unsigned>(b) >> 4];
    text += digits[std::to_integer<unsigned>(b) & 15];
  }
  return text;
}

Sha256 sha256_of_text(const std::string& digits) {
  Sha256 digest;
  bool valid = digits.size() == 2 * digest.size();
  for (size_t i = 0; valid && i < digest.size(); i++) {
    const char* at = digits.data() + 2 * i;
    unsigned value = 0;
    valid = std::from_chars(at, at + 2, value, 16).ptr == at + 2;
    digest[i] = static_cast<std::byte>(value);
  }
  if (!valid) throw Failure("INVALID_ARGUMENT", "not a SHA-256: " + digits);
  return digest;
}

uint64_t check_of(Bytes bytes) {
  const Sha256 digest = sha256(bytes);
  uint64_t check;
  std::memcpy(&check, digest.data(), sizeof check);
  return check;
}

}  // namespace holdfast
