#include "capture_engine.h"

#include <algorithm>
#include <string_view>

#include "background.h"
#include "capture_index.h"
#include "process_memory.h"

namespace holdfast {

namespace {

CaptureSettings checked(CaptureSettings settings) {
  const uint64_t chunk_bytes = uint64_t{settings.chunk_pages} * page_size();
  if (settings.chunk_pages > kMaxBlobPages || chunk_bytes > kMaxBlobBytes) {
    throw Failure("INVALID_ARGUMENT", "chunks of " + std::to_string(settings.chunk_pages) + " pages are too large");
  }
  if (settings.pack_bytes < kPackHeaderBytes + kBlobHeaderBytes + chunk_bytes) {
    throw Failure("INVALID_ARGUMENT", "a pack of " + std::to_string(settings.pack_bytes) + " bytes cannot hold a chunk of " +
                                          std::to_string(chunk_bytes) + " bytes");
  }
  return settings;
}

std::vector<int> own_pids(const std::vector<StaleRun>& runs) {
  std::vector<int> pids;
  for (const StaleRun& run : runs) pids.push_back(run.space->process.pid);
  return pids;
}

uint64_t pages_of(const std::vector<StaleRun>& runs) {
  uint64_t pages = 0;
  for (const StaleRun& run : runs) pages += run.run.pages;
  return pages;
}

}  // namespace

CaptureEngine::CaptureEngine(std::shared_ptr<PageLedger> ledger, CaptureSettings settings, std::function<void()> on_change)
    : ledger_(std::move(ledger)),
      settings_(checked(std::move(settings))),
      on_change_(std::move(on_change)),
      packs_(settings_.pack_bytes, ledger_->next_pack(), [this](uint32_t number, uint64_t bytes) { sealed(number, bytes); }) {
  {
    const std::lock_guard lock(ledger_->mutex);
    ledger_->begin();
  }
  lead_.start(1, "hf-capture", [this] { run(); });
}

CaptureEngine::~CaptureEngine() { stop(); }

void CaptureEngine::sealed(uint32_t number, uint64_t bytes) {
  {
    const std::lock_guard lock(ledger_->mutex);
    ledger_->add_pack(number, bytes);
  }
  on_change_();
}

void CaptureEngine::begin(Step step) {
  const std::lock_guard lock(mutex_);
  if (step_runs_) throw Failure("WRONG_STATE", "a step of the capture was begun before the last one ended");
  step_runs_ = true;
  step_ = std::move(step);
  changed_.notify_all();
}

void CaptureEngine::round(std::vector<ProcessId> processes) {
  begin([this, processes = std::move(processes)] {
    Survey found = survey(*ledger_, processes, {std::nullopt, settings_.scan_method});
    present_pages_ = found.present_pages;
    StepCounts counts{found.present_pages, found.stale_pages, 0, 0};
    auto pids = own_pids(found.stale);
    read(std::move(found.stale), std::move(pids), false, true);
    return counts;
  });
}

void CaptureEngine::freeze(std::vector<ProcessId> processes, std::vector<Snapshot> snapshots,
                           std::vector<SegmentId> left_out) {
  begin([this, processes = std::move(processes), snapshots = std::move(snapshots), left_out = std::move(left_out)] {
    return look(processes, snapshots, left_out);
  });
}

StepCounts CaptureEngine::look(const std::vector<ProcessId>& processes, const std::vector<Snapshot>& snapshots,
                               const std::vector<SegmentId>& left_out) {
  frozen_ = survey(*ledger_, processes, {left_out, settings_.scan_method});
  present_pages_ = frozen_.present_pages;
  StepCounts counts{frozen_.present_pages, frozen_.stale_pages, 0, 0};
  split_by_snapshots(frozen_.stale, snapshots, settings_.scan_method, snapshot_runs_, snapshot_pids_);
  counts.held_pages = pages_of(frozen_.stale);
  counts.snapshot_pages = pages_of(snapshot_runs_);
  return counts;
}

void CaptureEngine::read_held() {
  begin([this] {
    auto pids = own_pids(frozen_.stale);
    return read(std::exchange(frozen_.stale, {}), std::move(pids), true, false);
  });
}

void CaptureEngine::read_snapshots() {
  begin([this] { return read(std::exchange(snapshot_runs_, {}), std::exchange(snapshot_pids_, {}), true, false); });
}

void CaptureEngine::finish() {
  begin([this] { return complete(); });
}

StepCounts CaptureEngine::read(std::vector<StaleRun> runs, std::vector<int> pids, bool frozen, bool wait_for_encoding) {
  std::unique_lock lock(mutex_);
  work_ = PageWork(std::move(runs), std::move(pids), settings_.chunk_pages);
  reads_first_ = frozen;
  reading_frozen_ = frozen;
  changed_.notify_all();
  changed_.wait(lock, [&] {
    const bool encoded = !wait_for_encoding || (raw_.empty() && encoding_ == 0);
    return stopped_ || (work_.empty() && reading_ == 0 && encoded);
  });
  reads_first_ = false;
  return {};
}

StepCounts CaptureEngine::complete() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return stopped_ || (raw_.empty() && encoding_ == 0); });
  lock.unlock();
  if (stopped_) return {};
  packs_.finish();
  const Codec codec = settings_.encoder.compression_level == 0 ? Codec::None : Codec::Zstd;
  CapturedIndex written = write_captured_index(*ledger_, frozen_, codec);
  {
    const std::lock_guard guard(ledger_->mutex);
    ledger_->set_use(std::move(written.use));
  }
  lock.lock();
  index_ = std::make_shared<const Index>(Index{std::move(written.object), std::move(written.packs)});
  return {};
}

