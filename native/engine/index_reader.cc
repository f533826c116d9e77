#include <algorithm>
#include <tuple>
#include <unordered_set>

#include "body_reader.h"
#include "format_errors.h"
#include "index_layout.h"
#include "page_index.h"
#include "page_scan.h"

namespace holdfast {

namespace {

using namespace index_layout;

const std::string kWhat = "page index";

// Limits of user addresses and of a pack's size that no real value comes near.
constexpr uint64_t kMaxAddress = 1ull << 57;
constexpr uint64_t kMaxPackBytes = 1ull << 32;

struct Envelope {
  Codec codec;
  uint32_t page_size;
  uint64_t body_bytes;
  Bytes stored;
};

Envelope open_envelope(Bytes object) {
  if (object.size() < kEnvelopeBytes + kTrailerBytes) corrupt(kWhat, "it is truncated");
  if (!std::ranges::equal(object.first(4), std::as_bytes(std::span(kMagic)))) corrupt(kWhat, "the magic is wrong");
  if (!std::ranges::equal(sha256(object.first(object.size() - kTrailerBytes)), object.last(kTrailerBytes))) {
    corrupt(kWhat, "its SHA-256 is wrong");
  }
  FieldReader fields(object.subspan(kMagic.size()));
  const auto version = fields.get<uint16_t>();
  if (version != kFormatVersion) unknown_format(kWhat, "version " + std::to_string(version));
  const auto codec = fields.get<uint16_t>();
  if (codec > static_cast<uint16_t>(Codec::Zstd)) unknown_format(kWhat, "codec " + std::to_string(codec));
  const auto flags = fields.get<uint32_t>();
  if (flags != 0) unknown_format(kWhat, "flags " + hex(flags));
  Envelope envelope{};
  envelope.codec = static_cast<Codec>(codec);
  envelope.page_size = fields.get<uint32_t>();
  envelope.body_bytes = fields.get<uint64_t>();
  envelope.stored = object.subspan(kEnvelopeBytes, object.size() - kEnvelopeBytes - kTrailerBytes);
  if (envelope.page_size != page_size()) {
    unknown_format(kWhat, "pages of " + std::to_string(envelope.page_size) + " bytes on a machine that has " +
                              std::to_string(page_size()));
  }
  if (envelope.body_bytes > kMaxBodyBytes) corrupt(kWhat, "the length of the body is over the limit");
  return envelope;
}

class IndexParser {
 public:
  explicit IndexParser(const Envelope& envelope)
      : body_(envelope.stored, envelope.codec, envelope.body_bytes, kWhat), page_size_(envelope.page_size) {
    index_.page_size = envelope.page_size;
  }

  PageIndex parse() {
    uint8_t tag = body_.get<uint8_t>();
    while (tag == kSpace) tag = read_space();
    if (tag != kEnd) unknown_tag(tag);
    read_end();
    std::ranges::sort(index_.chunks, {}, [](const IndexChunk& c) { return std::tuple(c.pack, c.offset); });
    return std::move(index_);
  }

 private:
  [[noreturn]] void unknown_tag(uint8_t tag) { unknown_format(kWhat, "record tag " + std::to_string(tag)); }

  // Each reads what follows its tag, and the next record's tag.
  uint8_t read_space() {
    image_pid_ = body_.get<uint32_t>();
    if (image_pid_ == 0 || !seen_pids_.insert(image_pid_).second) {
      corrupt(kWhat, "image pid " + std::to_string(image_pid_) + " is zero or occurs twice");
    }
    index_.image_pids.push_back(image_pid_);
    previous_map_end_ = 0;
    uint8_t tag = body_.get<uint8_t>();
    for (; tag == kMap; tag = body_.get<uint8_t>()) read_map();
    return tag;
  }

  void read_map() {
    const auto start = body_.get<uint64_t>();
    map_end_ = body_.get<uint64_t>();
    if (!aligned(start) || !aligned(map_end_) || start < previous_map_end_ || start >= map_end_ || map_end_ > kMaxAddress) {
      corrupt(kWhat, "map " + hex(start) + "-" + hex(map_end_) + " is out of order");
    }
    const auto protection = body_.get<uint32_t>();
    if (protection > (kRead | kWrite | kExecute)) unknown_format(kWhat, "protection " + hex(protection));
    const auto kind = body_.get<uint32_t>();
    if (kind > static_cast<uint32_t>(MapKind::Shared)) unknown_format(kWhat, "map kind " + std::to_string(kind));
    previous_map_end_ = map_end_;
    map_start_ = start;
    map_count_++;
    const size_t first_run = index_.runs.size();
    while (read_chunk()) {
    }
    check_overlap(first_run);
  }

