#include "raw_chunks.h"

#include <algorithm>
#include <cstring>

#include "zero_pages.h"

namespace holdfast {

namespace {

Fingerprint fingerprint_of(const std::byte* page) {
  const Sha256 digest = sha256(Bytes(page, page_size()));
  Fingerprint fingerprint;
  std::copy_n(digest.begin(), fingerprint.size(), fingerprint.begin());
  return fingerprint;
}

// Calls visit(address) for every page of `all` that `kept`, a part of it, lacks.
template <typename Visit>
void for_missing(const std::vector<PageRun>& all, const std::vector<PageRun>& kept, Visit visit) {
  auto next = kept.begin();
  for (const PageRun& run : all) {
    for (uint64_t i = 0; i < run.pages; i++) {
      const uint64_t address = run.address + i * page_size();
      while (next != kept.end() && next->address + next->pages * page_size() <= address) ++next;
      if (next == kept.end() || address < next->address) visit(address);
    }
  }
}

// Moves the pages for which keep(i, address) says so together at the front.
template <typename Keep>
void compact(RawChunk& chunk, Keep keep) {
  std::vector<PageRun> kept;
  std::byte* to = chunk.buffer->data();
  const std::byte* from = to;
  size_t i = 0;
  for (const PageRun& run : chunk.runs) {
    for (uint64_t page = 0; page < run.pages; page++, i++, from += page_size()) {
      const uint64_t address = run.address + page * page_size();
      if (!keep(i, address)) continue;
      if (to != from) std::memmove(to, from, page_size());
      to += page_size();
      if (!kept.empty() && kept.back().address + kept.back().pages * page_size() == address) {
        kept.back().pages++;
      } else {
        kept.push_back({address, 1});
      }
    }
  }
  chunk.runs = std::move(kept);
  chunk.pages = static_cast<uint64_t>(to - chunk.buffer->data()) / page_size();
}

void leave_out_equal(PageLedger& ledger, RawChunk& chunk) {
  std::vector<Fingerprint> all;
  for (uint64_t i = 0; i < chunk.pages; i++) all.push_back(fingerprint_of(chunk.buffer->data() + i * page_size()));
  const std::lock_guard lock(ledger.mutex);
  compact(chunk, [&](size_t i, uint64_t address) {
    const PageEntry entry = ledger.entry(*chunk.space, address);
    const bool stored = entry != kPageUnknown && entry != kPageZero;
    if (stored && chunk.space->pages.fingerprint(address) == all[i]) return false;
    chunk.fingerprints.push_back(all[i]);
    return true;
  });
}

}  // namespace

uint64_t leave_out_known(PageLedger& ledger, RawChunk& chunk) {
  uint64_t zeros = 0;
  if (chunk.kind != MapKind::FilePrivate) {
    const std::vector<PageRun> all = chunk.runs;
    const uint64_t pages = chunk.pages;
    chunk.pages = drop_zero_pages(chunk.runs, chunk.buffer->data());
    zeros = pages - chunk.pages;
    if (zeros > 0) {
      const std::lock_guard lock(ledger.mutex);
      for_missing(all, chunk.runs, [&](uint64_t address) { chunk.space->pages.set(address, kPageZero); });
    }
  }
  if (chunk.space->is_compared(chunk.kind, chunk.huge_tlb)) leave_out_equal(ledger, chunk);
  return zeros;
}

void note_captured(PageLedger& ledger, const RawChunk& chunk, PageEntry first) {
  uint32_t slot = first.slot;
  const std::lock_guard lock(ledger.mutex);
  for (const PageRun& run : chunk.runs) {
    for (uint64_t i = 0; i < run.pages; i++, slot++) {
      const uint64_t address = run.address + i * page_size();
      chunk.space->pages.set(address, {first.blob, slot});
      if (!chunk.fingerprints.empty()) chunk.space->pages.set_fingerprint(address, chunk.fingerprints[slot - first.slot]);
    }
  }
}

}  // namespace holdfast
