// zstd frames with bounded output, through contexts that are kept.
#pragma once

#include <zstd.h>

#include <memory>
#include <optional>
#include <span>
#include <string>

#include "bytes.h"

namespace holdfast {

class Compressor {
 public:
  explicit Compressor(int level);

  // One frame in `out`; nothing when it does not fit: then storing the input costs no more.
  std::optional<size_t> compress(Bytes in, std::span<std::byte> out);

  // Bytes the context takes; final after the first call with the largest input.
  size_t memory_bytes() const { return ZSTD_sizeof_CCtx(context_.get()); }

 private:
  std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> context_;
};

class Decompressor {
 public:
  Decompressor();

  // Fills `out` exactly, or CORRUPT naming `what`.
  void decompress(Bytes in, std::span<std::byte> out, const std::string& what);

 private:
  std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context_;
};

}  // namespace holdfast
