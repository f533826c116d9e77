#include "write_tracker.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "failure.h"
#include "frozen_scan.h"
#include "process_stat.h"
#include "stolen_userfaultfd.h"

namespace holdfast {

namespace {

// From <linux/userfaultfd.h> of kernel 6.7 and later.
constexpr uint64_t kFeatureWriteProtect = 1 << 0;
constexpr uint64_t kFeatureHugeTlbAndShmem = 1 << 12;
constexpr uint64_t kFeatureUnpopulated = 1 << 13;
constexpr uint64_t kFeatureAsync = 1 << 15;

bool enable(const File& userfault) {
  uffdio_api api{};
  api.api = UFFD_API;
  api.features = kFeatureWriteProtect | kFeatureHugeTlbAndShmem | kFeatureUnpopulated | kFeatureAsync;
  return ::ioctl(userfault.fd(), UFFDIO_API, &api) == 0;
}

bool has_write_protect() {
  const File userfault(static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK)));
  return userfault.fd() >= 0 && probe_scan_method() == ScanMethod::PagemapScan && enable(userfault);
}

constexpr uint64_t kEntrySoftDirty = 1ull << 55;

uint64_t entry_of(const File& pagemap, const void* address) {
  uint64_t entry = 0;
  const auto page = reinterpret_cast<uint64_t>(address) / page_size();
  const ssize_t got = ::pread(pagemap.fd(), &entry, sizeof entry, static_cast<off_t>(page * sizeof entry));
  return got == sizeof entry ? entry : 0;
}

// On a kernel without it the bit never shows.
bool has_soft_dirty() {
  const File pagemap(::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
  std::vector<char> memory(2 * page_size());
  volatile char* page = memory.data() + page_size();
  *page = 1;
  return pagemap.fd() >= 0 && (entry_of(pagemap, const_cast<char*>(page)) & kEntrySoftDirty) != 0;
}

bool clear_soft_dirty(int pid) {
  const File file = open_proc(pid, "clear_refs", O_WRONLY);
  return ::write(file.fd(), "4", 1) == 1;
}

// Cuts the run by the soft-dirty bit of its pages.
void cut_by_soft_dirty(const File& pagemap, const ScannedRun& run, const WriteTracker::Found& found) {
  std::vector<uint64_t> entries(run.pages);
  const auto offset = static_cast<off_t>(run.address / page_size() * sizeof(uint64_t));
  const ssize_t got = ::pread(pagemap.fd(), entries.data(), entries.size() * sizeof(uint64_t), offset);
  const auto known = got < 0 ? size_t{0} : static_cast<size_t>(got) / sizeof(uint64_t);
  for (size_t first = 0; first < run.pages;) {
    const auto unwritten = [&](size_t i) { return i < known && (entries[i] & kEntrySoftDirty) == 0; };
    size_t end = first + 1;
    while (end < run.pages && unwritten(end) == unwritten(first)) end++;
    found({run.address + first * page_size(), end - first}, unwritten(first));
    first = end;
  }
}

bool kernel_has(TrackMethod method) {
  static const bool write_protect = has_write_protect();
  static const bool soft_dirty = has_soft_dirty();
  if (method == TrackMethod::WriteProtect) return write_protect;
  return method == TrackMethod::Fingerprint || soft_dirty;
}

}  // namespace

TrackMethod probe_track_method() {
  for (const TrackMethod method : {TrackMethod::WriteProtect, TrackMethod::SoftDirty}) {
    if (kernel_has(method)) return method;
  }
  return TrackMethod::Fingerprint;
}

const char* name_of(TrackMethod method) {
  switch (method) {
    case TrackMethod::WriteProtect:
      return "write-protect";
    case TrackMethod::SoftDirty:
      return "soft-dirty";
    case TrackMethod::Fingerprint:
      return "fingerprint";
  }
  return "";
}

WriteTracker::WriteTracker(int pid, TrackMethod wanted) : pid_(pid), method_(wanted) {
  if (kernel_has(wanted)) return;
  // A bit that never shows would make every page look unwritten.
  method_ = TrackMethod::Fingerprint;
  refusal_ = std::string("this kernel has no ") + name_of(wanted);
}

