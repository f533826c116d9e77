#include "capture_index.h"

#include <algorithm>

#include "failure.h"

namespace holdfast {

namespace {

// The stored pages of one map by blob, in the order of each blob's first page.
std::vector<IndexedBlob> blobs_of_map(const PageLedger& ledger, const TrackedSpace& space, const SurveyedMap& map) {
  std::vector<IndexedBlob> blobs;
  std::unordered_map<uint32_t, size_t> places;
  std::vector<uint32_t> pages;  // of each of the blobs
  for (const PageRun& run : map.present) {
    ledger.visit(space, run, [&](uint64_t address, PageEntry entry) {
      if (entry == kPageZero) return;
      if (entry == kPageUnknown) {
        throw Failure("INTERNAL", "page " + hex(address) + " of process " + std::to_string(space.process.pid) + " was not captured");
      }
      // Equal contents share a blob, and a chunk has at most so many pages.
      const auto [place, isNew] = places.try_emplace(entry.blob, blobs.size());
      if (!isNew && pages[place->second] == kMaxBlobPages) place->second = blobs.size();
      if (place->second == blobs.size()) {
        blobs.push_back({entry.blob, {}});
        pages.push_back(0);
      }
      pages[place->second]++;
      auto& runs = blobs[place->second].runs;
      if (!runs.empty() && runs.back().address + uint64_t{runs.back().pages} * page_size() == address &&
          runs.back().slot + runs.back().pages == entry.slot) {
        runs.back().pages++;
      } else {
        runs.push_back({address, 1, entry.slot});
      }
    });
  }
  return blobs;
}

std::vector<PageRun> present_runs(const SurveyedSpace& space) {
  std::vector<PageRun> runs;
  for (const SurveyedMap& map : space.maps) runs.insert(runs.end(), map.present.begin(), map.present.end());
  return runs;
}

// Which pages of each blob are named; the same page may be named by several processes.
class Liveness {
 public:
  explicit Liveness(const PageLedger& ledger) : ledger_(ledger) {}

  void note(const IndexedBlob& indexed) {
    auto& named = named_[indexed.blob];
    named.resize(ledger_.blob(indexed.blob).pages);
    for (const IndexRun& run : indexed.runs) std::fill_n(named.begin() + run.slot, run.pages, true);
  }

  std::map<uint32_t, PackUse> use() const {
    std::map<uint32_t, PackUse> use;
    for (const auto& [number, named] : named_) {
      const Blob& blob = ledger_.blob(number);
      const auto pages = static_cast<uint64_t>(std::ranges::count(named, true));
      use[blob.pack].live_bytes += uint64_t{blob.length} * pages / blob.pages;
    }
    for (auto& [pack, one] : use) one.bytes = ledger_.pack_bytes(pack);
    return use;
  }

 private:
  const PageLedger& ledger_;
  std::unordered_map<uint32_t, std::vector<bool>> named_;
};

}  // namespace

CapturedIndex write_captured_index(PageLedger& ledger, const Survey& frozen, Codec codec) {
  const std::lock_guard lock(ledger.mutex);
  std::vector<IndexedSpace> spaces;
  std::vector<TrackedSpace*> known;
  Liveness liveness(ledger);
  for (const SurveyedSpace& from : frozen.spaces) {
    IndexedSpace& space = spaces.emplace_back(IndexedSpace{from.image_pid, {}});
    if (from.space == nullptr) continue;
    known.push_back(from.space);
    from.space->pages.retain(present_runs(from));
    for (const SurveyedMap& map : from.maps) {
      space.maps.push_back({map.map, blobs_of_map(ledger, *from.space, map)});
      for (const IndexedBlob& blob : space.maps.back().blobs) liveness.note(blob);
    }
  }
  ledger.retain(known);
  CapturedIndex result{{}, {}, liveness.use()};
  for (const auto& [pack, use] : result.use) result.packs.push_back(pack);
  const auto place_of = [&](uint32_t blob) {
    const Blob& from = ledger.blob(blob);
    const auto place = std::ranges::lower_bound(result.packs, from.pack) - result.packs.begin() + 1;
    return BlobPlaceInIndex{static_cast<uint32_t>(place), from.offset, from.length, from.pages, from.contents};
  };
  result.object = write_index(spaces, place_of, codec);
  return result;
}

}  // namespace holdfast
