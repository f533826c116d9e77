// Bytes of 8-byte words grouped by their place in the word: the first bytes of all words, then the second ones, and so on.
// Numbers and pointers of one kind share their high bytes, which LZ4 then finds as long runs; as they lie, it finds next to
// nothing in them. The shuffle filter of HDF5 and Blosc, for 8-byte elements.
#pragma once

#include <cstddef>
#include <span>

#include "bytes.h"

namespace holdfast {

// Whole pages; both of the same size.
void shuffle_bytes(Bytes in, std::span<std::byte> out);
void unshuffle_bytes(Bytes in, std::span<std::byte> out);

}  // namespace holdfast
