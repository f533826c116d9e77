// A page-aligned buffer of its own mapping: returned to the system when freed, and never part of a core dump,
// because it holds other users' memory.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <new>
#include <span>

namespace holdfast {

class AlignedBuffer {
 public:
  explicit AlignedBuffer(size_t bytes) : size_(bytes) {
    data_ = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data_ == MAP_FAILED) throw std::bad_alloc();
    ::madvise(data_, bytes, MADV_DONTDUMP);
    // First touch page by page costs more than the copy into the buffer.
    ::madvise(data_, bytes, MADV_HUGEPAGE);
  }
  AlignedBuffer(const AlignedBuffer&) = delete;
  AlignedBuffer& operator=(const AlignedBuffer&) = delete;
  ~AlignedBuffer() { ::munmap(data_, size_); }

  std::byte* data() { return static_cast<std::byte*>(data_); }
  size_t size() const { return size_; }
  std::span<std::byte> span() { return {data(), size_}; }

 private:
  void* data_;
  size_t size_;
};

}  // namespace holdfast
