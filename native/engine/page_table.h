// Where the contents of every page of one address space were stored last. Sparse: only touched ranges cost memory.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "page_scan.h"

namespace holdfast {

// A place in the ledger's blobs, or one of the two values below.
struct PageEntry {
  uint32_t blob;  // from 1
  uint32_t slot;  // page of the blob

  bool operator==(const PageEntry&) const = default;
};

constexpr PageEntry kPageUnknown{0, 0};
// Full of zeros where a fresh map shows zeros: nothing is stored.
constexpr PageEntry kPageZero{UINT32_MAX, 0};

// The first half of the SHA-256 of a page: for pages whose writes cannot be tracked.
using Fingerprint = std::array<std::byte, 16>;

class PageTable {
 public:
  PageEntry get(uint64_t address) const;
  // Takes away the page's fingerprint, too.
  void set(uint64_t address, PageEntry entry);
  void forget(uint64_t address, uint64_t pages);

  // Calls visit(address, entry) for every page of the run, ascending.
  template <typename Visit>
  void visit(const PageRun& run, Visit visit) const {
    const uint64_t size = page_size();
    uint64_t page = run.address / size;
    for (const uint64_t end = page + run.pages; page < end;) {
      const auto leaf = leaves_.find(page / kLeafPages);
      const uint64_t leaf_end = std::min(end, (page / kLeafPages + 1) * kLeafPages);
      for (; page < leaf_end; page++) {
        visit(page * size, leaf == leaves_.end() ? kPageUnknown : (*leaf->second)[page % kLeafPages]);
      }
    }
  }

  // Forgets every page outside the runs, which ascend.
  void retain(const std::vector<PageRun>& runs);

  void clear();

  // All zeros where none was set.
  Fingerprint fingerprint(uint64_t address) const;
  void set_fingerprint(uint64_t address, const Fingerprint& fingerprint);

 private:
  static constexpr uint64_t kLeafPages = 512;
  using Leaf = std::array<PageEntry, kLeafPages>;
  using PrintLeaf = std::array<Fingerprint, kLeafPages>;

  std::unordered_map<uint64_t, std::unique_ptr<Leaf>> leaves_;
  std::unordered_map<uint64_t, std::unique_ptr<PrintLeaf>> prints_;
};

}  // namespace holdfast
