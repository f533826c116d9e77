// Writes the pages of packs into hollow processes on threads of its own. Knows nothing of JavaScript.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <vector>

#include "address_spaces.h"
#include "fill_queue.h"
#include "page_index.h"
#include "process_memory.h"

namespace holdfast {

class FillEngine {
 public:
  // `keys`: what encrypted blobs may be encrypted with. Parses the index and opens the memory of every process it has pages for. NOT_FOUND when one has no target or
  // does not exist. on_change runs on any of the engine's threads when a result is there.
  FillEngine(Bytes index, const std::vector<ProcessId>& targets, unsigned threads, std::vector<BlobKeys> keys,
             std::function<void()> on_change);
  ~FillEngine() { stop(); }

  std::vector<uint32_t> pack_numbers() const;
  uint64_t written_pages() const { return written_pages_; }
  uint64_t total_pages() const { return index_.pages; }

  // Queues a pack. With the SHA-256 that was recorded for it, it is hashed as it is stored; without, its pages are.
  // `body` must stay as it is until the result. INVALID_ARGUMENT for a number the index does not
  // name, WRONG_STATE while the same pack is in work.
  void submit(uint64_t ticket, uint32_t number, Bytes body, const std::optional<PackChecksum>& recorded);
  std::vector<FillResult> take_results() { return queue_.take_results(); }

  // Ends and joins the threads; what was not finished has the result ABORTED. Safe to repeat.
  void stop() { queue_.stop(); }

 private:
  void write(const FillJob& job, BlobReader& blobs);
  void open_targets(const std::vector<ProcessId>& targets);

  const PageIndex index_;
  std::map<uint32_t, ProcessWriter> writers_;  // by image pid
  std::vector<uint8_t> written_;               // chunk by chunk; one job at a time owns a pack's entries
  std::atomic<uint64_t> written_pages_ = 0;
  std::mutex mutex_;  // guards what follows
  std::set<uint32_t> in_work_;
  FillQueue queue_;
};

}  // namespace holdfast
