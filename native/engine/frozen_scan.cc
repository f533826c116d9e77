#include "frozen_scan.h"

#include <algorithm>
#include <array>
#include <future>
#include <thread>

#include "pagemap_scan.h"

namespace holdfast {

namespace {

// A walk over so much takes about as long as starting a thread ten times.
constexpr uint64_t kBytesPerPart = 256u << 20;
// No part cuts a huge page.
constexpr uint64_t kHugePageBytes = 2u << 20;
constexpr uint64_t kHugestTlbPageBytes = 1u << 30;

// Fewer pages between two others are looked at together with these sooner than they are passed over.
constexpr uint64_t kWorthPassing = 64;

// The runs of pages that are there and were not written, but for short ones (M1). The kernel is asked for every page of which that
// is not so: to pass over the others takes it a third of the time that naming them takes. What is absent is asked for by itself,
// also where its page table is gone: some kernels count it as written (Linux 6.18), others do not. Where the kernel refuses, or
// gets to no end, what it said before still holds, and the rest is in no run.
std::vector<PageRun> unwritten_runs(const File& pagemap, const MemoryMap& map) {
  std::vector<PageRun> runs;
  uint64_t position = map.start;  // every page before it is in a run or was named
  const auto note = [&](uint64_t end) {
    if (end < position + kWorthPassing * page_size()) return;
    runs.push_back({position, (end - position) / page_size()});
  };
  std::array<ScanRegion, kRegionsPerScan> named;
  for (uint64_t walked = map.start; walked < map.end;) {
    ScanRequest request{};
    request.size = sizeof request;
    request.flags = kCheckProtectable;
    request.start = walked;
    request.end = map.end;
    request.vector = reinterpret_cast<uint64_t>(named.data());
    request.vector_length = named.size();
    request.category_inverted = kIsPresent;
    request.category_anyof_mask = kIsPresent | kIsWritten | kIsZero;
    const int count = ::ioctl(pagemap.fd(), kPagemapScan, &request);
    if (count < 0 || request.walk_end <= walked) return runs;
    for (int i = 0; i < count; i++) {
      note(named[i].start);
      position = std::max(position, named[i].end);
    }
    walked = request.walk_end;
  }
  note(map.end);
  return runs;
}

std::vector<ScannedRun> walk_part(int pid, ScanMethod method, const MemoryMap& part, FrozenWalk walk) {
  PageScan scan(pid, method);
  std::vector<ScannedRun> found;
  const auto look_at = [&](uint64_t start, uint64_t end) {
    MemoryMap piece = part;
    piece.start = start;
    piece.end = end;
    scan.enter(piece, walk.write_protect);
    for (ScannedRun run; scan.next(run);) append(found, run);
  };
  uint64_t position = part.start;
  if (walk.mostly_unwritten) {
    for (const PageRun& run : unwritten_runs(scan.pagemap(), part)) {
      look_at(position, run.address);
      append(found, {run.address, run.pages, true});
      position = run.address + run.pages * page_size();
    }
  }
  look_at(position, part.end);
  return found;
}

}  // namespace

std::vector<ScannedRun> scan_frozen(int pid, ScanMethod method, const MemoryMap& map, FrozenWalk walk) {
  const uint64_t bytes = map.end - map.start;
  const uint64_t parts = std::clamp<uint64_t>(bytes / kBytesPerPart, 1, std::max(1u, std::thread::hardware_concurrency()));
  const uint64_t unit = map.huge_tlb ? kHugestTlbPageBytes : kHugePageBytes;
  const uint64_t part_bytes = (bytes / parts + unit - 1) / unit * unit;
  std::vector<std::future<std::vector<ScannedRun>>> walks;
  for (uint64_t start = map.start; start < map.end;) {
    const uint64_t aligned = (start + part_bytes) / unit * unit;
    MemoryMap part = map;
    part.start = start;
    part.end = std::min(map.end, aligned);
    start = part.end;
    const auto policy = parts == 1 ? std::launch::deferred : std::launch::async;
    walks.push_back(std::async(policy, [=] { return walk_part(pid, method, part, walk); }));
  }
  std::vector<ScannedRun> all;
  for (auto& walked : walks) {
    for (const ScannedRun& run : walked.get()) append(all, run);
  }
  return all;
}

}  // namespace holdfast
