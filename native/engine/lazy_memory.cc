#include "lazy_memory.h"

#include <sched.h>

#include <algorithm>
#include <cerrno>

#include "failure.h"

namespace holdfast {

namespace {

// A fault in a region without recorded pages is likely one of many: the kernel's zero page costs no memory.
constexpr uint64_t kZeroPages = 32;

}  // namespace

LazyMemory::LazyMemory(const PageIndex& index, uint32_t image_pid) : index_(index), image_pid_(image_pid) {
  for (uint32_t i = 0; i < index.chunks.size(); i++) {
    const IndexChunk& chunk = index.chunks[i];
    if (chunk.image_pid != image_pid) continue;
    chunks_.push_back(i);
    pages_ += chunk.pages;
    for (size_t run = chunk.first_run; run < chunk.first_run + chunk.run_count; run++) {
      places_.push_back({index.runs[run].address, i, run});
    }
  }
  std::ranges::sort(places_, {}, &Place::address);
  states_.assign(chunks_.size(), State::Missing);
  missing_ = chunks_.size();
}

LazyMemory::State& LazyMemory::state_of(uint32_t chunk) {
  return states_[static_cast<size_t>(std::ranges::lower_bound(chunks_, chunk) - chunks_.begin())];
}

const IndexRun* LazyMemory::run_of(uint64_t original, uint32_t& chunk) const {
  auto place = std::ranges::upper_bound(places_, original, {}, &Place::address);
  if (place == places_.begin()) return nullptr;
  --place;
  const IndexRun& run = index_.runs[place->run];
  if (original - run.address >= uint64_t{run.pages} * index_.page_size) return nullptr;
  chunk = place->chunk;
  return &run;
}

void LazyMemory::add(File userfault) {
  const std::unique_lock lock(mutex_);
  processes_.push_back({Userfault(std::move(userfault)), {}});
}

void LazyMemory::handle(int userfault, LazyNews& news) {
  const std::unique_lock lock(mutex_);
  const auto process = std::ranges::find(processes_, userfault, [](const Process& one) { return one.userfault.fd(); });
  if (process != processes_.end()) read_events(*process, news);
}

void LazyMemory::read_events(Process& process, LazyNews& news) {
  while (const auto event = process.userfault.next_event()) on_event(process, *event, news);
}

void LazyMemory::on_event(Process& process, const uffd_msg& event, LazyNews& news) {
  const auto& arg = event.arg;
  switch (event.event) {
    case UFFD_EVENT_PAGEFAULT:
      on_fault(process, arg.pagefault.address & ~uint64_t{index_.page_size - 1}, news);
      break;
    case UFFD_EVENT_FORK: {
      const int child = static_cast<int>(arg.fork.ufd);
      // What is there already the child has inherited; of the rest it misses what its parent misses.
      processes_.push_back({Userfault(File(child)), process.addresses});
      news.forked.push_back(child);
      break;
    }
    case UFFD_EVENT_REMAP:
      process.addresses.move(arg.remap.from, arg.remap.to, arg.remap.len);
      break;
    case UFFD_EVENT_REMOVE:
    case UFFD_EVENT_UNMAP:
      process.addresses.drop(arg.remove.start, arg.remove.end - arg.remove.start);
      break;
    default:
      break;
  }
}

void LazyMemory::on_fault(Process& process, uint64_t address, LazyNews& news) {
  uint32_t chunk = 0;
  const auto original = process.addresses.original_of(address);
  if (!original || !run_of(*original, chunk)) {
    put_zeros(process, address);
    return;
  }
  State& state = state_of(chunk);
  if (state == State::Done) {
    // It was filled while the fault was on its way, or the kernel drops the page in a child (MADV_WIPEONFORK).
    if (process.userfault.zero(address, index_.page_size).error == EEXIST)
      process.userfault.wake(address, index_.page_size);
  } else if (state == State::Missing) {
    state = State::Wanted;
    news.wanted.push_back(chunk);
  }
}

void LazyMemory::put_zeros(Process& process, uint64_t address) {
  const uint64_t page = index_.page_size;
  uint64_t pages = 1;
  uint32_t chunk = 0;
  for (; pages < kZeroPages; pages++) {
    const auto original = process.addresses.original_of(address + pages * page);
    if (!original || run_of(*original, chunk)) break;
  }
  // A range that is not one map, or not all missing, is refused; the page itself is not.
  if (process.userfault.zero(address, pages * page).bytes > 0) return;
  const int error = process.userfault.zero(address, page).error;
  // While the process changes its maps the thread has to look again. It then faults again.
  if (error != 0) process.userfault.wake(address, page);
}

std::vector<uint32_t> LazyMemory::gate(std::vector<ServedMap> served, ProcessWriter writer) {
  const std::unique_lock lock(mutex_);
  served_ = std::move(served);
  writer_.emplace(std::move(writer));
  std::set<uint32_t> needed;
  for (const Place& place : places_) {
    const IndexRun& run = index_.runs[place.run];
    for (uint64_t i = 0; i < run.pages; i++) {
      const ServedMap* map = served_map(run.address + i * index_.page_size);
      if (map && !map->early) continue;
      needed.insert(place.chunk);
      if (!map) unserved_.insert(place.chunk);
    }
  }
  for (const uint32_t chunk : needed) {
    State& state = state_of(chunk);
    if (state == State::Missing) state = State::Wanted;
  }
  return {needed.begin(), needed.end()};
}

const ServedMap* LazyMemory::served_map(uint64_t address) const {
  auto map = std::ranges::upper_bound(served_, address, {}, &ServedMap::start);
  if (map == served_.begin()) return nullptr;
  --map;
  return address < map->end ? &*map : nullptr;
}

uint64_t LazyMemory::fill(uint32_t chunk, Bytes raw, LazyNews& news) {
  const IndexChunk& entry = index_.chunks[chunk];
  {
    const std::shared_lock lock(mutex_);
    // It is erased alone: who finds it here writes before the process runs.
    if (unserved_.contains(chunk)) fill_unserved(entry, raw);
  }
  for (size_t position = 0;;) {
    const Outcome outcome = fill_processes(position, entry, raw);
    {
      const std::unique_lock lock(mutex_);
      Process* process = process_at(position);
      // A fork in between adds a process to the end, which therefore gets the chunk, too.
      if (!process) return finish(chunk);
      if (outcome == Outcome::Gone) process->gone = true;
      // It is in the middle of a fork, mremap or madvise, which waits for us to read of it.
      if (outcome == Outcome::Changing) read_events(*process, news);
    }
    if (outcome == Outcome::Changing) ::sched_yield();
  }
}

LazyMemory::Process* LazyMemory::process_at(size_t position) {
  return position < processes_.size() ? &*std::next(processes_.begin(), static_cast<ptrdiff_t>(position)) : nullptr;
}

// Stops at the first one that cannot be filled now, and at the end.
LazyMemory::Outcome LazyMemory::fill_processes(size_t& position, const IndexChunk& chunk, Bytes raw) {
  const std::shared_lock lock(mutex_);
  for (; const Process* process = process_at(position); position++) {
    const Outcome outcome = process->gone ? Outcome::Filled : fill_process(*process, chunk, raw);
    if (outcome != Outcome::Filled) return outcome;
  }
  return Outcome::Filled;
}

uint64_t LazyMemory::finish(uint32_t chunk) {
  unserved_.erase(chunk);
  State& state = state_of(chunk);
  if (state == State::Done) return 0;
  state = State::Done;
  missing_--;
  return index_.chunks[chunk].pages;
}

LazyMemory::Outcome LazyMemory::fill_process(const Process& process, const IndexChunk& chunk, Bytes raw) const {
  for (size_t i = chunk.first_run; i < chunk.first_run + chunk.run_count; i++) {
    const IndexRun& run = index_.runs[i];
    const uint64_t length = uint64_t{run.pages} * index_.page_size;
    const std::byte* pages = raw.data() + size_t{run.slot} * index_.page_size;
    for (const AddressPiece& piece : process.addresses.pieces_of(run.address, length)) {
      const Outcome outcome = copy(process, piece.address, pages + (piece.original - run.address), piece.length);
      if (outcome != Outcome::Filled) return outcome;
    }
  }
  return Outcome::Filled;
}

LazyMemory::Outcome LazyMemory::copy(const Process& process, uint64_t address, const std::byte* from,
                                     uint64_t length) const {
  while (length > 0) {
    auto [bytes, error] = process.userfault.copy(address, from, length);
    switch (error) {
      case 0:
        break;
      case EEXIST:
        bytes = index_.page_size;
        break;
      case EAGAIN:
        return Outcome::Changing;
      case ESRCH:
        return Outcome::Gone;
      case ENOENT:
        // Not in one map that is ours: the parts may be.
        if (length > index_.page_size) {
          const uint64_t half = length / 2 & ~uint64_t{index_.page_size - 1};
          const Outcome outcome = copy(process, address, from, half);
          if (outcome != Outcome::Filled) return outcome;
          bytes = half;
        } else {
          bytes = length;
        }
        break;
      default:
        throw Failure("INTERNAL", "page " + hex(address) + " of a restored process cannot be filled: " + describe_errno(error));
    }
    address += bytes;
    from += bytes;
    length -= bytes;
  }
  return Outcome::Filled;
}

void LazyMemory::fill_unserved(const IndexChunk& chunk, Bytes raw) const {
  for (size_t i = chunk.first_run; i < chunk.first_run + chunk.run_count; i++) {
    const IndexRun& run = index_.runs[i];
    uint64_t page = 0;
    while (page < run.pages) {
      const bool served = served_map(run.address + page * index_.page_size);
      uint64_t end = page + 1;
      while (end < run.pages && (served_map(run.address + end * index_.page_size) != nullptr) == served) end++;
      if (!served) {
        writer_->write(run.address + page * index_.page_size, raw.data() + (run.slot + page) * index_.page_size,
                       (end - page) * index_.page_size);
      }
      page = end;
    }
  }
}

bool LazyMemory::is_done(uint32_t chunk) {
  const std::unique_lock lock(mutex_);
  return state_of(chunk) == State::Done;
}

bool LazyMemory::is_over() {
  const std::unique_lock lock(mutex_);
  if (missing_ == 0 && unserved_.empty()) return true;
  return writer_ && std::ranges::all_of(processes_, &Process::gone);
}

void LazyMemory::release() {
  const std::unique_lock lock(mutex_);
  processes_.clear();
}

}  // namespace holdfast
