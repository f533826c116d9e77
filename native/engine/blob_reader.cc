#include "blob_reader.h"

#include <algorithm>

#include "byte_shuffle.h"
#include "format_errors.h"
#include "lz4_codec.h"

namespace holdfast {

namespace {

void check_against_index(const BlobHeader& header, const IndexChunk& chunk, std::span<const IndexRun> runs,
                         uint32_t page_size, const std::string& what) {
  if (header.page_size != page_size || header.stored_bytes + kBlobHeaderBytes != chunk.length ||
      header.contents != chunk.contents || (chunk.dense && header.page_count != chunk.pages)) {
    corrupt(what, "it is not the blob that the page index names");
  }
  for (const IndexRun& run : runs) {
    if (uint64_t{run.slot} + run.pages > header.page_count) corrupt(what, "the page index names pages beyond its end");
  }
}

std::string name_of(const IndexChunk& chunk) {
  return "blob at " + std::to_string(chunk.offset) + " of pack " + std::to_string(chunk.pack);
}

std::span<std::byte> room_in(std::optional<AlignedBuffer>& buffer, size_t bytes) {
  if (!buffer || buffer->size() < bytes) buffer.emplace(bytes);
  return buffer->span().first(bytes);
}

}  // namespace

BlobReader::BlobReader(const std::vector<BlobKeys>& keys) {
  for (const BlobKeys& one : keys) ciphers_.push_back(std::make_unique<BlobCipher>(one));
}

Trust check_pack(Bytes pack, const std::optional<PackChecksum>& recorded, const std::string& what) {
  check_pack_header(pack, what);
  if (!recorded) return Trust::Nothing;
  if (!matches(*recorded, pack)) corrupt(what, "its " + name_of(*recorded) + " is not the recorded one");
  return Trust::StoredBytes;
}

Bytes BlobReader::read(Bytes pack, const IndexChunk& chunk, std::span<const IndexRun> runs, uint32_t page_size,
                       Trust trust) {
  if (chunk.offset > pack.size() || chunk.length > pack.size() - chunk.offset) {
    corrupt(name_of(chunk), "it is beyond the end of the pack");
  }
  return read_blob(pack.subspan(chunk.offset, chunk.length), chunk, runs, page_size, trust);
}

Bytes BlobReader::read_blob(Bytes blob, const IndexChunk& chunk, std::span<const IndexRun> runs, uint32_t page_size,
                            Trust trust) {
  const std::string what = name_of(chunk);
  if (blob.size() != chunk.length) corrupt(what, "it is truncated");
  const BlobHeader header = decode_blob_header(blob, what);
  check_against_index(header, chunk, runs, page_size, what);
  return open(blob, header, what, trust);
}

Bytes BlobReader::open(Bytes blob, const BlobHeader& header, const std::string& what, Trust trust) {
  if (blob.size() != kBlobHeaderBytes + header.stored_bytes) corrupt(what, "its length is not what its header names");
  const Bytes packed = header.encrypted ? decrypt(blob, header, what) : blob.subspan(kBlobHeaderBytes);
  Bytes raw = packed;
  if (header.codec != Codec::None) {
    const auto out = room_in(raw_, header.raw_bytes());
    decompress(header.codec, packed, out, what);
    raw = out;
  }
  // What was encrypted is authentic already, its header too.
  const bool known = trust == Trust::StoredBytes || header.encrypted;
  if (!known && sha256(raw) != header.contents) corrupt(what, "the SHA-256 of its pages is wrong");
  return raw;
}

void BlobReader::decompress(Codec codec, Bytes packed, std::span<std::byte> out, const std::string& what) {
  if (codec == Codec::Zstd) return decompressor_.decompress(packed, out, what);
  if (codec == Codec::Lz4) return lz4_decompress(packed, out, what);
  const auto shuffled = room_in(shuffled_, out.size());
  lz4_decompress(packed, shuffled, what);
  unshuffle_bytes(shuffled, out);
}

Bytes BlobReader::decrypt(Bytes blob, const BlobHeader& header, const std::string& what) {
  const Bytes sealed = blob.subspan(kBlobHeaderBytes);
  const auto cipher = std::ranges::find(ciphers_, fingerprint_of(sealed),
                                        [](const auto& one) -> const KeyFingerprint& { return one->fingerprint(); });
  if (cipher == ciphers_.end()) {
    throw Failure("KEY_UNAVAILABLE", what + ": it is encrypted with a key that is none of those the manifest names for it",
                  "If the key's file was changed, put the key back that it had.");
  }
  const auto out = room_in(opened_, sealed.size() - kSealBytes);
  if (!(*cipher)->open(blob.first(kBlobHeaderBytes), sealed, out)) {
    corrupt(what, "it is not what was encrypted: header or contents were changed");
  }
  return out;
}

}  // namespace holdfast
