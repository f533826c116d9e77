#include "page_table.h"

#include <algorithm>
#include <bitset>

namespace holdfast {

namespace {

uint64_t page_of(uint64_t address) { return address / page_size(); }

}  // namespace

PageEntry PageTable::get(uint64_t address) const {
  const uint64_t page = page_of(address);
  const auto leaf = leaves_.find(page / kLeafPages);
  return leaf == leaves_.end() ? kPageUnknown : (*leaf->second)[page % kLeafPages];
}

void PageTable::set(uint64_t address, PageEntry entry) {
  const uint64_t page = page_of(address);
  auto& leaf = leaves_[page / kLeafPages];
  if (!leaf) {
    leaf = std::make_unique<Leaf>();
    leaf->fill(kPageUnknown);
  }
  (*leaf)[page % kLeafPages] = entry;
  const auto prints = prints_.find(page / kLeafPages);
  if (prints != prints_.end()) (*prints->second)[page % kLeafPages] = Fingerprint{};
}

void PageTable::forget(uint64_t address, uint64_t pages) {
  uint64_t page = page_of(address);
  for (const uint64_t end = page + pages; page < end;) {
    const uint64_t leaf_end = std::min(end, (page / kLeafPages + 1) * kLeafPages);
    const auto leaf = leaves_.find(page / kLeafPages);
    if (leaf != leaves_.end()) {
      std::fill_n(leaf->second->begin() + static_cast<std::ptrdiff_t>(page % kLeafPages), leaf_end - page, kPageUnknown);
    }
    page = leaf_end;
  }
}

void PageTable::retain(const std::vector<PageRun>& runs) {
  std::unordered_map<uint64_t, std::bitset<kLeafPages>> kept;
  for (const PageRun& run : runs) {
    const uint64_t first = page_of(run.address);
    for (uint64_t page = first; page < first + run.pages; page++) kept[page / kLeafPages].set(page % kLeafPages);
  }
  std::erase_if(leaves_, [&](const auto& leaf) { return !kept.contains(leaf.first); });
  std::erase_if(prints_, [&](const auto& leaf) { return !kept.contains(leaf.first); });
  for (auto& [number, leaf] : leaves_) {
    const auto& mask = kept.at(number);
    if (mask.all()) continue;
    for (size_t i = 0; i < kLeafPages; i++) {
      if (!mask.test(i)) (*leaf)[i] = kPageUnknown;
    }
  }
}

void PageTable::clear() {
  leaves_.clear();
  prints_.clear();
}

Fingerprint PageTable::fingerprint(uint64_t address) const {
  const uint64_t page = page_of(address);
  const auto leaf = prints_.find(page / kLeafPages);
  return leaf == prints_.end() ? Fingerprint{} : (*leaf->second)[page % kLeafPages];
}

void PageTable::set_fingerprint(uint64_t address, const Fingerprint& fingerprint) {
  const uint64_t page = page_of(address);
  auto& leaf = prints_[page / kLeafPages];
  if (!leaf) {
    leaf = std::make_unique<PrintLeaf>();
    leaf->fill(Fingerprint{});
  }
  (*leaf)[page % kLeafPages] = fingerprint;
}

}  // namespace holdfast
