#include "adapters/kmip/ttlv.hpp"

#include <algorithm>
#include <cassert>

namespace custos::kmip {

ttlv_writer::ttlv_writer() {
  out_.reserve(512); // p50 of real messages is 192 octets, p99 1,296
}

ttlv_writer::ttlv_writer(crypto::wiped_bytes buffer) : out_(std::move(buffer)) {
  out_.clear();
}

void ttlv_writer::header(tag t, item_type type, std::size_t length) {
  const auto number = static_cast<std::uint32_t>(t);
  const auto size = static_cast<std::uint32_t>(length);
  const std::array<std::uint8_t, ttlv_header_bytes> h = {
      static_cast<std::uint8_t>(number >> 16U), static_cast<std::uint8_t>(number >> 8U),
      static_cast<std::uint8_t>(number),        static_cast<std::uint8_t>(type),
      static_cast<std::uint8_t>(size >> 24U),   static_cast<std::uint8_t>(size >> 16U),
      static_cast<std::uint8_t>(size >> 8U),    static_cast<std::uint8_t>(size)};
  out_.insert(out_.end(), h.begin(), h.end());
}

void ttlv_writer::fixed32(tag t, item_type type, std::uint32_t v) {
  header(t, type, 4);
  const std::array<std::uint8_t, 8> value = {
      static_cast<std::uint8_t>(v >> 24U), static_cast<std::uint8_t>(v >> 16U),
      static_cast<std::uint8_t>(v >> 8U), static_cast<std::uint8_t>(v)};
  out_.insert(out_.end(), value.begin(), value.end());
}

void ttlv_writer::fixed64(tag t, item_type type, std::uint64_t v) {
  header(t, type, 8);
  std::array<std::uint8_t, 8> value{};
  for (std::size_t i = 0; i < value.size(); ++i)
    value[i] = static_cast<std::uint8_t>(v >> (56U - 8U * i));
  out_.insert(out_.end(), value.begin(), value.end());
}

void ttlv_writer::variable(tag t, item_type type, byte_view v) {
  header(t, type, v.size());
  out_.insert(out_.end(), v.begin(), v.end());
  out_.resize(ttlv_padded(out_.size())); // the message begins on a boundary of 8
}

void ttlv_writer::open(tag t) {
  assert(depth_ < depth_max);
  open_[depth_++] = out_.size();
  header(t, item_type::structure, 0);
}

void ttlv_writer::close() {
  assert(depth_ > 0);
  const std::size_t start = open_[--depth_];
  const auto length = static_cast<std::uint32_t>(out_.size() - start - ttlv_header_bytes);
  for (std::size_t i = 0; i < 4; ++i)
    out_[start + 4 + i] = static_cast<std::uint8_t>(length >> (24U - 8U * i));
}

void ttlv_writer::integer(tag t, std::int32_t v) {
  fixed32(t, item_type::integer, static_cast<std::uint32_t>(v));
}
void ttlv_writer::long_integer(tag t, std::int64_t v) {
  fixed64(t, item_type::long_integer, static_cast<std::uint64_t>(v));
}
void ttlv_writer::big_integer(tag t, byte_view v) {
  const std::size_t length = std::max<std::size_t>(ttlv_padded(v.size()), 8);
  header(t, item_type::big_integer, length);
  const bool negative = !v.empty() && (v.front() & 0x80U) != 0;
  out_.insert(out_.end(), length - v.size(), negative ? 0xFF : 0x00);
  out_.insert(out_.end(), v.begin(), v.end());
}
void ttlv_writer::enumeration(tag t, std::uint32_t v) {
  fixed32(t, item_type::enumeration, v);
}
void ttlv_writer::boolean(tag t, bool v) {
  fixed64(t, item_type::boolean, v ? 1 : 0);
}
void ttlv_writer::text(tag t, std::string_view v) {
  variable(t, item_type::text_string, as_bytes(v));
}
void ttlv_writer::octets(tag t, byte_view v) {
  variable(t, item_type::byte_string, v);
}
void ttlv_writer::date_time(tag t, std::int64_t seconds) {
  fixed64(t, item_type::date_time, static_cast<std::uint64_t>(seconds));
}
void ttlv_writer::date_time_extended(tag t, std::int64_t microseconds) {
  fixed64(t, item_type::date_time_extended, static_cast<std::uint64_t>(microseconds));
}
void ttlv_writer::interval(tag t, std::uint32_t seconds) {
  fixed32(t, item_type::interval, seconds);
}

crypto::wiped_bytes ttlv_writer::take() {
  assert(depth_ == 0);
  return std::move(out_);
}

// The type decides which reading cannot fail.
void write_item(ttlv_writer& w, const ttlv_item& item) {
  const tag t = item.name();
  switch (item.type()) {
  case item_type::structure: {
    const ttlv_scope scope(w, t);
    for (const ttlv_item child : item.children())
      write_item(w, child);
    return;
  }
  case item_type::integer:
    return w.integer(t, item.as_integer().value());
  case item_type::long_integer:
    return w.long_integer(t, item.as_long_integer().value());
  case item_type::big_integer:
    return w.big_integer(t, item.as_big_integer().value());
  case item_type::enumeration:
    return w.enumeration(t, item.as_enumeration().value());
  case item_type::boolean:
    return w.boolean(t, item.as_boolean().value());
  case item_type::text_string:
    return w.text(t, item.as_text().value());
  case item_type::byte_string:
    return w.octets(t, item.as_octets().value());
  case item_type::date_time:
    return w.date_time(t, item.as_date_time().value());
  case item_type::interval:
    return w.interval(t, item.as_interval().value());
  case item_type::date_time_extended:
    return w.date_time_extended(t, item.as_date_time_extended().value());
  }
}

} // namespace custos::kmip