void CaptureEngine::run() {
  guarded([&] {
    prepare();
    workers_.start(settings_.threads, "hf-capture", [this, next = std::make_shared<std::atomic<size_t>>(0)] {
      run_worker(*encoders_[(*next)++]);
    });
    for (;;) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return stopped_ || step_; });
      if (stopped_) break;
      const Step step = std::exchange(step_, nullptr);
      lock.unlock();
      const StepCounts counts = step();
      lock.lock();
      if (stopped_) break;
      step_runs_ = false;
      step_result_ = counts;
      lock.unlock();
      on_change_();
    }
  });
  workers_.join();
}

// Half of what the encoders leave is for packs on their way to the store, half for pages on their way to the encoders.
void CaptureEngine::prepare() {
  const size_t chunk_bytes = size_t{settings_.chunk_pages} * page_size();
  uint64_t used = 0;
  for (unsigned i = 0; i < settings_.threads; i++) {
    encoders_.push_back(std::make_unique<ChunkEncoder>(settings_.encoder, chunk_bytes));
    used += encoders_.back()->memory_bytes() + chunk_bytes;
    if (used + settings_.pack_bytes > settings_.budget_bytes) {
      const uint64_t needed = used / encoders_.size() * settings_.threads + settings_.pack_bytes;
      throw Failure("INVALID_ARGUMENT", "a capture budget of " + std::to_string(settings_.budget_bytes) +
                                            " bytes is too small for " + std::to_string(settings_.threads) + " threads",
                    "Give it at least " + std::to_string(needed) + " bytes, or use fewer threads or smaller packs.");
    }
  }
  const uint64_t left = settings_.budget_bytes - used;
  const size_t packs = std::max<size_t>(1, left / 2 / settings_.pack_bytes);
  const size_t chunks = settings_.threads + (left - packs * settings_.pack_bytes) / chunk_bytes;
  packs_.allow_buffers(packs);
  const std::lock_guard lock(mutex_);
  free_buffers_.resize(chunks);  // made when they are first needed
}

std::optional<CaptureEngine::Task> CaptureEngine::next_task() {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (stopped_) return std::nullopt;
    const bool can_read = !work_.empty() && !free_buffers_.empty();
    if (can_read && (reads_first_ || raw_.empty())) {
      auto buffer = std::move(free_buffers_.back());
      free_buffers_.pop_back();
      if (!buffer) buffer = std::make_unique<AlignedBuffer>(size_t{settings_.chunk_pages} * page_size());
      reading_++;
      return Task{std::move(buffer), work_.take(), {}, reading_frozen_};
    }
    if (!raw_.empty()) {
      RawChunk chunk = std::move(raw_.front());
      raw_.pop_front();
      encoding_++;
      return Task{nullptr, {}, std::move(chunk), true};
    }
    changed_.wait(lock);
  }
}

