#include "pack_format.h"

#include <algorithm>
#include <string>

#include "format_errors.h"

namespace holdfast {

namespace {

constexpr std::array<char, 4> kPackMagic = {'H', 'F', 'P', 'K'};
constexpr std::array<char, 4> kBlobMagic = {'H', 'F', 'B', 'L'};

constexpr uint32_t kEncryptedFlag = 1;
// Of every machine that runs Linux.
constexpr uint32_t kSmallestPageBytes = 4096;

// Both headers end with the check of what is before it.
template <size_t Size>
std::array<std::byte, Size> seal(ByteWriter& fields) {
  fields.put(check_of(fields.bytes()));
  std::array<std::byte, Size> header;
  std::copy_n(fields.bytes().begin(), Size, header.begin());
  return header;
}

FieldReader open(Bytes bytes, size_t size, const std::array<char, 4>& magic, const std::string& what) {
  if (bytes.size() < size) corrupt(what, "it is truncated");
  if (!std::ranges::equal(bytes.first(4), std::as_bytes(std::span(magic)))) corrupt(what, "the magic is wrong");
  FieldReader check(bytes.subspan(size - sizeof(uint64_t)));
  if (check.get<uint64_t>() != check_of(bytes.first(size - sizeof(uint64_t)))) corrupt(what, "the header's check is wrong");
  FieldReader fields(bytes.subspan(magic.size()));
  const auto version = fields.get<uint16_t>();
  if (version != kFormatVersion) unknown_format(what, "version " + std::to_string(version));
  return fields;
}

}  // namespace

std::array<std::byte, kBlobHeaderBytes> encode_blob_header(const BlobHeader& header) {
  ByteWriter fields;
  fields.put(std::as_bytes(std::span(kBlobMagic)));
  fields.put(kFormatVersion);
  fields.put(static_cast<uint16_t>(header.codec));
  fields.put(header.encrypted ? kEncryptedFlag : uint32_t{0});
  fields.put(header.page_size);
  fields.put(header.page_count);
  fields.put(header.stored_bytes);
  fields.put(header.contents);
  return seal<kBlobHeaderBytes>(fields);
}

BlobHeader decode_blob_header(Bytes bytes, const std::string& what) {
  FieldReader fields = open(bytes, kBlobHeaderBytes, kBlobMagic, what);
  const auto codec = fields.get<uint16_t>();
  if (codec > static_cast<uint16_t>(Codec::ShuffleLz4)) unknown_format(what, "codec " + std::to_string(codec));
  const auto flags = fields.get<uint32_t>();
  if ((flags & ~kEncryptedFlag) != 0) unknown_format(what, "flags " + hex(flags));
  BlobHeader header{};
  header.encrypted = flags != 0;
  header.codec = static_cast<Codec>(codec);
  header.page_size = fields.get<uint32_t>();
  header.page_count = fields.get<uint32_t>();
  header.stored_bytes = fields.get<uint32_t>();
  fields.get(header.contents);
  if (header.page_size == 0 || header.page_size % kSmallestPageBytes != 0) {
    corrupt(what, "pages of " + std::to_string(header.page_size) + " bytes");
  }
  if (header.page_count == 0 || header.page_count > kMaxBlobPages || header.raw_bytes() > kMaxBlobBytes) {
    corrupt(what, std::to_string(header.page_count) + " pages of " + std::to_string(header.page_size) + " bytes");
  }
  const size_t seal_bytes = header.encrypted ? kSealBytes : 0;
  if (header.stored_bytes <= seal_bytes || header.stored_bytes - seal_bytes > header.raw_bytes() ||
      (header.codec == Codec::None && header.stored_bytes - seal_bytes != header.raw_bytes())) {
    corrupt(what, "stored length " + std::to_string(header.stored_bytes));
  }
  return header;
}

std::array<std::byte, kPackHeaderBytes> encode_pack_header(uint64_t blob_count, uint64_t pack_bytes) {
  ByteWriter fields;
  fields.put(std::as_bytes(std::span(kPackMagic)));
  fields.put(kFormatVersion);
  fields.put(uint16_t{0});  // flags
  fields.put(blob_count);
  fields.put(pack_bytes);
  return seal<kPackHeaderBytes>(fields);
}

void check_pack_header(Bytes pack, const std::string& what) {
  FieldReader fields = open(pack, kPackHeaderBytes, kPackMagic, what);
  const auto flags = fields.get<uint16_t>();
  if (flags != 0) unknown_format(what, "flags " + hex(flags));
  fields.get<uint64_t>();  // blob count: for readers without the index
  const auto length = fields.get<uint64_t>();
  if (length != pack.size()) {
    corrupt(what, "it has " + std::to_string(pack.size()) + " bytes and should have " + std::to_string(length));
  }
}

}  // namespace holdfast
