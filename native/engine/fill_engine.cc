#include "fill_engine.h"

#include <algorithm>

#include "blob_reader.h"

namespace holdfast {

namespace {

void write_chunk(const ProcessWriter& target, Bytes raw, std::span<const IndexRun> runs, uint32_t page_size) {
  for (const IndexRun& run : runs) {
    target.write(run.address, raw.data() + size_t{run.slot} * page_size, uint64_t{run.pages} * page_size);
  }
}

}  // namespace

FillEngine::FillEngine(Bytes index, const std::vector<ProcessId>& targets, unsigned threads, std::vector<BlobKeys> keys,
                       std::function<void()> on_change)
    : index_(read_index(index)), keys_(std::move(keys)), on_change_(std::move(on_change)), written_(index_.chunks.size()) {
  open_targets(targets);
  try {
    threads_.start(threads, "hf-fill", [this] { run(); });
  } catch (...) {
    stop();
    throw;
  }
}

void FillEngine::open_targets(const std::vector<ProcessId>& targets) {
  for (const IndexChunk& chunk : index_.chunks) {
    if (writers_.contains(chunk.image_pid)) continue;
    const auto target = std::ranges::find(targets, chunk.image_pid, &ProcessId::image_pid);
    if (target == targets.end()) {
      throw Failure("NOT_FOUND", "process " + std::to_string(chunk.image_pid) + " of the page index has no restored process",
                    "Name a target for every process of the tree.");
    }
    writers_.emplace(chunk.image_pid, ProcessWriter(target->pid));
  }
}

std::vector<uint32_t> FillEngine::pack_numbers() const {
  std::vector<uint32_t> numbers;
  for (const IndexChunk& chunk : index_.chunks) {
    if (numbers.empty() || numbers.back() != chunk.pack) numbers.push_back(chunk.pack);
  }
  return numbers;
}

std::span<const IndexChunk> FillEngine::chunks_of(uint32_t number) const {
  const auto range = std::ranges::equal_range(index_.chunks, number, {}, &IndexChunk::pack);
  return {range.begin(), range.end()};
}

void FillEngine::submit(uint64_t ticket, uint32_t number, Bytes body, const std::optional<PackChecksum>& recorded) {
  const std::string what = "pack " + std::to_string(number);
  if (chunks_of(number).empty()) throw Failure("INVALID_ARGUMENT", what + " is not named by the page index");
  const std::lock_guard lock(mutex_);
  if (!in_work_.insert(number).second) throw Failure("WRONG_STATE", what + " is being written already");
  queue_.push_back({ticket, number, body, recorded});
  changed_.notify_one();
}

void FillEngine::run() {
  BlobReader blobs(keys_);
  for (;;) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return stopped_ || !queue_.empty(); });
    if (stopped_) return;
    const Job job = queue_.front();
    queue_.pop_front();
    lock.unlock();
    try {
      const Trust trust = check_pack(job.body, job.recorded, "pack " + std::to_string(job.number));
      for (const IndexChunk& chunk : chunks_of(job.number)) {
        if (stopped_) throw Failure("ABORTED", "the fill was closed");
        const auto runs = std::span(index_.runs).subspan(chunk.first_run, chunk.run_count);
        const Bytes raw = blobs.read(job.body, chunk, runs, index_.page_size, trust);
        write_chunk(writers_.at(chunk.image_pid), raw, runs, index_.page_size);
        uint8_t& written = written_[static_cast<size_t>(&chunk - index_.chunks.data())];
        if (written == 0) written_pages_ += chunk.pages;
        written = 1;
      }
      finish(job, std::nullopt);
    } catch (const Failure& failure) {
      finish(job, failure);
    } catch (const std::exception& error) {
      finish(job, Failure("INTERNAL", "pack " + std::to_string(job.number) + ": " + error.what()));
    }
  }
}

void FillEngine::finish(const Job& job, std::optional<Failure> failure) {
  {
    const std::lock_guard lock(mutex_);
    in_work_.erase(job.number);
    results_.push_back({job.ticket, std::move(failure)});
  }
  on_change_();
}

std::vector<FillResult> FillEngine::take_results() {
  const std::lock_guard lock(mutex_);
  return std::exchange(results_, {});
}

void FillEngine::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    changed_.notify_all();
  }
  threads_.join();
  const std::lock_guard lock(mutex_);
  for (const Job& job : queue_) results_.push_back({job.ticket, Failure("ABORTED", "the fill was closed")});
  queue_.clear();
}

}  // namespace holdfast
