// Packs that wait to be written into processes, the threads that write them, and what became of each.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <vector>

#include "blob_reader.h"
#include "cipher.h"
#include "failure.h"
#include "pack_checksum.h"
#include "worker_threads.h"

namespace holdfast {

struct FillJob {
  uint64_t ticket;
  uint32_t pack;
  std::optional<uint32_t> chunk;  // only this one, of the page index: `body` is its blob
  Bytes body;                     // stays as it is until the result
  std::optional<PackChecksum> recorded;
};

struct FillResult {
  uint64_t ticket;
  std::optional<Failure> failure;
};

class FillQueue {
 public:
  // Writes the pages of a job, on one of the threads; throws Failure.
  using Write = std::function<void(const FillJob&, BlobReader&)>;

  // `keys`: what encrypted blobs may be encrypted with. on_change runs on any of the threads when a result is there.
  FillQueue(std::vector<BlobKeys> keys, std::function<void()> on_change)
      : keys_(std::move(keys)), on_change_(std::move(on_change)) {}
  ~FillQueue() { stop(); }

  // LIMIT_EXCEEDED when the system has no more threads.
  void start(unsigned threads, Write write);

  void add(const FillJob& job);
  std::vector<FillResult> take_results();

  // ABORTED once it is stopping: for writers between two chunks.
  void check() const;

  // Ends and joins the threads; what was not finished has the result ABORTED. Safe to repeat.
  void stop();

 private:
  void run(const Write& write);
  void finish(const FillJob& job, std::optional<Failure> failure);

  const std::vector<BlobKeys> keys_;
  const std::function<void()> on_change_;
  std::atomic<bool> stopped_ = false;
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::deque<FillJob> jobs_;
  std::vector<FillResult> results_;
  WorkerThreads threads_;
};

}  // namespace holdfast
