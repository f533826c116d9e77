#include "page_work.h"

#include <algorithm>

namespace holdfast {

bool PageWork::joins(const Batch& batch, const StaleRun& run) const {
  if (batch.pages == 0) return true;
  return run.space == batch.space && run.kind == batch.kind && run.huge_tlb == batch.huge_tlb && pids_[next_] == batch.pid && taken_ == 0 &&
         run.run.pages < batch_pages_;
}

Batch PageWork::take() {
  Batch batch{};
  while (!empty() && batch.pages < batch_pages_ && joins(batch, runs_[next_])) {
    const StaleRun& from = runs_[next_];
    batch.pid = pids_[next_];
    batch.space = from.space;
    batch.kind = from.kind;
    batch.huge_tlb = from.huge_tlb;
    const uint64_t pages = std::min<uint64_t>(from.run.pages - taken_, batch_pages_ - batch.pages);
    batch.runs.push_back({from.run.address + taken_ * page_size(), pages});
    batch.pages += pages;
    taken_ += pages;
    if (taken_ == from.run.pages) {
      next_++;
      taken_ = 0;
    }
  }
  return batch;
}

}  // namespace holdfast
