#pragma once
// Numbers and octets, one after another, big-endian. The reader is bounded: once something is
// missing it gives zeros and says so at the end. Nobody outside this folder includes this.

#include "messages/bytes.hpp"

#include <limits>

namespace custos::cluster::replica {

class octet_writer {
public:
  void u8(std::uint8_t v) { out_.push_back(v); }
  void u16(std::uint16_t v) { number(v, 2); }
  void u32(std::uint32_t v) { number(v, 4); }
  void u64(std::uint64_t v) { number(v, 8); }
  /// length(4) || octets
  void octets(byte_view v) {
    u32(static_cast<std::uint32_t>(v.size()));
    raw(v);
  }
  void text(std::string_view v) { octets(as_bytes(v)); }
  void raw(byte_view v) { out_.insert(out_.end(), v.begin(), v.end()); }
  bytes take() { return std::move(out_); }

private:
  void number(std::uint64_t v, unsigned size) {
    for (unsigned i = size; i-- > 0;)
      out_.push_back(static_cast<std::uint8_t>(v >> (8 * i)));
  }
  bytes out_;
};

class octet_reader {
public:
  explicit octet_reader(byte_view from) : rest_(from) {}

  std::uint8_t u8() { return static_cast<std::uint8_t>(number(1)); }
  std::uint16_t u16() { return static_cast<std::uint16_t>(number(2)); }
  std::uint32_t u32() { return static_cast<std::uint32_t>(number(4)); }
  std::uint64_t u64() { return number(8); }
  byte_view octets(std::size_t max = std::numeric_limits<std::uint32_t>::max()) {
    const auto size = u32();
    if (size > max)
      failed_ = true;
    return raw(size);
  }
  std::string text(std::size_t max) { return std::string(as_text(octets(max))); }
  byte_view raw(std::size_t size) {
    if (failed_ || size > rest_.size()) {
      failed_ = true;
      return {};
    }
    const auto out = rest_.first(size);
    rest_ = rest_.subspan(size);
    return out;
  }
  byte_view rest() { return raw(rest_.size()); }
  void fail() { failed_ = true; }
  [[nodiscard]] bool failed() const { return failed_; }
  /// Everything was there, and nothing is left.
  [[nodiscard]] bool complete() const { return !failed_ && rest_.empty(); }

private:
  std::uint64_t number(std::size_t size) {
    std::uint64_t out = 0;
    for (const auto octet : raw(size))
      out = (out << 8U) | octet;
    return out;
  }
  byte_view rest_;
  bool failed_ = false;
};

} // namespace custos::cluster::replica