void CaptureEngine::run_worker(ChunkEncoder& encoder) {
  guarded([&] {
    Background background(settings_.nice);
    while (auto task = next_task()) {
      background.set(!task->frozen || !task->buffer);
      if (task->buffer) {
        read_batch(std::move(*task));
      } else {
        encode(encoder, std::move(task->chunk));
      }
    }
  });
}

void CaptureEngine::read_batch(Task task) {
  Batch& batch = task.batch;
  const uint64_t asked = batch.pages;
  std::byte* out = task.buffer->data();
  if (task.frozen) {
    ProcessReader(batch.pid).read(batch.runs, out);
  } else {
    try {
      ProcessReader(batch.pid).read_what_is_there(batch.runs, out);
    } catch (const Failure& failure) {
      if (std::string_view(failure.code) != "NOT_FOUND") throw;
      batch.runs.clear();  // it has ended
    }
    batch.pages = 0;
    for (const PageRun& run : batch.runs) batch.pages += run.pages;
  }
  read_pages_ += asked;
  RawChunk chunk{batch.space, batch.kind, batch.huge_tlb, std::move(batch.runs), batch.pages, std::move(task.buffer), {}};
  const std::lock_guard lock(mutex_);
  raw_.push_back(std::move(chunk));
  reading_--;
  changed_.notify_all();
}

void CaptureEngine::encode(ChunkEncoder& encoder, RawChunk chunk) {
  zero_pages_ += leave_out_known(*ledger_, chunk);
  if (chunk.pages > 0 && !stopped_) store(encoder, chunk);
  const std::lock_guard lock(mutex_);
  free_buffers_.push_back(std::move(chunk.buffer));
  encoding_--;
  changed_.notify_all();
}

void CaptureEngine::store(ChunkEncoder& encoder, const RawChunk& chunk) {
  const Bytes raw = chunk.buffer->span().first(chunk.pages * page_size());
  const auto pages = static_cast<uint32_t>(chunk.pages);
  const Sha256 address = encoder.address(raw);
  std::optional<PageEntry> place;
  {
    const std::lock_guard lock(ledger_->mutex);
    place = ledger_->find(address, pages);
  }
  if (place) {
    reused_pages_ += pages;
  } else {
    const auto encoded = encoder.encode(raw, address);
    const auto where = packs_.append(encoded.header, encoded.stored);
    if (!where) return;
    const std::lock_guard lock(ledger_->mutex);
    place = ledger_->add({where->pack, where->offset, where->length, pages, address});
    chunk_count_++;
  }
  note_captured(*ledger_, chunk, *place);
  captured_pages_ += pages;
}

void CaptureEngine::guarded(const std::function<void()>& step) {
  try {
    step();
  } catch (const Failure& failure) {
    fail(failure);
  } catch (const std::bad_alloc&) {
    fail(Failure("LIMIT_EXCEEDED", "there is no memory for the buffers of the capture", "Give it a smaller budget."));
  } catch (const std::exception& error) {
    fail(Failure("INTERNAL", std::string("the capture stopped: ") + error.what()));
  }
}

void CaptureEngine::fail(Failure failure) {
  {
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_ = std::move(failure);
    stopped_ = true;
    changed_.notify_all();
  }
  packs_.stop();
  on_change_();
}

CaptureEngine::Event CaptureEngine::poll() {
  const std::lock_guard lock(mutex_);
  if (failure_) return *failure_;
  // Completion is looked at first: packs are sealed before it, so then none can still come.
  const bool complete = index_ != nullptr;
  if (auto pack = packs_.take()) return std::move(*pack);
  if (complete) return Complete{};
  return Nothing{};
}

CaptureEngine::StepResult CaptureEngine::poll_step() {
  const std::lock_guard lock(mutex_);
  if (failure_) return *failure_;
  if (!step_result_) return Nothing{};
  const StepCounts counts = *step_result_;
  step_result_.reset();
  return counts;
}

CaptureCounts CaptureEngine::counts() {
  return {present_pages_, read_pages_, zero_pages_, captured_pages_, reused_pages_, packs_.sealed_bytes(), chunk_count_};
}

std::shared_ptr<const CaptureEngine::Index> CaptureEngine::index() {
  const std::lock_guard lock(mutex_);
  return index_;
}

void CaptureEngine::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    changed_.notify_all();
  }
  packs_.stop();
  lead_.join();
}

}  // namespace holdfast
