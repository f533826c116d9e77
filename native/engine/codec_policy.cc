#include "codec_policy.h"

#include <algorithm>
#include <limits>

namespace holdfast {

namespace {

// Less than a tenth is not worth the time: arrays of random mantissas shrink by 6 % at 0.9 GB/s.
constexpr double kWorthwhileRatio = 0.9;
// Reading, hashing and packing a raw byte takes a thread about this long, whatever the codec.
constexpr double kOtherSecondsPerByte = 1e-9;
// Until the first pack was stored: what a node often gets of a store that many share.
constexpr double kAssumedUploadBytesPerS = 250e6;
// Time differences below this are noise: then fewer bytes win.
constexpr double kSameTime = 1.1;

struct Candidate {
  Codec codec;
  double ratio;
  double seconds_per_byte;  // of the slower of processor and store, which work side by side
};

}  // namespace

CodecChoice choose_codec(const CodecSample& sample, const Pipeline& pipeline) {
  if (std::min({sample.lz4.ratio, sample.shuffle_lz4.ratio, sample.zstd.ratio}) > kWorthwhileRatio) return {Codec::None, CodecReason::Incompressible};
  const double upload = pipeline.upload_bytes_per_s > 0 ? pipeline.upload_bytes_per_s : kAssumedUploadBytesPerS;
  const auto candidate = [&](Codec codec, const CodecTrial& trial) {
    const double processor = (kOtherSecondsPerByte + 1 / trial.bytes_per_s) / pipeline.threads;
    return Candidate{codec, trial.ratio, std::max(processor, trial.ratio / upload)};
  };
  const CodecTrial as_it_is{1, std::numeric_limits<double>::infinity()};
  const std::array candidates = {candidate(Codec::None, as_it_is), candidate(Codec::Lz4, sample.lz4),
                                 candidate(Codec::ShuffleLz4, sample.shuffle_lz4), candidate(Codec::Zstd, sample.zstd)};
  const double least = std::ranges::min(candidates, {}, &Candidate::seconds_per_byte).seconds_per_byte;
  const Candidate* best = nullptr;
  double smallest = 1;
  for (const Candidate& one : candidates) {
    smallest = std::min(smallest, one.ratio);
    if (one.seconds_per_byte <= least * kSameTime && (best == nullptr || one.ratio < best->ratio)) best = &one;
  }
  return {best->codec, best->ratio == smallest ? CodecReason::Smallest : CodecReason::Faster};
}

}  // namespace holdfast
