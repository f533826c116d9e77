#include "pack_writer.h"

#include <algorithm>
#include <cstring>

#include "pack_format.h"

namespace holdfast {

PackWriter::PackWriter(size_t pack_bytes, uint32_t first_number, Sealed on_sealed)
    : pack_bytes_(pack_bytes), on_sealed_(std::move(on_sealed)), last_number_(first_number - 1) {}

void PackWriter::allow_buffers(size_t count) {
  const std::lock_guard lock(mutex_);
  max_buffers_ = count;
  changed_.notify_all();
}

std::optional<BlobPlace> PackWriter::append(Bytes header, Bytes stored) {
  const size_t length = header.size() + stored.size();
  std::unique_lock lock(mutex_);
  const auto pack = pack_with_room(length, lock);
  if (!pack) return std::nullopt;
  const size_t offset = pack->size;
  pack->size += length;
  pack->blobs++;
  pack->copying++;
  lock.unlock();

  std::byte* at = pack->buffer->data() + offset;
  std::memcpy(at, header.data(), header.size());
  std::memcpy(at + header.size(), stored.data(), stored.size());

  lock.lock();
  const bool last = --pack->copying == 0 && pack->full;
  lock.unlock();
  if (last) seal(*pack);
  return BlobPlace{pack->number, offset, static_cast<uint32_t>(length)};
}

std::shared_ptr<PackWriter::OpenPack> PackWriter::pack_with_room(size_t bytes, std::unique_lock<std::mutex>& lock) {
  for (;;) {
    if (stopped_) return nullptr;
    if (current_ && current_->size + bytes <= pack_bytes_) return current_;
    if (current_) {
      retire_current(lock);
    } else if (auto buffer = free_buffer()) {
      current_ = std::make_shared<OpenPack>(OpenPack{++last_number_, std::move(buffer), kPackHeaderBytes});
    } else {
      changed_.wait(lock);
    }
  }
}

std::shared_ptr<AlignedBuffer> PackWriter::free_buffer() {
  if (!free_.empty()) {
    auto buffer = std::move(free_.back());
    free_.pop_back();
    return buffer;
  }
  if (buffers_ == max_buffers_) return nullptr;
  buffers_++;
  return std::make_shared<AlignedBuffer>(pack_bytes_);
}

void PackWriter::retire_current(std::unique_lock<std::mutex>& lock) {
  const auto pack = std::move(current_);
  current_ = nullptr;
  pack->full = true;
  if (pack->copying > 0) return;  // whoever copies last seals it
  lock.unlock();
  seal(*pack);
  lock.lock();
}

void PackWriter::seal(const OpenPack& pack) {
  const auto header = encode_pack_header(pack.blobs, pack.size);
  std::ranges::copy(header, pack.buffer->data());
  const Bytes bytes(pack.buffer->data(), pack.size);
  SealedPack sealed{pack.number, pack.buffer, pack.size, sha256(bytes), xxh3(bytes)};
  {
    const std::lock_guard lock(mutex_);
    sealed_.push_back(std::move(sealed));
    sealed_bytes_ += pack.size;
  }
  on_sealed_(pack.number, pack.size);
}

void PackWriter::finish() {
  std::unique_lock lock(mutex_);
  if (current_) retire_current(lock);
}

std::optional<SealedPack> PackWriter::take() {
  const std::lock_guard lock(mutex_);
  if (sealed_.empty()) return std::nullopt;
  SealedPack pack = std::move(sealed_.front());
  sealed_.pop_front();
  taken_.emplace(pack.number, pack.buffer);
  return pack;
}

bool PackWriter::recycle(uint32_t number) {
  const std::lock_guard lock(mutex_);
  const auto found = taken_.find(number);
  if (found == taken_.end()) return false;
  free_.push_back(std::move(found->second));
  taken_.erase(found);
  changed_.notify_all();
  return true;
}

uint64_t PackWriter::sealed_bytes() {
  const std::lock_guard lock(mutex_);
  return sealed_bytes_;
}

void PackWriter::stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  changed_.notify_all();
}

}  // namespace holdfast
