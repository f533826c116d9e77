#include "page_ledger.h"

#include <algorithm>

#include "failure.h"
#include "process_stat.h"

namespace holdfast {

std::vector<uint32_t> packs_to_rewrite(const std::map<uint32_t, PackUse>& packs, double wanted) {
  std::vector<std::pair<double, uint32_t>> by_use;
  double bytes = 0;
  double live = 0;
  for (const auto& [number, use] : packs) {
    by_use.emplace_back(static_cast<double>(use.live_bytes) / static_cast<double>(std::max<uint64_t>(use.bytes, 1)), number);
    bytes += static_cast<double>(use.bytes);
    live += static_cast<double>(use.live_bytes);
  }
  std::ranges::sort(by_use);
  std::vector<uint32_t> chosen;
  for (const auto& [ratio, number] : by_use) {
    if (live >= wanted * bytes) break;
    const PackUse& use = packs.at(number);
    bytes -= static_cast<double>(use.bytes - use.live_bytes);
    chosen.push_back(number);
  }
  return chosen;
}

void PageLedger::require_no_attempt() const {
  if (in_attempt_) throw Failure("WRONG_STATE", "a capture with this ledger is under way");
}

void PageLedger::begin() {
  require_no_attempt();
  in_attempt_ = true;
  attempt_++;
  first_pack_ = next_pack();
  for (const uint32_t pack : packs_to_rewrite(use_, kWantedLive)) packs_[pack - 1].state = PackState::Rewritten;
}

void PageLedger::commit() {
  for (uint32_t pack = 1; pack <= packs_.size(); pack++) {
    if (!use_.contains(pack)) packs_[pack - 1].state = PackState::Gone;
  }
  committed_use_ = use_;
  forget_blobs();
  in_attempt_ = false;
}

void PageLedger::rollback() {
  use_ = committed_use_;
  for (uint32_t pack = 1; pack <= packs_.size(); pack++) {
    if (pack >= first_pack_) packs_[pack - 1].state = PackState::Gone;
    else if (state(pack) == PackState::Rewritten) packs_[pack - 1].state = PackState::Kept;
  }
  // The tables may still name the blobs of the attempt: their numbers are not used again before a commit.
  in_attempt_ = false;
}

// After a commit: every page that has contents is in a pack that stays, so nothing refers to the others' blobs.
void PageLedger::forget_blobs() {
  by_contents_.clear();
  free_blobs_.clear();
  for (uint32_t i = 0; i < blobs_.size(); i++) {
    if (blobs_[i].pack == 0 || state(blobs_[i].pack) == PackState::Gone) {
      free_blobs_.push_back(i + 1);
    } else {
      by_contents_.emplace(blobs_[i].contents, i + 1);
    }
  }
}

void PageLedger::reset() {
  for (auto& [pid, space] : spaces_) space->pages.clear();
  for (Pack& pack : packs_) pack.state = PackState::Gone;
  use_.clear();
  committed_use_.clear();
  forget_blobs();
}

TrackedSpace& PageLedger::space_of(const ProcessId& process) {
  const std::string started(ProcessStat(process.pid).field(22));
  auto& space = spaces_[process.pid];
  if (!space || space->started != started) {
    space = std::make_unique<TrackedSpace>(TrackedSpace{process, started, WriteTracker(process.pid, method_), {}});
  }
  space->process = process;
  if (process.untracked && !space->untracked) {
    // Its pages have no fingerprints yet.
    space->pages.clear();
    space->untracked = true;
  }
  return *space;
}

void PageLedger::retain(const std::vector<TrackedSpace*>& spaces) {
  std::erase_if(spaces_, [&](const auto& known) {
    return std::ranges::find(spaces, known.second.get()) == spaces.end();
  });
}

void PageLedger::make_room(uint32_t pack) {
  if (packs_.size() < pack) packs_.resize(pack);
}

void PageLedger::add_pack(uint32_t number, uint64_t bytes) {
  make_room(number);
  packs_[number - 1].bytes = bytes;
}

PageEntry PageLedger::add(const Blob& blob) {
  make_room(blob.pack);
  uint32_t number;
  if (free_blobs_.empty()) {
    blobs_.push_back(blob);
    number = static_cast<uint32_t>(blobs_.size());
  } else {
    number = free_blobs_.back();
    free_blobs_.pop_back();
    blobs_[number - 1] = blob;
  }
  by_contents_.insert_or_assign(blob.contents, number);
  return {number, 0};
}

uint32_t PageLedger::kept(const Sha256& contents) const {
  const auto found = by_contents_.find(contents);
  if (found == by_contents_.end()) return 0;
  const Blob& known = blob(found->second);
  return known.contents == contents && state(known.pack) == PackState::Kept ? found->second : 0;
}

std::optional<PageEntry> PageLedger::find(const Sha256& contents, uint32_t pages) const {
  const uint32_t number = kept(contents);
  if (number == 0 || blob(number).pages != pages) return std::nullopt;
  return PageEntry{number, 0};
}

uint32_t PageLedger::add_stored_pack(uint64_t bytes) {
  require_no_attempt();
  const uint32_t number = next_pack();
  add_pack(number, bytes);
  first_pack_ = next_pack();  // no attempt's, also when none begins before the next rollback
  return number;
}

void PageLedger::learn(const std::vector<Blob>& blobs) {
  require_no_attempt();
  for (const Blob& blob : blobs) {
    // An index that does not name the end of a blob tells too few pages of it: then another one's word counts.
    const uint32_t number = kept(blob.contents);
    if (number == 0 || this->blob(number).pages < blob.pages) add(blob);
  }
}

PageEntry PageLedger::entry(const TrackedSpace& space, uint64_t address) const {
  const PageEntry entry = space.pages.get(address);
  if (entry == kPageUnknown || entry == kPageZero) return entry;
  return state(blob(entry.blob).pack) == PackState::Kept ? entry : kPageUnknown;
}

}  // namespace holdfast
