#include "stored_contents.h"

#include <algorithm>

#include "failure.h"
#include "format_errors.h"
#include "page_index.h"

namespace holdfast {

namespace {

const std::string kWhat = "page index";

// As many pages as the blob of a chunk has at least.
uint32_t pages_named(const PageIndex& index, const IndexChunk& chunk) {
  uint32_t pages = 0;
  for (const IndexRun& run : runs_of(index, chunk)) pages = std::max(pages, run.slot + run.pages);
  if (pages > kMaxBlobPages) corrupt(kWhat, "a chunk names page " + std::to_string(pages) + " of a blob");
  return pages;
}

void require_inside(const IndexChunk& chunk, uint64_t pack_bytes) {
  if (chunk.offset + chunk.length <= pack_bytes) return;
  corrupt(kWhat, "a chunk at " + std::to_string(chunk.offset) + " is outside of pack " + std::to_string(chunk.pack));
}

std::vector<Blob> blobs_of(const PageIndex& index, const PageLedger& ledger, const std::vector<uint32_t>& packs) {
  std::vector<Blob> blobs;
  for (const IndexChunk& chunk : index.chunks) {
    if (chunk.pack > packs.size()) corrupt(kWhat, "it names pack " + std::to_string(chunk.pack) + ", the manifest does not");
    const uint32_t pack = packs[chunk.pack - 1];
    if (pack == 0) continue;
    require_inside(chunk, ledger.pack_bytes(pack));
    const Blob blob{pack, chunk.offset, chunk.length, pages_named(index, chunk), chunk.contents};
    // Chunks are in the order of their places: those of one blob follow each other.
    if (blobs.empty() || blobs.back().pack != pack || blobs.back().offset != blob.offset) {
      blobs.push_back(blob);
    } else if (blobs.back().length != blob.length || blobs.back().contents != blob.contents) {
      corrupt(kWhat, "two contents are said to be at " + std::to_string(blob.offset) + " of pack " + std::to_string(chunk.pack));
    } else {
      blobs.back().pages = std::max(blobs.back().pages, blob.pages);
    }
  }
  return blobs;
}

}  // namespace

size_t learn_contents(PageLedger& ledger, Bytes index, const std::vector<uint32_t>& packs) {
  const PageIndex read = read_index(index);
  const std::lock_guard lock(ledger.mutex);
  for (const uint32_t pack : packs) {
    if (pack >= ledger.next_pack()) throw Failure("INVALID_ARGUMENT", "the ledger has no pack " + std::to_string(pack));
  }
  const std::vector<Blob> blobs = blobs_of(read, ledger, packs);
  ledger.learn(blobs);
  return blobs.size();
}

}  // namespace holdfast
