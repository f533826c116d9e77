#include "zstd_codec.h"

#include <zstd_errors.h>

#include <new>

#include "format_errors.h"

namespace holdfast {

Compressor::Compressor(int level) : context_(ZSTD_createCCtx(), ZSTD_freeCCtx) {
  if (!context_) throw std::bad_alloc();
  const size_t result = ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_compressionLevel, level);
  if (ZSTD_isError(result)) throw Failure("INVALID_ARGUMENT", "compression level " + std::to_string(level));
}

std::optional<size_t> Compressor::compress(Bytes in, std::span<std::byte> out) {
  const size_t size = ZSTD_compress2(context_.get(), out.data(), out.size(), in.data(), in.size());
  if (!ZSTD_isError(size)) return size;
  if (ZSTD_getErrorCode(size) == ZSTD_error_dstSize_tooSmall) return std::nullopt;
  throw Failure("INTERNAL", std::string("zstd cannot compress: ") + ZSTD_getErrorName(size));
}

Decompressor::Decompressor() : context_(ZSTD_createDCtx(), ZSTD_freeDCtx) {
  if (!context_) throw std::bad_alloc();
}

void Decompressor::decompress(Bytes in, std::span<std::byte> out, const std::string& what) {
  const size_t size = ZSTD_decompressDCtx(context_.get(), out.data(), out.size(), in.data(), in.size());
  if (ZSTD_isError(size)) corrupt(what, std::string("zstd refuses it: ") + ZSTD_getErrorName(size));
  if (size != out.size()) {
    corrupt(what, "it decompresses to " + std::to_string(size) + " bytes instead of " + std::to_string(out.size()));
  }
}

}  // namespace holdfast
