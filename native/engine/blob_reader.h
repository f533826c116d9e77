// Takes verified page contents out of packs. One per thread.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "aligned_buffer.h"
#include "cipher.h"
#include "pack_checksum.h"
#include "pack_format.h"
#include "page_index.h"
#include "zstd_codec.h"

namespace holdfast {

// What is known of the stored bytes. Those that were found to be exactly what a capture wrote give its pages again.
enum class Trust { Nothing, StoredBytes };

// Checks a pack's header, and the whole of it where its checksum is recorded. CORRUPT or UNKNOWN_FORMAT, naming `what`.
Trust check_pack(Bytes pack, const std::optional<PackChecksum>& recorded, const std::string& what);

class BlobReader {
 public:
  // Keys for encrypted blobs: each is opened with the one it names.
  explicit BlobReader(const std::vector<BlobKeys>& keys = {});

  // The raw pages of the chunk's blob, valid until the next call or the end of `pack`. CORRUPT or UNKNOWN_FORMAT when
  // it is not exactly what the index names, KEY_UNAVAILABLE when its key is not among the given ones.
  Bytes read(Bytes pack, const IndexChunk& chunk, std::span<const IndexRun> runs, uint32_t page_size, Trust trust);

  // The raw pages of a blob with this header, valid like those of read().
  Bytes open(Bytes blob, const BlobHeader& header, const std::string& what, Trust trust = Trust::Nothing);

  // The same as read(), of a blob alone, with its header.
  Bytes read_blob(Bytes blob, const IndexChunk& chunk, std::span<const IndexRun> runs, uint32_t page_size,
                  Trust trust = Trust::Nothing);

 private:
  void decompress(Codec codec, Bytes packed, std::span<std::byte> out, const std::string& what);
  Bytes decrypt(Bytes blob, const BlobHeader& header, const std::string& what);

  std::vector<std::unique_ptr<BlobCipher>> ciphers_;
  Decompressor decompressor_;
  std::optional<AlignedBuffer> opened_;
  std::optional<AlignedBuffer> raw_;
  std::optional<AlignedBuffer> shuffled_;
};

}  // namespace holdfast
