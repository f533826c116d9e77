// The memory of one recorded process while it is filled: of the restored process itself, and of its children since.
#pragma once

#include <list>
#include <mutex>
#include <set>
#include <shared_mutex>
#include <vector>

#include "lazy_addresses.h"
#include "page_index.h"
#include "process_memory.h"
#include "userfault.h"

namespace holdfast {

// What a look at the events or a filled chunk has brought up; the caller acts on it.
struct LazyNews {
  std::vector<uint32_t> wanted;  // chunks that a thread waits for, each once
  std::vector<int> forked;       // userfaultfds of new children, which belong to this memory
};

// A map that the process's userfaultfd covers.
struct ServedMap {
  uint64_t start;
  uint64_t end;
  // To be filled before the process runs: the stack, which holds what ps(1) reads and would wait for, and maps of which a
  // child inherits nothing (MADV_WIPEONFORK), also not what is missing.
  bool early;
};

class LazyMemory {
 public:
  LazyMemory(const PageIndex& index, uint32_t image_pid);

  uint32_t image_pid() const { return image_pid_; }
  const std::vector<uint32_t>& chunks() const { return chunks_; }

  // From now on the faults of the process are ours to serve. Its events come by handle().
  void add(File userfault);

  // Reads what the process's userfaultfd has to tell.
  void handle(int userfault, LazyNews& news);

  // The process is complete and stopped. Returns the chunks that must be filled before it runs: those with pages where
  // its userfaultfd does not see them missing, and those of early maps.
  std::vector<uint32_t> gate(std::vector<ServedMap> served, ProcessWriter writer);

  // Puts a chunk's pages where they are missing. Any number of threads. Returns how many pages are there for the first time.
  uint64_t fill(uint32_t chunk, Bytes raw, LazyNews& news);

  bool is_done(uint32_t chunk);
  // Whether anybody is left who could miss a page.
  bool is_over();
  uint64_t pages() const { return pages_; }

  // Gives the processes their memory: what is missing from now on is zero.
  void release();

 private:
  enum class State : uint8_t { Missing, Wanted, Done };
  struct Process {
    Userfault userfault;
    LazyAddresses addresses;
    bool gone = false;
  };
  enum class Outcome { Filled, Changing, Gone };

  void read_events(Process& process, LazyNews& news);
  void on_event(Process& process, const uffd_msg& event, LazyNews& news);
  void on_fault(Process& process, uint64_t address, LazyNews& news);
  void put_zeros(Process& process, uint64_t address);
  const IndexRun* run_of(uint64_t original, uint32_t& chunk) const;
  Process* process_at(size_t position);
  Outcome fill_process(const Process& process, const IndexChunk& chunk, Bytes raw) const;
  Outcome fill_processes(size_t& position, const IndexChunk& chunk, Bytes raw);
  uint64_t finish(uint32_t chunk);
  Outcome copy(const Process& process, uint64_t address, const std::byte* from, uint64_t length) const;
  void fill_unserved(const IndexChunk& chunk, Bytes raw) const;
  const ServedMap* served_map(uint64_t address) const;
  State& state_of(uint32_t chunk);

  struct Place {
    uint64_t address;
    uint32_t chunk;
    size_t run;
  };

  const PageIndex& index_;
  const uint32_t image_pid_;
  std::vector<uint32_t> chunks_;  // of this process, ascending
  std::vector<Place> places_;     // its runs by address
  uint64_t pages_ = 0;
  // Guards what follows. Shared while pages are put, alone to change anything: so between the reading of an event and what it
  // changes no page is put.
  std::shared_mutex mutex_;
  std::vector<State> states_;  // by position in chunks_
  size_t missing_;             // chunks that are not Done
  std::set<uint32_t> unserved_;  // chunks with pages that no userfaultfd covers, until they are filled
  std::vector<ServedMap> served_;
  std::optional<ProcessWriter> writer_;
  std::list<Process> processes_;
};

}  // namespace holdfast
