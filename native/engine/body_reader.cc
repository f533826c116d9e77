#include "body_reader.h"

#include <algorithm>
#include <new>

#include "format_errors.h"

namespace holdfast {

namespace {

constexpr size_t kWindowBytes = 256 * 1024;
// The writer's level needs 21; a frame may not make us allocate more than 8 MiB.
constexpr int kMaxWindowLog = 23;

}  // namespace

BodyReader::BodyReader(Bytes stored, Codec codec, uint64_t raw_bytes, std::string what)
    : stored_(stored), codec_(codec), left_(raw_bytes), what_(std::move(what)), context_(nullptr, ZSTD_freeDCtx) {
  if (codec_ == Codec::None) {
    if (stored.size() != raw_bytes) corrupt(what_, "the length of the body is wrong");
    window_ = stored;
    return;
  }
  context_.reset(ZSTD_createDCtx());
  if (!context_) throw std::bad_alloc();
  ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, kMaxWindowLog);
  block_.resize(kWindowBytes);
}

void BodyReader::get(std::span<std::byte> out) {
  if (out.size() > left_) corrupt(what_, "the body is truncated");
  left_ -= out.size();
  while (!out.empty()) {
    if (window_.empty()) refill();
    const size_t step = std::min(out.size(), window_.size());
    std::copy_n(window_.begin(), step, out.begin());
    window_ = window_.subspan(step);
    out = out.subspan(step);
  }
}

void BodyReader::refill() {
  while (window_.empty()) {
    if (frame_ended_) corrupt(what_, "the body is shorter than its length");
    decompress_some();
  }
}

void BodyReader::decompress_some() {
  ZSTD_inBuffer in{stored_.data(), stored_.size(), 0};
  ZSTD_outBuffer out{block_.data(), block_.size(), 0};
  const size_t hint = ZSTD_decompressStream(context_.get(), &out, &in);
  if (ZSTD_isError(hint)) corrupt(what_, std::string("zstd refuses the body: ") + ZSTD_getErrorName(hint));
  if (hint != 0 && in.pos == 0 && out.pos == 0) corrupt(what_, "the compressed body is truncated");
  stored_ = stored_.subspan(in.pos);
  window_ = Bytes(block_).first(out.pos);
  frame_ended_ = hint == 0;
}

void BodyReader::expect_end() {
  // The frame's epilogue may not have been looked at.
  while (codec_ == Codec::Zstd && window_.empty() && !frame_ended_) decompress_some();
  if (left_ > 0 || !window_.empty()) corrupt(what_, "something follows its end");
  if (codec_ == Codec::Zstd && !stored_.empty()) corrupt(what_, "something follows its compressed body");
}

}  // namespace holdfast
