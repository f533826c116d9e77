// Little-endian fields, written to a growing vector and read from a bounded range.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace holdfast {

static_assert(std::endian::native == std::endian::little, "the formats are little-endian and fields are copied as they are");

using Bytes = std::span<const std::byte>;

class ByteWriter {
 public:
  template <std::unsigned_integral T>
  void put(T value) {
    put(Bytes(reinterpret_cast<const std::byte*>(&value), sizeof value));
  }
  void put(Bytes bytes);

  Bytes bytes() const { return out_; }
  std::vector<std::byte> take() { return std::move(out_); }
  size_t size() const { return out_.size(); }

 private:
  std::vector<std::byte> out_;
};

// The caller has checked that the fields are there: headers have a fixed size.
class FieldReader {
 public:
  explicit FieldReader(Bytes bytes) : left_(bytes) {}

  template <std::unsigned_integral T>
  T get() {
    T value;
    std::memcpy(&value, left_.data(), sizeof value);
    left_ = left_.subspan(sizeof value);
    return value;
  }
  void get(std::span<std::byte> out) {
    std::memcpy(out.data(), left_.data(), out.size());
    left_ = left_.subspan(out.size());
  }

 private:
  Bytes left_;
};

}  // namespace holdfast
