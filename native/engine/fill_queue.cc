#include "fill_queue.h"

#include <string>
#include <utility>

namespace holdfast {

namespace {

Failure closed() { return Failure("ABORTED", "the fill was closed"); }

}  // namespace

void FillQueue::start(unsigned threads, Write write) {
  threads_.start(threads, "hf-fill", [this, write = std::move(write)] { run(write); });
}

void FillQueue::add(const FillJob& job) {
  const std::lock_guard lock(mutex_);
  // Somebody waits for a single chunk.
  if (job.chunk) jobs_.push_front(job);
  else jobs_.push_back(job);
  changed_.notify_one();
}

void FillQueue::run(const Write& write) {
  BlobReader blobs(keys_);
  for (;;) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return stopped_ || !jobs_.empty(); });
    if (stopped_) return;
    const FillJob job = jobs_.front();
    jobs_.pop_front();
    lock.unlock();
    try {
      write(job, blobs);
      finish(job, std::nullopt);
    } catch (const Failure& failure) {
      finish(job, failure);
    } catch (const std::exception& error) {
      finish(job, Failure("INTERNAL", "pack " + std::to_string(job.pack) + ": " + error.what()));
    }
  }
}

void FillQueue::finish(const FillJob& job, std::optional<Failure> failure) {
  {
    const std::lock_guard lock(mutex_);
    results_.push_back({job.ticket, std::move(failure)});
  }
  on_change_();
}

std::vector<FillResult> FillQueue::take_results() {
  const std::lock_guard lock(mutex_);
  return std::exchange(results_, {});
}

void FillQueue::check() const {
  if (stopped_) throw closed();
}

void FillQueue::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    changed_.notify_all();
  }
  threads_.join();
  const std::lock_guard lock(mutex_);
  for (const FillJob& job : jobs_) results_.push_back({job.ticket, closed()});
  jobs_.clear();
}

}  // namespace holdfast
