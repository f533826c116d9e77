#include "lz4_codec.h"

#include <lz4.h>

#include "format_errors.h"

namespace holdfast {

namespace {

constexpr int kAcceleration = 1;

const char* chars(const std::byte* bytes) { return reinterpret_cast<const char*>(bytes); }
char* chars(std::byte* bytes) { return reinterpret_cast<char*>(bytes); }

}  // namespace

Lz4Compressor::Lz4Compressor() : state_((static_cast<size_t>(LZ4_sizeofState()) + sizeof(long long) - 1) / sizeof(long long)) {}

std::optional<size_t> Lz4Compressor::compress(Bytes in, std::span<std::byte> out) {
  const int size = LZ4_compress_fast_extState(state_.data(), chars(in.data()), chars(out.data()), static_cast<int>(in.size()),
                                              static_cast<int>(out.size()), kAcceleration);
  return size > 0 ? std::optional<size_t>(size) : std::nullopt;
}

void lz4_decompress(Bytes in, std::span<std::byte> out, const std::string& what) {
  const int size = LZ4_decompress_safe(chars(in.data()), chars(out.data()), static_cast<int>(in.size()), static_cast<int>(out.size()));
  if (size < 0) corrupt(what, "lz4 refuses it");
  if (static_cast<size_t>(size) != out.size()) {
    corrupt(what, "it decompresses to " + std::to_string(size) + " bytes instead of " + std::to_string(out.size()));
  }
}

}  // namespace holdfast
