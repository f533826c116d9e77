// LZ4 blocks with bounded output, through a state that is kept.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bytes.h"

namespace holdfast {

class Lz4Compressor {
 public:
  Lz4Compressor();

  // One block in `out`; nothing when it does not fit.
  std::optional<size_t> compress(Bytes in, std::span<std::byte> out);

  size_t memory_bytes() const { return state_.size() * sizeof(state_[0]); }

 private:
  std::vector<long long> state_;  // of the alignment that LZ4 asks for
};

// Fills `out` exactly, or CORRUPT naming `what`.
void lz4_decompress(Bytes in, std::span<std::byte> out, const std::string& what);

}  // namespace holdfast
