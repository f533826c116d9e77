// Packs blobs of many threads into a bounded set of buffers, and hands full packs over.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "aligned_buffer.h"
#include "bytes.h"
#include "sha256.h"
#include "xxh3.h"

namespace holdfast {

struct SealedPack {
  uint32_t number;
  std::shared_ptr<AlignedBuffer> buffer;  // outlives the writer while somebody still looks at it
  size_t size;
  Sha256 sha256;
  Xxh3 xxh3;
};

// Where a blob went.
struct BlobPlace {
  uint32_t pack;
  uint64_t offset;
  uint32_t length;  // with its header
};

class PackWriter {
 public:
  using Sealed = std::function<void(uint32_t number, uint64_t bytes)>;

  // on_sealed runs on the thread that sealed, without locks held. There are no buffers until they are allowed.
  PackWriter(size_t pack_bytes, uint32_t first_number, Sealed on_sealed);

  // Buffers are made when they are first needed, up to this number.
  void allow_buffers(size_t count);

  // Appends header and stored bytes as one blob; waits while no buffer is free. Nothing when stopped.
  std::optional<BlobPlace> append(Bytes header, Bytes stored);

  // No append may come after it: seals the last pack.
  void finish();

  // The next sealed pack, if there is one.
  std::optional<SealedPack> take();

  // Gives the buffer of a taken pack back; false when the number is not outstanding.
  bool recycle(uint32_t number);

  // Bytes of all packs sealed so far.
  uint64_t sealed_bytes();

  // Ends every wait.
  void stop();

 private:
  struct OpenPack {
    uint32_t number;
    std::shared_ptr<AlignedBuffer> buffer;
    size_t size;
    uint64_t blobs = 0;
    unsigned copying = 0;  // blobs reserved and not yet copied
    bool full = false;
  };

  // The pack with room for `bytes`, or null when stopped. Waits with the lock released.
  std::shared_ptr<OpenPack> pack_with_room(size_t bytes, std::unique_lock<std::mutex>& lock);
  std::shared_ptr<AlignedBuffer> free_buffer();
  void retire_current(std::unique_lock<std::mutex>& lock);
  void seal(const OpenPack& pack);

  const size_t pack_bytes_;
  const Sealed on_sealed_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::shared_ptr<OpenPack> current_;
  std::vector<std::shared_ptr<AlignedBuffer>> free_;
  std::deque<SealedPack> sealed_;
  std::map<uint32_t, std::shared_ptr<AlignedBuffer>> taken_;
  size_t max_buffers_ = 0;
  size_t buffers_ = 0;
  uint64_t sealed_bytes_ = 0;
  uint32_t last_number_;
  bool stopped_ = false;
};

}  // namespace holdfast
