// What becomes of a chunk's raw pages: their address, and the blob that is stored. One per thread.
#pragma once

#include <array>
#include <memory>
#include <optional>

#include "aligned_buffer.h"
#include "cipher.h"
#include "codec_policy.h"
#include "encoder_state.h"
#include "lz4_codec.h"
#include "pack_format.h"
#include "zstd_codec.h"

namespace holdfast {

struct EncoderSettings {
  std::optional<Codec> codec;  // nothing: chosen chunk by chunk
  int compression_level;       // of zstd; 0: nothing is compressed
  unsigned threads = 1;        // that encode side by side
  std::optional<BlobKeys> keys = std::nullopt;
  std::shared_ptr<EncoderState> state = std::make_shared<EncoderState>();
};

class ChunkEncoder {
 public:
  struct Encoded {
    std::array<std::byte, kBlobHeaderBytes> header;
    Bytes stored;  // of the encoder or of `raw`: valid until the next encode()
    Sha256 contents;
    CodecReason reason;
  };

  // Takes all the memory it will ever take.
  ChunkEncoder(const EncoderSettings& settings, size_t chunk_bytes);

  // What names these contents in the page index.
  Sha256 address(Bytes raw) const;

  // `raw` is whole pages, at most chunk_bytes.
  Encoded encode(Bytes raw) { return encode(raw, address(raw)); }
  Encoded encode(Bytes raw, const Sha256& address);

  size_t memory_bytes() const;

 private:
  CodecChoice choose(Bytes raw);
  CodecSample sample(Bytes raw);
  // Nothing when it would not shrink.
  std::optional<Bytes> compress(Codec codec, Bytes raw);
  std::optional<size_t> compress_into(Codec codec, Bytes raw, std::span<std::byte> out);

  // Where compressed bytes go: behind what encryption puts before them.
  std::span<std::byte> packed_payload() { return packed_->span().subspan(cipher_ ? kSealPrefixBytes : 0); }

  const EncoderSettings settings_;
  std::optional<BlobCipher> cipher_;
  std::optional<AlignedBuffer> packed_;
  std::optional<AlignedBuffer> shuffled_;
  std::optional<AlignedBuffer> sample_;  // pages, and room for what they are compressed to
  std::optional<Compressor> zstd_;
  std::optional<Lz4Compressor> lz4_;
};

}  // namespace holdfast
