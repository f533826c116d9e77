#include "hex_digits.h"

#include <charconv>

namespace holdfast {

std::string to_text(Bytes digest) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (const std::byte b : digest) {
    text += digits[std::to_integer<unsigned>(b) >> 4];
    text += digits[std::to_integer<unsigned>(b) & 15];
  }
  return text;
}

bool from_text(const std::string& digits, std::span<std::byte> digest) {
  if (digits.size() != 2 * digest.size()) return false;
  for (size_t i = 0; i < digest.size(); i++) {
    const char* at = digits.data() + 2 * i;
    unsigned value = 0;
    if (std::from_chars(at, at + 2, value, 16).ptr != at + 2) return false;
    digest[i] = static_cast<std::byte>(value);
  }
  return true;
}

}  // namespace holdfast
