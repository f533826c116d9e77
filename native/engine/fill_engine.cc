#include "fill_engine.h"

#include <algorithm>


namespace holdfast {

namespace {

void write_chunk(const ProcessWriter& target, Bytes raw, std::span<const IndexRun> runs, uint32_t page_size) {
  for (const IndexRun& run : runs) {
    target.write(run.address, raw.data() + size_t{run.slot} * page_size, uint64_t{run.pages} * page_size);
  }
}

// Acts at the end of its scope, however that comes.
template <typename Act>
struct Leaving {
  Act act;
  ~Leaving() { act(); }
};

}  // namespace

FillEngine::FillEngine(Bytes index, const std::vector<ProcessId>& targets, unsigned threads, std::vector<BlobKeys> keys,
                       std::function<void()> on_change)
    : index_(read_index(index)), written_(index_.chunks.size()), queue_(std::move(keys), std::move(on_change)) {
  open_targets(targets);
  queue_.start(threads, [this](const FillJob& job, BlobReader& blobs) { write(job, blobs); });
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

void FillEngine::submit(uint64_t ticket, uint32_t number, Bytes body, const std::optional<PackChecksum>& recorded) {
  const std::string what = "pack " + std::to_string(number);
  if (chunks_of(index_, number).empty()) throw Failure("INVALID_ARGUMENT", what + " is not named by the page index");
  {
    const std::lock_guard lock(mutex_);
    if (!in_work_.insert(number).second) throw Failure("WRONG_STATE", what + " is being written already");
  }
  queue_.add({ticket, number, std::nullopt, body, recorded});
}

void FillEngine::write(const FillJob& job, BlobReader& blobs) {
  const Leaving leaving{[this, &job] {
    const std::lock_guard lock(mutex_);
    in_work_.erase(job.pack);
  }};
  const Trust trust = check_pack(job.body, job.recorded, "pack " + std::to_string(job.pack));
  for (const IndexChunk& chunk : chunks_of(index_, job.pack)) {
    queue_.check();
    const auto runs = runs_of(index_, chunk);
    const Bytes raw = blobs.read(job.body, chunk, runs, index_.page_size, trust);
    write_chunk(writers_.at(chunk.image_pid), raw, runs, index_.page_size);
    uint8_t& written = written_[static_cast<size_t>(&chunk - index_.chunks.data())];
    if (written == 0) written_pages_ += chunk.pages;
    written = 1;
  }
}

}  // namespace holdfast