// The userfaultfd is of the address space that the process had when it was made.
void WriteTracker::let_go_after_exec() {
  if (userfault_.fd() >= 0 && ProcessStat(pid_).address_space() != address_space_) userfault_ = File();
}

void WriteTracker::arm() {
  let_go_after_exec();
  if (method_ != TrackMethod::WriteProtect || userfault_.fd() >= 0) return;
  try {
    // Looked at before: an exec in between is taken for one that comes after it.
    address_space_ = ProcessStat(pid_).address_space();
    File userfault = steal_userfaultfd(pid_);
    if (!enable(userfault)) throw Failure("NOT_CAPTURABLE", "the kernel refuses asynchronous write-protection");
    userfault_ = std::move(userfault);
  } catch (const Failure& failure) {
    // Else it may be at its end, or busy: it is asked again by the next look at it.
    if (std::string_view(failure.code) != "NOT_CAPTURABLE") return;
    method_ = TrackMethod::Fingerprint;
    refusal_ = failure.message;
  }
}

// Pages may bear marks of an earlier registration, which mremap takes from all of a map when it moves a part back to where it was:
// the kernel then takes a page for unwritten, and leaves it writable. So all count as written first.
void WriteTracker::register_map(const MemoryMap& map) {
  uffdio_register request{};
  request.range = {map.start, map.end - map.start};
  request.mode = UFFDIO_REGISTER_MODE_WP;
  if (::ioctl(userfault_.fd(), UFFDIO_REGISTER, &request) == 0) {
    uffdio_writeprotect written{};
    written.range = request.range;
    if (::ioctl(userfault_.fd(), UFFDIO_WRITEPROTECT, &written) == 0) return;
    // The map changes meanwhile.
    if (::ioctl(userfault_.fd(), UFFDIO_UNREGISTER, &request.range) < 0) userfault_ = File();
    return;
  }
  // The same after an exec that nothing else shows. Only this request tells it from a range that has changed meanwhile.
  uffdio_writeprotect nothing{};
  nothing.range = {map.start, page_size()};
  if (::ioctl(userfault_.fd(), UFFDIO_WRITEPROTECT, &nothing) < 0 && errno == ESRCH) userfault_ = File();
}

// What has just been registered is tracked from now on: until now it counts as written.
bool WriteTracker::is_tracked(const PageScan& scan, const MemoryMap& map) {
  if (userfault_.fd() < 0 || !can_be_tracked(map.kind, map.huge_tlb)) return false;
  if (scan.is_write_protectable(map)) return true;
  register_map(map);
  return false;
}

void WriteTracker::scan(const std::vector<MemoryMap>& maps, Look look, ScanMethod scan_method,
                        const std::function<Found(const MemoryMap&)>& enter) {
  // Soft-dirty bits cannot be read and cleared in one step: while the process runs, nothing can be said about it.
  if (method_ == TrackMethod::SoftDirty && look == Look::WhileItRuns) return;
  let_go_after_exec();
  PageScan scan(pid_, scan_method);
  const File pagemap = open_proc(pid_, "pagemap", O_RDONLY);
  for (const MemoryMap& map : maps) {
    const Found found = enter(map);
    const bool was_tracked = is_tracked(scan, map);
    const bool protects = userfault_.fd() >= 0 && (was_tracked || scan.is_write_protectable(map));
    const auto take = [&](const ScannedRun& run) {
      if (method_ == TrackMethod::SoftDirty && soft_dirty_cleared_) {
        cut_by_soft_dirty(pagemap, run, found);
      } else {
        found({run.address, run.pages}, was_tracked && run.unwritten);
      }
    };
    if (look == Look::WhileItRuns) {
      scan.enter(map, protects);
      for (ScannedRun run; scan.next(run);) take(run);
    } else {
      // The job waits, and its processors are free.
      const FrozenWalk walk{protects, was_tracked && look == Look::FrozenAfterRound};
      for (const ScannedRun& run : scan_frozen(pid_, scan_method, map, walk)) take(run);
    }
  }
  if (method_ == TrackMethod::SoftDirty) soft_dirty_cleared_ = clear_soft_dirty(pid_);
}

}  // namespace holdfast
