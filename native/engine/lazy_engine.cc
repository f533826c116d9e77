#include "lazy_engine.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>

#include "format_errors.h"
#include "served_maps.h"

namespace holdfast {

LazyEngine::LazyEngine(Bytes index, unsigned threads, std::vector<BlobKeys> keys, std::function<void()> on_change)
    : index_(read_index(index)),
      on_change_(std::move(on_change)),
      poll_(::epoll_create1(EPOLL_CLOEXEC)),
      stop_event_(::eventfd(0, EFD_CLOEXEC)),
      queue_(std::move(keys), on_change_) {
  if (poll_.fd() < 0 || stop_event_.fd() < 0) throw Failure("LIMIT_EXCEEDED", "the lazy fill has no descriptors");
  for (const uint32_t image_pid : index_.image_pids) {
    memories_.try_emplace(image_pid, index_, image_pid);
  }
  epoll_event event{.events = EPOLLIN, .data = {.fd = stop_event_.fd()}};
  ::epoll_ctl(poll_.fd(), EPOLL_CTL_ADD, stop_event_.fd(), &event);
  try {
    server_.start(1, "hf-lazy", [this] { serve(); });
    queue_.start(threads, [this](const FillJob& job, BlobReader& blobs) { write(job, blobs); });
  } catch (...) {
    stop();
    throw;
  }
}

LazyMemory& LazyEngine::memory_of(uint32_t image_pid) {
  const auto found = memories_.find(image_pid);
  if (found == memories_.end())
    throw Failure("NOT_FOUND", "process " + std::to_string(image_pid) + " is not in the page index");
  return found->second;
}

const IndexChunk& LazyEngine::chunk(uint32_t number) const {
  if (number >= index_.chunks.size()) throw Failure("INVALID_ARGUMENT", "there is no chunk " + std::to_string(number));
  return index_.chunks[number];
}

void LazyEngine::take(uint32_t image_pid, int holder_pid, int holder_fd) {
  LazyMemory& memory = memory_of(image_pid);
  File taken = take_descriptor(holder_pid, holder_fd);
  const int userfault = taken.fd();
  memory.add(std::move(taken));
  watch(memory, userfault);
}

void LazyEngine::watch(LazyMemory& memory, int userfault) {
  {
    const std::lock_guard lock(mutex_);
    watched_[userfault] = &memory;
  }
  epoll_event event{.events = EPOLLIN, .data = {.fd = userfault}};
  if (::epoll_ctl(poll_.fd(), EPOLL_CTL_ADD, userfault, &event) < 0)
    throw Failure("LIMIT_EXCEEDED", "the lazy fill cannot watch another process: " + describe_errno(errno));
}

std::vector<uint32_t> LazyEngine::gate(const std::vector<ProcessId>& targets) {
  std::vector<uint32_t> needed;
  for (auto& [image_pid, memory] : memories_) {
    if (memory.chunks().empty()) continue;
    const auto target = std::ranges::find(targets, image_pid, &ProcessId::image_pid);
    if (target == targets.end())
      throw Failure("NOT_FOUND", "process " + std::to_string(image_pid) + " of the page index has no restored process");
    const auto chunks = memory.gate(parse_served_maps(read_proc(target->pid, "smaps")), ProcessWriter(target->pid));
    needed.insert(needed.end(), chunks.begin(), chunks.end());
  }
  return needed;
}

void LazyEngine::serve() {
  std::array<epoll_event, 16> events;
  while (!stopped_) {
    const int count = ::epoll_wait(poll_.fd(), events.data(), events.size(), -1);
    for (int i = 0; i < count && !stopped_; i++) {
      LazyMemory* memory;
      {
        const std::lock_guard lock(mutex_);
        const auto found = watched_.find(events[i].data.fd);
        memory = found == watched_.end() ? nullptr : found->second;
      }
      if (!memory) continue;
      LazyNews news;
      memory->handle(events[i].data.fd, news);
      // An error is for ever (its process is gone): it would be reported again and again.
      if (events[i].events & (EPOLLERR | EPOLLHUP))
        ::epoll_ctl(poll_.fd(), EPOLL_CTL_DEL, events[i].data.fd, nullptr);
      spread(*memory, std::move(news));
    }
  }
}

void LazyEngine::spread(LazyMemory& memory, LazyNews&& news) {
  if (news.wanted.empty() && news.forked.empty()) return;
  for (const int child : news.forked) watch(memory, child);
  {
    const std::lock_guard lock(mutex_);
    news_.wanted.insert(news_.wanted.end(), news.wanted.begin(), news.wanted.end());
    news_.forked.insert(news_.forked.end(), news.forked.begin(), news.forked.end());
  }
  on_change_();
}

LazyNews LazyEngine::take_news() {
  const std::lock_guard lock(mutex_);
  return std::exchange(news_, {});
}

void LazyEngine::submit_chunk(uint64_t ticket, uint32_t number, Bytes blob) {
  queue_.add({ticket, chunk(number).pack, number, blob, {}});
}

void LazyEngine::submit_pack(uint64_t ticket, uint32_t number, Bytes pack, const std::optional<PackChecksum>& recorded) {
  queue_.add({ticket, number, std::nullopt, pack, recorded});
}

void LazyEngine::write(const FillJob& job, BlobReader& blobs) {
  if (job.chunk) {
    const IndexChunk& entry = index_.chunks[*job.chunk];
    fill(*job.chunk, blobs.read_blob(job.body, entry, runs_of(index_, entry), index_.page_size));
    return;
  }
  const Trust trust = check_pack(job.body, job.recorded, "pack " + std::to_string(job.pack));
  for (const IndexChunk& entry : chunks_of(index_, job.pack)) {
    queue_.check();
    if (!is_missing(entry)) continue;
    const auto number = static_cast<uint32_t>(&entry - index_.chunks.data());
    fill(number, blobs.read(job.body, entry, runs_of(index_, entry), index_.page_size, trust));
  }
}

void LazyEngine::fill(uint32_t number, Bytes raw) {
  LazyMemory& memory = memory_of(index_.chunks[number].image_pid);
  LazyNews news;
  resident_pages_ += memory.fill(number, raw, news);
  spread(memory, std::move(news));
}

std::vector<uint32_t> LazyEngine::missing_packs() {
  std::vector<uint32_t> packs;
  for (const IndexChunk& entry : index_.chunks) {
    if ((packs.empty() || packs.back() != entry.pack) && is_missing(entry)) packs.push_back(entry.pack);
  }
  return packs;
}

bool LazyEngine::is_missing(const IndexChunk& chunk) {
  LazyMemory& memory = memory_of(chunk.image_pid);
  return !memory.is_over() && !memory.is_done(static_cast<uint32_t>(&chunk - index_.chunks.data()));
}

bool LazyEngine::is_missing(uint32_t pack) {
  return std::ranges::any_of(chunks_of(index_, pack), [this](const IndexChunk& chunk) { return is_missing(chunk); });
}

bool LazyEngine::is_complete() {
  return std::ranges::all_of(memories_, [](auto& entry) { return entry.second.is_over(); });
}

void LazyEngine::stop() {
  stopped_ = true;
  const uint64_t one = 1;
  if (stop_event_.fd() >= 0 && ::write(stop_event_.fd(), &one, sizeof one) < 0) return;
  queue_.stop();
  server_.join();
  for (auto& [_, memory] : memories_) memory.release();
}

}  // namespace holdfast
