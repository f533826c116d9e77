#include "stored_contents.h"

#include <algorithm>

#include "failure.h"
#include "format_errors.h"
#include "page_index.h"

namespace holdfast {

namespace {

const std::string kWhat = "page index";

// A blob, and which of its pages the index names.
struct NamedBlob {
  Blob blob;
  std::vector<bool> named;

  bool is_whole() const { return std::ranges::count(named, true) == static_cast<std::ptrdiff_t>(named.size()); }
};

void require_inside(const IndexChunk& chunk, uint64_t pack_bytes) {
  if (chunk.offset + chunk.length <= pack_bytes) return;
  corrupt(kWhat, "a chunk at " + std::to_string(chunk.offset) + " is outside of pack " + std::to_string(chunk.pack));
}

void note(NamedBlob& blob, std::span<const IndexRun> runs) {
  for (const IndexRun& run : runs) {
    const uint32_t end = run.slot + run.pages;
    if (end > kMaxBlobPages) corrupt(kWhat, "a chunk names page " + std::to_string(end) + " of a blob");
    if (blob.named.size() < end) blob.named.resize(end);
    std::fill_n(blob.named.begin() + run.slot, run.pages, true);
  }
}

// Those that are named as a whole: nothing that is read now is cut like the others.
std::vector<Blob> whole_blobs(const PageIndex& index, const PageLedger& ledger, const std::vector<uint32_t>& packs) {
  std::vector<Blob> blobs;
  NamedBlob last{};
  const auto end_last = [&] {
    last.blob.pages = static_cast<uint32_t>(last.named.size());
    if (last.blob.pages > 0 && last.is_whole()) blobs.push_back(last.blob);
  };
  for (const IndexChunk& chunk : index.chunks) {
    if (chunk.pack > packs.size()) corrupt(kWhat, "it names pack " + std::to_string(chunk.pack) + ", the manifest does not");
    const uint32_t pack = packs[chunk.pack - 1];
    if (pack == 0) continue;
    require_inside(chunk, ledger.pack_bytes(pack));
    // Chunks are in the order of their places: those of one blob follow each other.
    if (last.blob.pack != pack || last.blob.offset != chunk.offset) {
      end_last();
      last = {{pack, chunk.offset, chunk.length, 0, chunk.contents}, {}};
    } else if (last.blob.length != chunk.length || last.blob.contents != chunk.contents) {
      corrupt(kWhat, "two contents are said to be at " + std::to_string(chunk.offset) + " of pack " + std::to_string(chunk.pack));
    }
    note(last, runs_of(index, chunk));
  }
  end_last();
  return blobs;
}

// Who names a blob keeps its whole pack. Those of which too little can be named are left alone, as if they were to be rewritten.
void leave_out_mostly_dead(std::vector<Blob>& blobs, const PageLedger& ledger) {
  std::map<uint32_t, PackUse> use;
  for (const Blob& blob : blobs) {
    use[blob.pack].bytes = ledger.pack_bytes(blob.pack);
    use[blob.pack].live_bytes += blob.length;
  }
  const std::vector<uint32_t> dead = packs_to_rewrite(use, kWantedLive);
  std::erase_if(blobs, [&](const Blob& blob) { return std::ranges::find(dead, blob.pack) != dead.end(); });
}

}  // namespace

size_t learn_contents(PageLedger& ledger, Bytes index, const std::vector<uint32_t>& packs) {
  const PageIndex read = read_index(index);
  const std::lock_guard lock(ledger.mutex);
  for (const uint32_t pack : packs) {
    if (pack >= ledger.next_pack()) throw Failure("INVALID_ARGUMENT", "the ledger has no pack " + std::to_string(pack));
  }
  std::vector<Blob> blobs = whole_blobs(read, ledger, packs);
  leave_out_mostly_dead(blobs, ledger);
  ledger.learn(blobs);
  return blobs.size();
}

}  // namespace holdfast
