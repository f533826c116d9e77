// Pack and blob headers (docs/format.md, "Pack").
#pragma once

#include <array>
#include <cstdint>

#include "bytes.h"
#include "cipher.h"
#include "sha256.h"

namespace holdfast {

enum class Codec : uint16_t { None = 0, Zstd = 1, Lz4 = 2, ShuffleLz4 = 3 };

constexpr uint16_t kFormatVersion = 1;
constexpr uint32_t kMaxBlobPages = 16384;
constexpr uint64_t kMaxBlobBytes = 64u << 20;
constexpr size_t kPackHeaderBytes = 32;
constexpr size_t kBlobHeaderBytes = 64;
// What a blob may be larger than its pages.
constexpr size_t kMaxBlobOverheadBytes = kBlobHeaderBytes + kSealBytes;

struct BlobHeader {
  Codec codec;
  uint32_t page_size;
  uint32_t page_count;
  uint32_t stored_bytes;
  Sha256 contents;  // of the raw pages; keyed when they are encrypted
  bool encrypted = false;

  uint64_t raw_bytes() const { return uint64_t{page_size} * page_count; }
};

std::array<std::byte, kBlobHeaderBytes> encode_blob_header(const BlobHeader& header);

// `bytes` starts at the blob and may be longer. CORRUPT or UNKNOWN_FORMAT, naming `what`.
BlobHeader decode_blob_header(Bytes bytes, const std::string& what);

std::array<std::byte, kPackHeaderBytes> encode_pack_header(uint64_t blob_count, uint64_t pack_bytes);

// Checks the header and that the pack has the length it names. CORRUPT or UNKNOWN_FORMAT, naming `what`.
void check_pack_header(Bytes pack, const std::string& what);

}  // namespace holdfast
