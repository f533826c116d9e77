#include "page_work.h"

#include <algorithm>

namespace holdfast {

PageWork::Window PageWork::window_of(const StaleRun& run, uint64_t address) const {
  return {run.map_start, (address - run.map_start) / page_size() / batch_pages_};
}

PageRun PageWork::next_piece() const {
  const StaleRun& from = runs_[next_];
  const uint64_t address = from.run.address + taken_ * page_size();
  const uint64_t before = (address - from.map_start) / page_size() % batch_pages_;
  return {address, std::min(from.run.pages - taken_, batch_pages_ - before)};
}

bool PageWork::joins(const Batch& batch, const Window& window, const PageRun& piece) const {
  const StaleRun& run = runs_[next_];
  if (run.space != batch.space || run.kind != batch.kind || run.huge_tlb != batch.huge_tlb || pids_[next_] != batch.pid) return false;
  if (batch.pages + piece.pages > batch_pages_) return false;
  return window_of(run, piece.address) == window || (!run.whole && piece.pages < batch_pages_);
}

Batch PageWork::take() {
  Batch batch{};
  Window window{};
  while (!empty()) {
    const StaleRun& from = runs_[next_];
    const PageRun piece = next_piece();
    if (batch.pages > 0 && !joins(batch, window, piece)) break;
    window = window_of(from, piece.address);
    batch.pid = pids_[next_];
    batch.space = from.space;
    batch.kind = from.kind;
    batch.huge_tlb = from.huge_tlb;
    batch.runs.push_back(piece);
    batch.pages += piece.pages;
    taken_ += piece.pages;
    if (taken_ == from.run.pages) {
      next_++;
      taken_ = 0;
    }
  }
  return batch;
}

}  // namespace holdfast
