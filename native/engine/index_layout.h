// Constants of the page index that its writer and its reader share.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace holdfast::index_layout {

constexpr std::array<char, 4> kMagic = {'H', 'F', 'I', 'X'};
constexpr size_t kEnvelopeBytes = 24;
constexpr size_t kTrailerBytes = 32;
constexpr uint64_t kMaxBodyBytes = 1u << 30;

enum Tag : uint8_t { kSpace = 'M', kMap = 'V', kChunk = 'C', kEnd = 'E' };

}  // namespace holdfast::index_layout
