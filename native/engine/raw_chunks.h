// What makes a chunk of the pages that were read: which of them have contents to store.
#pragma once

#include <vector>

#include "aligned_buffer.h"
#include "page_ledger.h"
#include "page_work.h"

namespace holdfast {

// Pages that were read, waiting to be encoded.
struct RawChunk {
  TrackedSpace* space;
  MapKind kind;
  bool huge_tlb;
  std::vector<PageRun> runs;
  uint64_t pages;
  std::unique_ptr<AlignedBuffer> buffer;
  std::vector<Fingerprint> fingerprints;  // of the pages in order; only where writes cannot be tracked
};

// Leaves out zero pages where a fresh map shows zeros, and, where writes cannot be tracked, pages with the contents that are stored
// already. Notes zeros in the ledger. Returns the number of zero pages.
uint64_t leave_out_known(PageLedger& ledger, RawChunk& chunk);

// Notes in the ledger that the pages of the chunk are those of `first.blob`, in order.
void note_captured(PageLedger& ledger, const RawChunk& chunk, PageEntry first);

}  // namespace holdfast
