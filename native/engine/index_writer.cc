#include "failure.h"
#include "index_layout.h"
#include "page_index.h"
#include "page_scan.h"
#include "zstd_codec.h"

namespace holdfast {

namespace {

using namespace index_layout;

constexpr int kIndexLevel = 3;

bool is_dense(const std::vector<IndexRun>& runs, uint32_t blob_pages) {
  uint32_t slot = 0;
  for (const IndexRun& run : runs) {
    if (run.slot != slot) return false;
    slot += run.pages;
  }
  return slot == blob_pages;
}

// Returns the number of pages.
uint64_t put_chunk(ByteWriter& body, const std::vector<IndexRun>& runs, const BlobPlaceInIndex& place) {
  uint64_t pages = 0;
  for (const IndexRun& run : runs) pages += run.pages;
  const bool dense = is_dense(runs, place.pages);
  body.put<uint8_t>(kChunk);
  body.put(static_cast<uint32_t>(pages));
  body.put(dense ? uint32_t{1} : uint32_t{0});
  body.put(place.pack);
  body.put(place.offset);
  body.put(place.length);
  body.put(place.contents);
  body.put(static_cast<uint32_t>(runs.size()));
  for (const IndexRun& run : runs) {
    body.put(run.address);
    body.put(run.pages);
    if (!dense) body.put(run.slot);
  }
  return pages;
}

void put_last_chunk(ByteWriter& body) {
  body.put<uint8_t>(kChunk);
  body.put(uint32_t{0});
}

void put_map(ByteWriter& body, const MemoryMap& map) {
  body.put<uint8_t>(kMap);
  body.put(map.start);
  body.put(map.end);
  body.put(map.protection);
  body.put(static_cast<uint32_t>(map.kind));
}

void check_size(const ByteWriter& body) {
  if (body.size() > kMaxBodyBytes) {
    throw Failure("LIMIT_EXCEEDED", "the page index of this tree is larger than 1 GiB",
                  "Its memory is too scattered for one tree; run fewer processes per node.");
  }
}

std::vector<std::byte> body_of(const std::vector<IndexedSpace>& spaces,
                               const std::function<BlobPlaceInIndex(uint32_t)>& place_of) {
  ByteWriter body;
  uint64_t map_count = 0;
  uint64_t chunk_count = 0;
  uint64_t page_count = 0;
  for (const IndexedSpace& space : spaces) {
    body.put<uint8_t>(kSpace);
    body.put(space.image_pid);
    map_count += space.maps.size();
    for (const auto& [map, blobs] : space.maps) {
      put_map(body, map);
      for (const IndexedBlob& blob : blobs) {
        page_count += put_chunk(body, blob.runs, place_of(blob.blob));
        check_size(body);
      }
      chunk_count += blobs.size();
      put_last_chunk(body);
    }
  }
  body.put<uint8_t>(kEnd);
  body.put(static_cast<uint32_t>(spaces.size()));
  body.put(map_count);
  body.put(chunk_count);
  body.put(page_count);
  check_size(body);
  return body.take();
}

std::vector<std::byte> compress(Bytes body) {
  std::vector<std::byte> stored(ZSTD_compressBound(body.size()));
  stored.resize(Compressor(kIndexLevel).compress(body, stored).value());
  return stored;
}

}  // namespace

std::vector<std::byte> write_index(const std::vector<IndexedSpace>& spaces,
                                   const std::function<BlobPlaceInIndex(uint32_t)>& place_of, Codec codec) {
  std::vector<std::byte> body = body_of(spaces, place_of);
  ByteWriter object;
  object.put(std::as_bytes(std::span(kMagic)));
  object.put(kFormatVersion);
  object.put(static_cast<uint16_t>(codec));
  object.put(uint32_t{0});  // flags
  object.put(page_size());
  object.put(uint64_t{body.size()});
  object.put(codec == Codec::Zstd ? compress(body) : body);
  object.put(sha256(object.bytes()));
  return object.take();
}

}  // namespace holdfast
