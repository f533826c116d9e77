// Reads the body of a page index in sequence through a small window, so that a hostile length or a
// decompression bomb costs no memory.
#pragma once

#include <zstd.h>

#include <memory>
#include <string>
#include <vector>

#include "bytes.h"
#include "pack_format.h"

namespace holdfast {

class BodyReader {
 public:
  // raw_bytes: what the envelope says; reading beyond it is CORRUPT naming `what`.
  BodyReader(Bytes stored, Codec codec, uint64_t raw_bytes, std::string what);

  template <std::unsigned_integral T>
  T get() {
    T value;
    get({reinterpret_cast<std::byte*>(&value), sizeof value});
    return value;
  }
  void get(std::span<std::byte> out);

  // CORRUPT unless everything was read.
  void expect_end();

 private:
  void refill();
  void decompress_some();

  Bytes stored_;  // not decompressed yet
  const Codec codec_;
  uint64_t left_;  // raw bytes not handed out
  const std::string what_;
  std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context_;
  std::vector<std::byte> block_;
  Bytes window_;  // decompressed, not handed out
  bool frame_ended_ = false;
};

}  // namespace holdfast