  // Each chunk's runs ascend; those of several chunks may alternate, but no page has two contents.
  void check_overlap(size_t first_run) {
    std::vector<IndexRun> runs(index_.runs.begin() + static_cast<std::ptrdiff_t>(first_run), index_.runs.end());
    std::ranges::sort(runs, {}, &IndexRun::address);
    for (size_t i = 1; i < runs.size(); i++) {
      if (runs[i - 1].address + uint64_t{runs[i - 1].pages} * page_size_ > runs[i].address) {
        corrupt(kWhat, "page " + hex(runs[i].address) + " is named twice");
      }
    }
  }

  bool read_chunk() {
    const uint8_t tag = body_.get<uint8_t>();
    if (tag != kChunk) unknown_tag(tag);
    IndexChunk chunk{};
    chunk.pages = body_.get<uint32_t>();
    if (chunk.pages == 0) return false;
    const auto dense = body_.get<uint32_t>();
    if (dense > 1) unknown_format(kWhat, "chunk flags " + hex(dense));
    chunk.dense = dense == 1;
    chunk.image_pid = image_pid_;
    chunk.pack = body_.get<uint32_t>();
    chunk.offset = body_.get<uint64_t>();
    chunk.length = body_.get<uint32_t>();
    body_.get(chunk.contents);
    check_reference(chunk);
    read_runs(chunk);
    index_.chunks.push_back(chunk);
    index_.pages += chunk.pages;
    return true;
  }

  void check_reference(const IndexChunk& chunk) {
    const bool inside = chunk.pages <= kMaxBlobPages && chunk.pack >= 1 && chunk.offset >= kPackHeaderBytes &&
                        chunk.offset <= kMaxPackBytes && chunk.length > kBlobHeaderBytes &&
                        chunk.length <= kMaxBlobOverheadBytes + kMaxBlobBytes;
    if (!inside) {
      corrupt(kWhat, "a chunk of " + std::to_string(chunk.pages) + " pages refers to " + std::to_string(chunk.length) +
                         " bytes at " + std::to_string(chunk.offset) + " of pack " + std::to_string(chunk.pack));
    }
  }

  void read_runs(IndexChunk& chunk) {
    next_address_ = map_start_;
    chunk.first_run = index_.runs.size();
    chunk.run_count = body_.get<uint32_t>();
    uint64_t pages = 0;
    for (size_t i = 0; i < chunk.run_count; i++) {
      IndexRun run{};
      run.address = body_.get<uint64_t>();
      run.pages = body_.get<uint32_t>();
      run.slot = chunk.dense ? static_cast<uint32_t>(pages) : body_.get<uint32_t>();
      check_run(run);
      pages += run.pages;
      if (pages > chunk.pages) break;
      index_.runs.push_back(run);
    }
    if (pages != chunk.pages) corrupt(kWhat, "the runs of a chunk do not add up to its pages");
  }

  void check_run(const IndexRun& run) {
    const bool inside = run.pages >= 1 && run.pages <= kMaxBlobPages && run.slot < kMaxBlobPages && aligned(run.address) &&
                        run.address >= next_address_ && run.address < map_end_ &&
                        (map_end_ - run.address) / page_size_ >= run.pages;
    if (!inside) {
      corrupt(kWhat, std::to_string(run.pages) + " pages at " + hex(run.address) + " are outside their map or out of order");
    }
    next_address_ = run.address + uint64_t{run.pages} * page_size_;
  }

  void read_end() {
    const auto spaces = body_.get<uint32_t>();
    const auto maps = body_.get<uint64_t>();
    const auto chunks = body_.get<uint64_t>();
    const auto pages = body_.get<uint64_t>();
    if (spaces != index_.image_pids.size() || maps != map_count_ || chunks != index_.chunks.size() ||
        pages != index_.pages) {
      corrupt(kWhat, "its counts are not those of its records");
    }
    body_.expect_end();
  }

  bool aligned(uint64_t address) const { return address % page_size_ == 0; }

  BodyReader body_;
  const uint32_t page_size_;
  PageIndex index_{};
  std::unordered_set<uint32_t> seen_pids_;
  uint32_t image_pid_ = 0;
  uint64_t map_count_ = 0;
  uint64_t map_end_ = 0;
  uint64_t previous_map_end_ = 0;
  uint64_t map_start_ = 0;
  uint64_t next_address_ = 0;  // lowest the next run of this chunk may start at
};

}  // namespace

PageIndex read_index(Bytes object) { return IndexParser(open_envelope(object)).parse(); }

}  // namespace holdfast
