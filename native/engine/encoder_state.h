// What the encoders of one capture share: how fast packs are stored, and what was decided. Any thread may use it.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "codec_policy.h"

namespace holdfast {

class EncoderState {
 public:
  // Measured by whoever stores the packs.
  void set_upload_rate(double bytes_per_s) { upload_bytes_per_s_ = bytes_per_s; }

  double upload_rate() const { return upload_bytes_per_s_; }

  void count(CodecReason reason) { counts_[static_cast<size_t>(reason)]++; }
  uint64_t counted(size_t reason) const { return counts_[reason]; }

 private:
  std::atomic<double> upload_bytes_per_s_ = 0;
  std::array<std::atomic<uint64_t>, kCodecReasons> counts_{};
};

}  // namespace holdfast
