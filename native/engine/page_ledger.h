// What is known of the memory of one tree between its generations: which pages are tracked, and where the contents of
// each were stored last. A capture writes into it; the end of the attempt decides what stays.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "address_spaces.h"
#include "page_table.h"
#include "sha256.h"
#include "write_tracker.h"

namespace holdfast {

struct Blob {
  uint32_t pack;  // in the ledger's numbering, which never repeats
  uint64_t offset;
  uint32_t length;  // with its header
  uint32_t pages;
  Sha256 contents;
};

struct TrackedSpace {
  ProcessId process;
  std::string started;  // start time of the process
  WriteTracker tracker;
  PageTable pages;
  uint64_t looked_at = 0;  // the attempt of the last survey while it ran
  bool untracked = false;  // once it was said of the process, for ever

  // Whether what was read is compared with what is stored, by fingerprints, since the kernel's word is not enough, or not asked for
  // (can_be_tracked). Who writes to shared memory, and how, no process's page tables tell.
  bool is_compared(MapKind kind, bool huge_tlb) const {
    return untracked || !can_be_tracked(kind, huge_tlb) || tracker.method() == TrackMethod::Fingerprint;
  }
};

// Bytes of the packs that the last index named, and of the blobs' parts in them that it needed.
struct PackUse {
  uint64_t bytes = 0;
  uint64_t live_bytes = 0;
};

// Below it, packs are rewritten: the promise is 0.6, and the next generations take their part, too.
constexpr double kWantedLive = 0.65;

// The packs whose live contents should be stored anew, so that of all bytes that are then kept at least `wanted` (0..1)
// are live: those with the smallest live part first.
std::vector<uint32_t> packs_to_rewrite(const std::map<uint32_t, PackUse>& packs, double wanted);

class PageLedger {
 public:
  explicit PageLedger(std::optional<TrackMethod> method) : method_(method.value_or(probe_track_method())) {}

  // Guards everything below; taken by the callers.
  std::mutex mutex;

  // An attempt at a generation: everything it adds is kept by commit() and taken back by rollback(). WRONG_STATE when
  // one is under way.
  void begin();
  void commit();
  void rollback();
  bool in_attempt() const { return in_attempt_; }
  // Which attempt it is; never repeats.
  uint64_t attempt() const { return attempt_; }

  // Forgets all contents: the next capture stores every page.
  void reset();

  // The space of a process; a new one when the process is not the one that was known under its pid.
  TrackedSpace& space_of(const ProcessId& process);
  // Forgets all others.
  void retain(const std::vector<TrackedSpace*>& spaces);
  const std::map<int, std::unique_ptr<TrackedSpace>>& spaces() const { return spaces_; }

  uint32_t next_pack() { return static_cast<uint32_t>(packs_.size()) + 1; }
  // A pack that was sealed.
  void add_pack(uint32_t number, uint64_t bytes);
  uint64_t pack_bytes(uint32_t number) const { return packs_[number - 1].bytes; }

  PageEntry add(const Blob& blob);
  // Between attempts, else WRONG_STATE: a pack that is stored already, and what such packs hold. Pages stay unknown (M7).
  uint32_t add_stored_pack(uint64_t bytes);
  void learn(const std::vector<Blob>& blobs);
  // Contents that are stored already, and stay.
  std::optional<PageEntry> find(const Sha256& contents, uint32_t pages) const;
  const Blob& blob(uint32_t number) const { return blobs_[number - 1]; }
  // What the table says, unless its pack is not one to rely on.
  PageEntry entry(const TrackedSpace& space, uint64_t address) const;

  // Calls visit(address, entry) for every page of the run, as entry() would say.
  template <typename Visit>
  void visit(const TrackedSpace& space, const PageRun& run, Visit visit) const {
    uint32_t last = 0;
    bool kept = false;
    space.pages.visit(run, [&](uint64_t address, PageEntry entry) {
      if (entry.blob != last) {
        last = entry.blob;
        const bool stored = entry != kPageUnknown && entry != kPageZero;
        kept = !stored || state(blob(entry.blob).pack) == PackState::Kept;
      }
      visit(address, kept ? entry : kPageUnknown);
    });
  }

  // What the index of the attempt named; rollback() brings back what the committed one named.
  void set_use(std::map<uint32_t, PackUse> use) { use_ = std::move(use); }
  const std::map<uint32_t, PackUse>& use() const { return use_; }

 private:
  enum class PackState : uint8_t { Kept, Rewritten, Gone };

  struct Pack {
    PackState state = PackState::Kept;
    uint64_t bytes = 0;
  };

  PackState state(uint32_t pack) const { return packs_[pack - 1].state; }
  // The blob with these contents; 0: none that stays.
  uint32_t kept(const Sha256& contents) const;
  void require_no_attempt() const;
  void make_room(uint32_t pack);
  void forget_blobs();

  const TrackMethod method_;
  bool in_attempt_ = false;
  uint64_t attempt_ = 0;
  uint32_t first_pack_ = 1;  // of the attempt
  std::map<int, std::unique_ptr<TrackedSpace>> spaces_;  // by pid
  std::vector<Pack> packs_;
  std::vector<Blob> blobs_;
  std::vector<uint32_t> free_blobs_;
  std::map<Sha256, uint32_t> by_contents_;
  std::map<uint32_t, PackUse> use_;
  std::map<uint32_t, PackUse> committed_use_;
};

}  // namespace holdfast
