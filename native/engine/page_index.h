// The page index (docs/format.md): written by a capture, read and checked by a fill.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "bytes.h"
#include "memory_map.h"
#include "pack_format.h"
#include "sha256.h"

namespace holdfast {

// Pages next to each other in the address space and in their blob.
struct IndexRun {
  uint64_t address;
  uint32_t pages;
  uint32_t slot;  // page of the blob where the run starts
};

// The pages of one map whose contents are in one blob, by ascending address.
struct IndexedBlob {
  uint32_t blob;  // the writer's number
  std::vector<IndexRun> runs;
};

struct IndexedMap {
  MemoryMap map;
  std::vector<IndexedBlob> blobs;
};

struct IndexedSpace {
  uint32_t image_pid;
  std::vector<IndexedMap> maps;
};

struct BlobPlaceInIndex {
  uint32_t pack;  // from 1, by place in the manifest's list
  uint64_t offset;
  uint32_t length;  // with its header
  uint32_t pages;
  Sha256 contents;
};

// The whole object. LIMIT_EXCEEDED when the body would be over 1 GiB.
std::vector<std::byte> write_index(const std::vector<IndexedSpace>& spaces,
                                   const std::function<BlobPlaceInIndex(uint32_t blob)>& place_of, Codec codec);

struct IndexChunk {
  uint32_t image_pid;
  uint32_t pack;
  uint64_t offset;
  uint32_t length;
  uint32_t pages;
  bool dense;
  Sha256 contents;
  size_t first_run;  // into PageIndex::runs
  size_t run_count;
};

struct PageIndex {
  uint32_t page_size;
  std::vector<uint32_t> image_pids;
  std::vector<IndexChunk> chunks;  // by pack, then offset
  std::vector<IndexRun> runs;
  uint64_t pages = 0;
};

inline std::span<const IndexRun> runs_of(const PageIndex& index, const IndexChunk& chunk) {
  return std::span(index.runs).subspan(chunk.first_run, chunk.run_count);
}

// The chunks of one pack.
inline std::span<const IndexChunk> chunks_of(const PageIndex& index, uint32_t pack) {
  const auto range = std::ranges::equal_range(index.chunks, pack, {}, &IndexChunk::pack);
  return {range.begin(), range.end()};
}

// Checks every field. CORRUPT or UNKNOWN_FORMAT; memory in proportion to what is really there.
PageIndex read_index(Bytes object);

}  // namespace holdfast
