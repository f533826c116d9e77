#include "page_scan.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <future>
#include <thread>

#include "failure.h"

namespace holdfast {

namespace {

// From <linux/fs.h> of kernel 6.7 and later; a build machine's headers may be older.
struct ScanRequest {
  uint64_t size, flags, start, end, walk_end, vector, vector_length, max_pages;
  uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
struct ScanRegion {
  uint64_t start, end, categories;
};
constexpr unsigned long kPagemapScan = _IOWR('f', 16, ScanRequest);
constexpr uint64_t kIsWriteProtectable = 1 << 0;
constexpr uint64_t kIsWritten = 1 << 1;
constexpr uint64_t kIsFile = 1 << 2;
constexpr uint64_t kIsPresent = 1 << 3;
constexpr uint64_t kIsSwapped = 1 << 4;
constexpr uint64_t kIsZero = 1 << 5;
constexpr uint64_t kIsGuard = 1 << 8;  // kernel 6.15 and later
constexpr uint64_t kProtectMatching = 1 << 0;
constexpr uint64_t kCheckProtectable = 1 << 1;

// Bits of a /proc/PID/pagemap entry.
constexpr uint64_t kEntryPresent = 1ull << 63;
constexpr uint64_t kEntrySwapped = 1ull << 62;
constexpr uint64_t kEntryFile = 1ull << 61;
constexpr uint64_t kEntryGuard = 1ull << 58;

constexpr size_t kRegionsPerScan = 512;
constexpr size_t kEntriesPerRead = 8192;

// A walk over so much takes about as long as starting a thread ten times.
constexpr uint64_t kBytesPerPart = 256u << 20;
// No part cuts a huge page.
constexpr uint64_t kHugePageBytes = 2u << 20;
constexpr uint64_t kHugestTlbPageBytes = 1u << 30;

bool kernel_accepts(uint64_t categories) {
  const File pagemap(::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
  const uint64_t here = reinterpret_cast<uint64_t>(&pagemap) & ~uint64_t{page_size() - 1};
  ScanRequest request{};
  request.size = sizeof request;
  request.start = here;
  request.end = here + page_size();
  request.category_inverted = request.category_mask = categories;
  return ::ioctl(pagemap.fd(), kPagemapScan, &request) >= 0;
}

// Categories that leave a page out, where this kernel knows them.
uint64_t excluded(MapKind kind) {
  static const uint64_t guard = kernel_accepts(kIsGuard) ? kIsGuard : 0;
  return guard | (kind == MapKind::Anonymous ? kIsZero : kIsFile);
}

bool has_contents(uint64_t entry, MapKind kind) {
  if ((entry & (kEntryPresent | kEntrySwapped)) == 0 || (entry & kEntryGuard) != 0) return false;
  return kind == MapKind::Anonymous || (entry & kEntryFile) == 0;
}

void append(std::vector<ScannedRun>& runs, const ScannedRun& run) {
  if (!runs.empty() && runs.back().address + runs.back().pages * page_size() == run.address &&
      runs.back().unwritten == run.unwritten) {
    runs.back().pages += run.pages;
  } else {
    runs.push_back(run);
  }
}

}  // namespace

uint32_t page_size() {
  static const uint32_t size = static_cast<uint32_t>(::sysconf(_SC_PAGESIZE));
  return size;
}

ScanMethod probe_scan_method() {
  static const ScanMethod method = kernel_accepts(kIsFile) ? ScanMethod::PagemapScan : ScanMethod::PagemapEntries;
  return method;
}

PageScan::PageScan(int pid, ScanMethod method) : pid_(pid), method_(method), pagemap_(open_proc(pid, "pagemap", O_RDONLY)) {}

void PageScan::enter(const MemoryMap& map, bool write_protect) {
  map_ = map;
  write_protect_ = write_protect && method_ == ScanMethod::PagemapScan;
  position_ = map.start;
  found_.clear();
  taken_ = 0;
}

bool PageScan::is_write_protectable(const MemoryMap& map) const {
  if (method_ != ScanMethod::PagemapScan) return false;
  ScanRegion region{};
  ScanRequest request{};
  request.size = sizeof request;
  request.start = map.start;
  request.end = map.end;
  request.vector = reinterpret_cast<uint64_t>(&region);
  request.vector_length = 1;
  request.max_pages = 1;
  request.category_mask = request.return_mask = kIsWriteProtectable;
  // All of a map is registered or nothing, else it were two maps.
  return ::ioctl(pagemap_.fd(), kPagemapScan, &request) == 1 && region.start == map.start;
}

bool PageScan::next(ScannedRun& run) {
  while (taken_ == found_.size()) {
    if (position_ >= map_.end) return false;
    found_.clear();
    taken_ = 0;
    method_ == ScanMethod::PagemapScan ? refill_by_scan() : refill_by_entries();
  }
  run = found_[taken_++];
  return true;
}

std::vector<ScannedRun> scan_at_once(int pid, ScanMethod method, const MemoryMap& map, bool write_protect) {
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
    walks.push_back(std::async(policy, [=] {
      PageScan scan(pid, method);
      scan.enter(part, write_protect);
      std::vector<ScannedRun> found;
      for (ScannedRun run; scan.next(run);) append(found, run);
      return found;
    }));
  }
  std::vector<ScannedRun> all;
  for (auto& walk : walks) {
    for (const ScannedRun& run : walk.get()) append(all, run);
  }
  return all;
}

void PageScan::refill_by_scan() {
  std::array<ScanRegion, kRegionsPerScan> regions;
  ScanRequest request{};
  request.size = sizeof request;
  request.start = position_;
  request.end = map_.end;
  request.vector = reinterpret_cast<uint64_t>(regions.data());
  request.vector_length = regions.size();
  request.category_inverted = request.category_mask = excluded(map_.kind);
  request.category_anyof_mask = kIsPresent | kIsSwapped;
  if (write_protect_) {
    request.flags = kProtectMatching | kCheckProtectable;
    request.return_mask = kIsWritten | kIsPresent;
  }
  const int count = ::ioctl(pagemap_.fd(), kPagemapScan, &request);
  if (count < 0) {
    // What it had write-protected before it failed is not known: all of it counts as written.
    if (errno == EINTR || (write_protect_ && errno == EPERM)) {
      write_protect_ = false;
      return;
    }
    throw Failure(code_of_errno(errno), "scanning the pages of process " + std::to_string(pid_) + " at " +
                                            hex(position_) + ": " + describe_errno(errno));
  }
  for (int i = 0; i < count; i++) {
    // A page of a file map that is not present may have been dropped: then the kernel keeps a mark there, which looks
    // like a page in the swap, and the map shows the file's page again.
    const bool certain = map_.kind == MapKind::Anonymous || (regions[i].categories & kIsPresent) != 0;
    const bool unwritten = write_protect_ && certain && (regions[i].categories & kIsWritten) == 0;
    append(found_, {regions[i].start, (regions[i].end - regions[i].start) / page_size(), unwritten});
  }
  if (request.walk_end <= position_) {
    throw Failure("INTERNAL", "the page scan of process " + std::to_string(pid_) + " stopped at " + hex(position_));
  }
  position_ = request.walk_end;
}

void PageScan::refill_by_entries() {
  std::vector<uint64_t> entries(std::min<uint64_t>(kEntriesPerRead, (map_.end - position_) / page_size()));
  const auto offset = static_cast<off_t>(position_ / page_size() * sizeof(uint64_t));
  const ssize_t got = ::pread(pagemap_.fd(), entries.data(), entries.size() * sizeof(uint64_t), offset);
  if (got < 0 && errno == EINTR) return;
  if (got < static_cast<ssize_t>(sizeof(uint64_t))) {
    throw Failure(got < 0 ? code_of_errno(errno) : "WRONG_STATE",
                  "reading the page map of process " + std::to_string(pid_) + " at " + hex(position_) + ": " +
                      (got < 0 ? describe_errno(errno) : std::string("the process has no memory any more")));
  }
  for (size_t i = 0; i < static_cast<size_t>(got) / sizeof(uint64_t); i++) {
    if (has_contents(entries[i], map_.kind)) append(found_, {position_, 1, false});
    position_ += page_size();
  }
}

}  // namespace holdfast
