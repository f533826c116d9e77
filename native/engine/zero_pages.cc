#include "zero_pages.h"

#include <cstring>

namespace holdfast {

bool is_zero_page(const std::byte* page) {
  // A page equals itself shifted by one byte only if all of its bytes are the same.
  return page[0] == std::byte{0} && std::memcmp(page, page + 1, page_size() - 1) == 0;
}

uint64_t drop_zero_pages(std::vector<PageRun>& runs, std::byte* contents) {
  const size_t size = page_size();
  std::vector<PageRun> kept;
  const std::byte* from = contents;
  std::byte* to = contents;
  for (const PageRun& run : runs) {
    for (uint64_t i = 0; i < run.pages; i++, from += size) {
      if (is_zero_page(from)) continue;
      if (to != from) std::memmove(to, from, size);
      to += size;
      const uint64_t address = run.address + i * size;
      if (!kept.empty() && kept.back().address + kept.back().pages * size == address) {
        kept.back().pages++;
      } else {
        kept.push_back({address, 1});
      }
    }
  }
  runs = std::move(kept);
  return static_cast<uint64_t>(to - contents) / size;
}

}  // namespace holdfast
