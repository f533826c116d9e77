#include "survey.h"

#include <algorithm>
#include <string_view>

#include "failure.h"
#include "process_stat.h"

namespace holdfast {

namespace {

// A zombie has no memory left; its exit status is CRIU's to carry.
bool is_zombie(int pid) {
  const ProcessStat stat(pid);
  return stat.field(3) == "Z" || stat.field(3) == "X";
}

void append(std::vector<PageRun>& runs, const PageRun& run) {
  if (!runs.empty() && runs.back().address + runs.back().pages * page_size() == run.address) {
    runs.back().pages += run.pages;
  } else {
    runs.push_back(run);
  }
}

class Surveyor {
 public:
  Surveyor(PageLedger& ledger, const SurveyOptions& options)
      : ledger_(ledger), frozen_(options.frozen()), scan_method_(options.scan_method), owners_(options.left_out) {}

  void look_at(const ProcessId& process) {
    if (is_zombie(process.pid)) {
      result_.spaces.push_back({nullptr, process.image_pid, {}});
      return;
    }
    TrackedSpace& space = ledger_.space_of(process);
    const size_t first = result_.stale.size();
    const uint64_t known_before = result_.present_pages - result_.stale_pages;
    if (!frozen_) space.tracker.arm();
    const std::string text = read_proc(process.pid, "maps");
    const auto maps = parse_private_maps(text);
    SurveyedSpace found{&space, process.image_pid, {}};
    found.maps.reserve(maps.size());
    space.tracker.scan(maps, look_of(space), scan_method_, [&](const MemoryMap& map) {
      SurveyedMap& entered = found.maps.emplace_back(SurveyedMap{map, {}});
      return [this, &space, &entered](const PageRun& run, bool unwritten) { note(space, entered, run, unwritten); };
    });
    look_at_segments(process.pid, text, found);
    std::ranges::sort(found.maps, {}, [](const SurveyedMap& one) { return one.map.start; });
    const bool whole = result_.present_pages - result_.stale_pages == known_before;
    for (size_t i = first; i < result_.stale.size(); i++) result_.stale[i].whole = whole;
    if (!frozen_) space.looked_at = ledger_.attempt();
    result_.spaces.push_back(std::move(found));
  }

  Survey take() {
    owners_.check_complete();
    return std::move(result_);
  }

 private:
  // Whether a round of this attempt has looked at the space.
  bool was_looked_at(const TrackedSpace& space) const { return space.looked_at == ledger_.attempt(); }

  Look look_of(const TrackedSpace& space) const {
    if (!frozen_) return Look::WhileItRuns;
    return was_looked_at(space) ? Look::FrozenAfterRound : Look::Frozen;
  }

  // Who else writes to shared memory, and how, no page table of this process tells: all of it is read, and compared with what
  // was read before.
  void look_at_segments(int pid, std::string_view maps, SurveyedSpace& found) {
    for (const SegmentMap& shared : parse_segment_maps(maps, segment_device())) {
      if (!owners_.is_ours(shared.segment)) continue;
      SurveyedMap entered{shared.map, {}};
      for (const PageRun& run : claim(pid, shared)) note(*found.space, entered, run, false);
      found.maps.push_back(std::move(entered));
    }
  }

  std::vector<PageRun> claim(int pid, const SegmentMap& shared) {
    try {
      return owners_.claim(pid, shared);
    } catch (const Failure&) {
      if (frozen_) throw;
      return {};  // unmapped meanwhile: the hold will tell
    }
  }

  void note(TrackedSpace& space, SurveyedMap& map, const PageRun& run, bool unwritten) {
    append(map.present, run);
    result_.present_pages += run.pages;
    const bool compared = space.is_compared(map.map.kind, map.map.huge_tlb);
    if (!unwritten || (frozen_ && compared)) {
      stale(space, map.map, run);
      // Else the fingerprints tell, once the pages have been read.
      if (!compared) space.pages.forget(run.address, run.pages);
      return;
    }
    // A round of this attempt has found what was not known, and stored it: the hold does not go through all pages for it
    // again. Should one be missing all the same, there will be no index (M4).
    if (frozen_ && was_looked_at(space) && map.map.kind == MapKind::Anonymous) return;
    ledger_.visit(space, run, [&](uint64_t address, PageEntry entry) {
      // Zeros were noted while another map was there, if they are noted in a map that shows a file.
      const bool isKnown = entry != kPageUnknown && (entry != kPageZero || map.map.kind == MapKind::Anonymous);
      if (!isKnown) stale(space, map.map, {address, 1});
    });
  }

  void stale(TrackedSpace& space, const MemoryMap& map, const PageRun& run) {
    result_.stale_pages += run.pages;
    auto& runs = result_.stale;
    if (!runs.empty() && runs.back().space == &space && runs.back().map_start == map.start &&
        runs.back().run.address + runs.back().run.pages * page_size() == run.address) {
      runs.back().run.pages += run.pages;
    } else {
      runs.push_back({&space, map.start, map.kind, map.huge_tlb, run});
    }
  }

  PageLedger& ledger_;
  const bool frozen_;
  const ScanMethod scan_method_;
  SegmentOwners owners_;
  Survey result_;
};

}  // namespace

Survey survey(PageLedger& ledger, const std::vector<ProcessId>& processes, const SurveyOptions& options) {
  const std::lock_guard lock(ledger.mutex);
  Surveyor surveyor(ledger, options);
  for (const ProcessId& process : distinct_address_spaces(processes)) {
    try {
      surveyor.look_at(process);
    } catch (const Failure& failure) {
      if (options.frozen() || std::string_view(failure.code) != "NOT_FOUND") throw;
    }
  }
  return surveyor.take();
}

}  // namespace holdfast
