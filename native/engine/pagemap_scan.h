// The kernel's request PAGEMAP_SCAN of /proc/PID/pagemap, from <linux/fs.h> of kernel 6.7 and later; a build machine's headers
// may be older.
#pragma once

#include <sys/ioctl.h>

#include <cstddef>
#include <cstdint>

namespace holdfast {

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

// What the kernel collects before it writes any of it out: with more room it may report a wrong end of its walk.
constexpr size_t kRegionsPerScan = 512;

}  // namespace holdfast
