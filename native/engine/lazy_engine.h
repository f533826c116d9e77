// Serves the missing pages of running processes, on threads of its own. Knows nothing of JavaScript.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "address_spaces.h"
#include "fill_queue.h"
#include "lazy_memory.h"
#include "worker_threads.h"

namespace holdfast {

class LazyEngine {
 public:
  // `keys`: what encrypted blobs may be encrypted with. on_change runs on any of the engine's threads when results, wants or forks are there to be taken.
  LazyEngine(Bytes index, unsigned threads, std::vector<BlobKeys> keys, std::function<void()> on_change);
  ~LazyEngine() { stop(); }

  // Takes a userfaultfd that another process holds, for the process that the images name so.
  void take(uint32_t image_pid, int holder_pid, int holder_fd);

  // The restored processes are complete and stopped. Returns the chunks that must be filled before they run.
  // NOT_FOUND when a process with pages has no target.
  std::vector<uint32_t> gate(const std::vector<ProcessId>& targets);

  const IndexChunk& chunk(uint32_t number) const;

  // Queues a verified fill: of one chunk, with its blob, or of all of a pack's. `body` must stay as it is until the result.
  void submit_chunk(uint64_t ticket, uint32_t chunk, Bytes blob);
  // `recorded`: as of FillEngine::submit.
  void submit_pack(uint64_t ticket, uint32_t number, Bytes pack, const std::optional<PackChecksum>& recorded);

  std::vector<FillResult> take_results() { return queue_.take_results(); }
  LazyNews take_news();

  // Packs with chunks that are missing.
  std::vector<uint32_t> missing_packs();
  bool is_missing(uint32_t pack);
  uint64_t resident_pages() const { return resident_pages_; }
  uint64_t total_pages() const { return index_.pages; }
  // No page is missing any more.
  bool is_complete();

  // Ends and joins the threads, and gives the processes their memory: only of use when it is complete, or they are gone.
  void stop();

 private:
  void serve();
  void write(const FillJob& job, BlobReader& blobs);
  void fill(uint32_t chunk, Bytes raw);
  // Under no lock of a memory: watches new children, and tells of the rest.
  void spread(LazyMemory& memory, LazyNews&& news);
  void watch(LazyMemory& memory, int userfault);
  bool is_missing(const IndexChunk& chunk);
  LazyMemory& memory_of(uint32_t image_pid);

  const PageIndex index_;
  const std::function<void()> on_change_;
  std::map<uint32_t, LazyMemory> memories_;  // by image pid; as it is from the start
  File poll_;
  File stop_event_;
  std::atomic<uint64_t> resident_pages_ = 0;
  std::atomic<bool> stopped_ = false;
  std::mutex mutex_;  // guards what follows
  LazyNews news_;
  std::map<int, LazyMemory*> watched_;
  FillQueue queue_;
  WorkerThreads server_;
};

}  // namespace holdfast
