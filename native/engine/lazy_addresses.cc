#include "lazy_addresses.h"

#include <algorithm>

namespace holdfast {

namespace {

constexpr uint64_t kAddressSpace = 1ull << 57;

}  // namespace

LazyAddresses::LazyAddresses() { put({0, 0, kAddressSpace}); }

void LazyAddresses::put(const AddressPiece& piece) {
  by_address_[piece.address] = {piece.length, piece.original};
  by_original_[piece.original] = {piece.length, piece.address};
}

std::optional<uint64_t> LazyAddresses::original_of(uint64_t address) const {
  auto next = by_address_.upper_bound(address);
  if (next == by_address_.begin()) return std::nullopt;
  const auto& [start, range] = *--next;
  if (address - start >= range.length) return std::nullopt;
  return range.other + (address - start);
}

std::vector<AddressPiece> LazyAddresses::pieces_of(uint64_t original, uint64_t length) const {
  std::vector<AddressPiece> pieces;
  const uint64_t end = original + length;
  auto at = by_original_.upper_bound(original);
  if (at != by_original_.begin()) --at;
  for (; at != by_original_.end() && at->first < end; ++at) {
    const uint64_t from = std::max(at->first, original);
    const uint64_t to = std::min(at->first + at->second.length, end);
    if (from < to) pieces.push_back({at->second.other + (from - at->first), from, to - from});
  }
  return pieces;
}

std::vector<AddressPiece> LazyAddresses::take(uint64_t start, uint64_t end) {
  std::vector<AddressPiece> taken;
  auto at = by_address_.upper_bound(start);
  if (at != by_address_.begin()) --at;
  while (at != by_address_.end() && at->first < end) {
    const AddressPiece whole{at->first, at->second.other, at->second.length};
    const uint64_t from = std::max(whole.address, start);
    const uint64_t to = std::min(whole.address + whole.length, end);
    if (from >= to) {
      ++at;
      continue;
    }
    by_original_.erase(whole.original);
    at = by_address_.erase(at);
    if (whole.address < from) put({whole.address, whole.original, from - whole.address});
    taken.push_back({from, whole.original + (from - whole.address), to - from});
    const uint64_t whole_end = whole.address + whole.length;
    if (to < whole_end) put({to, whole.original + (to - whole.address), whole_end - to});
  }
  return taken;
}

void LazyAddresses::drop(uint64_t address, uint64_t length) { take(address, address + length); }

void LazyAddresses::move(uint64_t from, uint64_t to, uint64_t length) {
  const std::vector<AddressPiece> moved = take(from, from + length);
  // What was there before is gone.
  drop(to, length);
  for (const AddressPiece& piece : moved) put({to + (piece.address - from), piece.original, piece.length});
}

}  // namespace holdfast
