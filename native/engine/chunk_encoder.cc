#include "chunk_encoder.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "byte_shuffle.h"
#include "page_scan.h"

namespace holdfast {

namespace {

// One page of 32, at most 8: about 3 % of the time that compressing all of them takes.
constexpr size_t kSampleOneOf = 32;
constexpr size_t kMaxSamplePages = 8;

EncoderSettings without_contradiction(EncoderSettings settings) {
  if (settings.compression_level == 0) settings.codec = Codec::None;
  return settings;
}

bool uses(const EncoderSettings& settings, Codec codec) { return !settings.codec || *settings.codec == codec; }

}  // namespace

ChunkEncoder::ChunkEncoder(const EncoderSettings& settings, size_t chunk_bytes)
    : settings_(without_contradiction(settings)) {
  if (settings_.keys) cipher_.emplace(*settings_.keys);
  if (cipher_ || settings_.codec != Codec::None) packed_.emplace(chunk_bytes + (cipher_ ? kSealBytes : 0));
  if (settings_.codec == Codec::None) return;
  if (!settings_.codec) sample_.emplace(2 * kMaxSamplePages * page_size());
  if (uses(settings_, Codec::Lz4) || uses(settings_, Codec::ShuffleLz4)) lz4_.emplace();
  if (uses(settings_, Codec::ShuffleLz4)) shuffled_.emplace(chunk_bytes);
  if (!uses(settings_, Codec::Zstd)) return;
  zstd_.emplace(settings_.compression_level);
  // The first use makes the context as large as it will ever be.
  AlignedBuffer zeros(chunk_bytes);
  zstd_->compress(zeros.span(), packed_->span());
}

Sha256 ChunkEncoder::address(Bytes raw) const { return cipher_ ? cipher_->address(raw) : sha256(raw); }

ChunkEncoder::Encoded ChunkEncoder::encode(Bytes raw, const Sha256& address) {
  CodecChoice choice = choose(raw);
  const auto packed = choice.codec == Codec::None ? std::nullopt : compress(choice.codec, raw);
  if (choice.codec != Codec::None && !packed) choice = {Codec::None, CodecReason::Grew};
  settings_.state->count(choice.reason);
  const Bytes plain = packed.value_or(raw);
  const size_t stored_bytes = plain.size() + (cipher_ ? kSealBytes : 0);
  const auto header = encode_blob_header({choice.codec, page_size(), static_cast<uint32_t>(raw.size() / page_size()),
                                          static_cast<uint32_t>(stored_bytes), address, cipher_.has_value()});
  if (!cipher_) return {header, plain, address, choice.reason};
  const auto sealed = packed_->span().first(stored_bytes);
  cipher_->seal(header, plain, sealed);
  return {header, sealed, address, choice.reason};
}

CodecChoice ChunkEncoder::choose(Bytes raw) {
  if (settings_.codec) return {*settings_.codec, CodecReason::Requested};
  return choose_codec(sample(raw), {settings_.state->upload_rate(), settings_.threads});
}

CodecSample ChunkEncoder::sample(Bytes raw) {
  const size_t pages = raw.size() / page_size();
  const size_t taken = std::clamp<size_t>(pages / kSampleOneOf, 1, kMaxSamplePages);
  const size_t bytes = taken * page_size();
  for (size_t i = 0; i < taken; i++) {
    // The middle of each of as many parts.
    const size_t page = (2 * i + 1) * pages / (2 * taken);
    std::memcpy(sample_->data() + i * page_size(), raw.data() + page * page_size(), page_size());
  }
  const auto out = sample_->span().subspan(bytes, bytes);
  const auto trial = [&](Codec codec) {
    const auto begin = std::chrono::steady_clock::now();
    const auto size = compress_into(codec, sample_->span().first(bytes), out);
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
    const auto raw_bytes = static_cast<double>(bytes);
    return CodecTrial{size ? static_cast<double>(*size) / raw_bytes : 1.0, raw_bytes / std::max(taken.count(), 1e-9)};
  };
  return {trial(Codec::Lz4), trial(Codec::ShuffleLz4), trial(Codec::Zstd)};
}

std::optional<Bytes> ChunkEncoder::compress(Codec codec, Bytes raw) {
  const auto size = compress_into(codec, raw, packed_payload().first(raw.size() - 1));
  return size ? std::optional<Bytes>(packed_payload().first(*size)) : std::nullopt;
}

std::optional<size_t> ChunkEncoder::compress_into(Codec codec, Bytes raw, std::span<std::byte> out) {
  if (codec == Codec::Zstd) return zstd_->compress(raw, out);
  if (codec == Codec::Lz4) return lz4_->compress(raw, out);
  const auto shuffled = shuffled_->span().first(raw.size());
  shuffle_bytes(raw, shuffled);
  return lz4_->compress(shuffled, out);
}

size_t ChunkEncoder::memory_bytes() const {
  return (packed_ ? packed_->size() : 0) + (sample_ ? sample_->size() : 0) +
         (shuffled_ ? shuffled_->size() : 0) + (zstd_ ? zstd_->memory_bytes() : 0) + (lz4_ ? lz4_->memory_bytes() : 0);
}

}  // namespace holdfast
