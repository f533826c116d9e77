#include "byte_shuffle.h"

#include <array>
#include <cstdint>
#include <cstring>

namespace holdfast {

namespace {

constexpr size_t kWordBytes = 8;
using Lanes = uint8_t __attribute__((vector_size(16)));
constexpr size_t kLanes = sizeof(Lanes);
// 16 words, or 16 bytes of each of the 8 planes.
using Tile = std::array<Lanes, kWordBytes>;

Lanes interleave_low(Lanes a, Lanes b) {
  return __builtin_shuffle(a, b, Lanes{0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23});
}

Lanes interleave_high(Lanes a, Lanes b) {
  return __builtin_shuffle(a, b, Lanes{8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31});
}

// A perfect shuffle of the tile's 128 bytes: the highest bit of a byte's place becomes its lowest one. The place of a byte is
// word * 8 + plane in the one order and plane * 16 + word in the other: three of seven turns lead from the second order to the
// first, the other four back.
Tile turned(const Tile& tile) {
  Tile out;
  for (size_t i = 0; i < kWordBytes / 2; i++) {
    out[2 * i] = interleave_low(tile[i], tile[i + kWordBytes / 2]);
    out[2 * i + 1] = interleave_high(tile[i], tile[i + kWordBytes / 2]);
  }
  return out;
}

}  // namespace

void shuffle_bytes(Bytes in, std::span<std::byte> out) {
  const size_t words = in.size() / kWordBytes;
  for (size_t word = 0; word < words; word += kLanes) {
    Tile tile;
    std::memcpy(tile.data(), in.data() + word * kWordBytes, sizeof tile);
    const Tile planes = turned(turned(turned(turned(tile))));
    for (size_t i = 0; i < kWordBytes; i++) std::memcpy(out.data() + i * words + word, &planes[i], kLanes);
  }
}

void unshuffle_bytes(Bytes in, std::span<std::byte> out) {
  const size_t words = in.size() / kWordBytes;
  for (size_t word = 0; word < words; word += kLanes) {
    Tile planes;
    for (size_t i = 0; i < kWordBytes; i++) std::memcpy(&planes[i], in.data() + i * words + word, kLanes);
    const Tile tile = turned(turned(turned(planes)));
    std::memcpy(out.data() + word * kWordBytes, tile.data(), sizeof tile);
  }
}

}  // namespace holdfast
