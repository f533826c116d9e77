// Which codec a chunk gets: decided from a sample of it, and from what the pipeline waits for. Pure.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "pack_format.h"

namespace holdfast {

// Why a chunk is stored as it is: counted, so that a choice can be explained.
enum class CodecReason : uint8_t {
  Requested,       // the settings name the codec
  Incompressible,  // the sample shrinks too little to be worth the time, now and at a restart
  Smallest,        // the codec that shrinks most: the store is what is waited for, or nothing is
  Faster,          // a faster codec than that, or none: the processor is what is waited for
  Grew,            // the sample shrank, the chunk did not: it is stored as it is
};
constexpr size_t kCodecReasons = 5;
// As native/index.ts names them.
constexpr std::array<const char*, kCodecReasons> kCodecReasonNames = {"requested", "incompressible", "smallest", "faster",
                                                                      "grew"};

// What a codec did with a sample. The rate is measured there too: it depends on the data as much as on the machine.
struct CodecTrial {
  double ratio;        // stored bytes per raw byte; 1 when it does not shrink
  double bytes_per_s;  // raw bytes, one thread
};

struct CodecSample {
  CodecTrial lz4;
  CodecTrial shuffle_lz4;
  CodecTrial zstd;
};

struct Pipeline {
  double upload_bytes_per_s;  // stored bytes; 0: not known
  unsigned threads;
};

struct CodecChoice {
  Codec codec;
  CodecReason reason;
};

CodecChoice choose_codec(const CodecSample& sample, const Pipeline& pipeline);

}  // namespace holdfast
