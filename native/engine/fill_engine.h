// Writes the pages of packs into hollow processes on threads of its own. Knows nothing of JavaScript.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <vector>

#include "address_spaces.h"
#include "cipher.h"
#include "pack_checksum.h"
#include "page_index.h"
#include "process_memory.h"
#include "worker_threads.h"

namespace holdfast {

struct FillResult {
  uint64_t ticket;
  std::optional<Failure> failure;
};

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
  std::vector<FillResult> take_results();

  // Ends and joins the threads; what was not finished has the result ABORTED. Safe to repeat.
  void stop();

 private:
  struct Job {
    uint64_t ticket;
    uint32_t number;
    Bytes body;
    std::optional<PackChecksum> recorded;
  };

  void run();
  void finish(const Job& job, std::optional<Failure> failure);
  std::span<const IndexChunk> chunks_of(uint32_t number) const;
  void open_targets(const std::vector<ProcessId>& targets);

  const PageIndex index_;
  const std::vector<BlobKeys> keys_;
  const std::function<void()> on_change_;
  std::map<uint32_t, ProcessWriter> writers_;  // by image pid
  std::vector<uint8_t> written_;               // chunk by chunk; one job at a time owns a pack's entries
  std::atomic<uint64_t> written_pages_ = 0;
  std::atomic<bool> stopped_ = false;
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::deque<Job> queue_;
  std::set<uint32_t> in_work_;
  std::vector<FillResult> results_;
  WorkerThreads threads_;
};

}  // namespace holdfast
