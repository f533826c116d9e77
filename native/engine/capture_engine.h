// Reads the memory of processes into packs on threads of its own, in steps: rounds while they run, then what is left
// while they are frozen. Knows nothing of JavaScript.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <variant>
#include <vector>

#include "chunk_encoder.h"
#include "page_ledger.h"
#include "page_work.h"
#include "pack_writer.h"
#include "raw_chunks.h"
#include "snapshot_split.h"
#include "survey.h"
#include "worker_threads.h"

namespace holdfast {

struct CaptureSettings {
  uint64_t budget_bytes;
  size_t pack_bytes;
  uint32_t chunk_pages;
  unsigned threads;
  int nice;  // of the threads, while the processes run
  EncoderSettings encoder;
  ScanMethod scan_method;
};

struct CaptureCounts {
  uint64_t present_pages;  // of the last survey
  uint64_t read_pages;
  uint64_t zero_pages;
  uint64_t captured_pages;  // that had to be stored, or were found to be stored already
  uint64_t reused_pages;    // of these: stored already
  uint64_t stored_bytes;
  uint64_t chunks;
};

struct StepCounts {
  uint64_t present_pages = 0;
  uint64_t stale_pages = 0;     // found by the step's survey
  uint64_t held_pages = 0;      // of these: to be read before the processes run on
  uint64_t snapshot_pages = 0;  // of these: to be read from snapshots
};

class CaptureEngine {
 public:
  struct Nothing {};   // ask again after on_change
  struct Complete {};  // every pack has been taken
  using Event = std::variant<Nothing, SealedPack, Complete, Failure>;
  using StepResult = std::variant<Nothing, StepCounts, Failure>;

  // INVALID_ARGUMENT when a chunk fits no blob or no pack. on_change runs on any of the
  // engine's threads whenever poll() or poll_step() may have something new.
  CaptureEngine(std::shared_ptr<PageLedger> ledger, CaptureSettings settings, std::function<void()> on_change);
  ~CaptureEngine();

  // The steps; one at a time, its result comes by poll_step(). WRONG_STATE while another one is under way.
  // Reads and encodes what was written since the last look, while the processes run.
  void round(std::vector<ProcessId> processes);
  // Looks at frozen processes: what is left to read, and what the generation consists of.
  // `left_out`: the segments of shared memory whose contents CRIU left to us.
  void freeze(std::vector<ProcessId> processes, std::vector<Snapshot> snapshots, std::vector<SegmentId> left_out);
  // Reads what no snapshot has. Afterwards the processes may run on.
  void read_held();
  // Reads the rest from the snapshots. Afterwards these may end.
  void read_snapshots();
  // Encodes what is left, and seals the last pack; poll() then comes to Complete.
  void finish();

  Event poll();
  StepResult poll_step();
  bool recycle(uint32_t number) { return packs_.recycle(number); }
  CaptureCounts counts();

  struct Index {
    std::vector<std::byte> object;
    std::vector<uint32_t> packs;
  };
  // After Complete: the page index object, and the packs it names in its order.
  std::shared_ptr<const Index> index();

  // Ends and joins the threads; waits for at most the chunk that each has in hand. Safe to repeat.
  void stop();

 private:
  using Step = std::function<StepCounts()>;

  void begin(Step step);
  void sealed(uint32_t number, uint64_t bytes);
  void run();
  void prepare();
  void run_worker(ChunkEncoder& encoder);
  StepCounts read(std::vector<StaleRun> runs, std::vector<int> pids, bool frozen, bool wait_for_encoding);
  StepCounts look(const std::vector<ProcessId>& processes, const std::vector<Snapshot>& snapshots,
                  const std::vector<SegmentId>& left_out);
  StepCounts complete();

  struct Task {
    std::unique_ptr<AlignedBuffer> buffer;  // to read a batch into; null: encode the chunk
    Batch batch;
    RawChunk chunk;
    bool frozen;
  };
  // The next thing to do, or nothing when stopped.
  std::optional<Task> next_task();
  void read_batch(Task task);
  void encode(ChunkEncoder& encoder, RawChunk chunk);
  void give_back(std::unique_ptr<AlignedBuffer> buffer);
  void store(ChunkEncoder& encoder, const RawChunk& chunk);
  // Runs a step; what it throws ends the capture.
  void guarded(const std::function<void()>& step);
  void fail(Failure failure);

  const std::shared_ptr<PageLedger> ledger_;
  const CaptureSettings settings_;
  const std::function<void()> on_change_;
  PackWriter packs_;
  std::atomic<bool> stopped_ = false;
  std::atomic<uint64_t> present_pages_ = 0;
  std::atomic<uint64_t> read_pages_ = 0;
  std::atomic<uint64_t> zero_pages_ = 0;
  std::atomic<uint64_t> captured_pages_ = 0;
  std::atomic<uint64_t> reused_pages_ = 0;
  std::atomic<uint64_t> chunk_count_ = 0;
  Survey frozen_;                   // of the lead thread
  std::vector<StaleRun> snapshot_runs_;
  std::vector<int> snapshot_pids_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  Step step_;
  bool step_runs_ = false;
  std::optional<StepCounts> step_result_;
  bool reads_first_ = false;  // processes are held
  bool reading_frozen_ = false;
  PageWork work_;
  std::vector<std::unique_ptr<AlignedBuffer>> free_buffers_;
  std::deque<RawChunk> raw_;
  unsigned reading_ = 0;
  unsigned encoding_ = 0;
  std::optional<Failure> failure_;
  std::shared_ptr<const Index> index_;
  std::vector<std::unique_ptr<ChunkEncoder>> encoders_;
  WorkerThreads workers_;
  WorkerThreads lead_;  // last: joined before anything it uses goes
};

}  // namespace holdfast
