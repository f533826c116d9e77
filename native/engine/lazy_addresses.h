// Where the pages of a restored process are now: it may have moved or dropped some before they were filled. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

namespace holdfast {

struct AddressPiece {
  uint64_t address;   // now
  uint64_t original;  // as the page index names it
  uint64_t length;
};

class LazyAddresses {
 public:
  // Everything is where it was.
  LazyAddresses();

  // What was recorded for the page that is at this address now; none when it is to read as zeros.
  std::optional<uint64_t> original_of(uint64_t address) const;

  // Where an original range is now: nothing of what was dropped.
  std::vector<AddressPiece> pieces_of(uint64_t original, uint64_t length) const;

  void drop(uint64_t address, uint64_t length);
  void move(uint64_t from, uint64_t to, uint64_t length);

 private:
  struct Range {
    uint64_t length;
    uint64_t other;  // start in the other numbering
  };
  using Ranges = std::map<uint64_t, Range>;

  // The ranges between start and end, cut out of both maps; by current address.
  std::vector<AddressPiece> take(uint64_t start, uint64_t end);
  void put(const AddressPiece& piece);

  Ranges by_address_;
  Ranges by_original_;
};

}  // namespace holdfast
