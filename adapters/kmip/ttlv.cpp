#include "adapters/kmip/ttlv.hpp"

#include <algorithm>
#include <cassert>

namespace custos::kmip {

namespace {

constexpr std::uint8_t tag_class_standard = 0x42;
constexpr std::uint8_t tag_class_extension = 0x54;

std::uint32_t read32(const std::uint8_t* p) {
  return (std::uint32_t{p[0]} << 24U) | (std::uint32_t{p[1]} << 16U) | (std::uint32_t{p[2]} << 8U) |
         p[3];
}

std::uint64_t read64(const std::uint8_t* p) {
  return (std::uint64_t{read32(p)} << 32U) | read32(p + 4);
}

struct raw_header {
  std::uint32_t tag;
  std::uint8_t type;
  std::size_t length;
};

raw_header read_header(const std::uint8_t* p) {
  return {read32(p) >> 8U, p[3], read32(p + 4)};
}

std::string name_of(std::uint32_t t) {
  return to_string(static_cast<tag>(t));
}

error malformed(const raw_header& h, std::string what) {
  return field_error(errc::malformed, name_of(h.tag), "TTLV " + name_of(h.tag) + ": " + what);
}

/// What is wrong, and where: the octet, counted from the beginning of what was being looked at.
struct fault {
  std::size_t at = 0;
  error why;
};
using finding = std::optional<fault>;

// Where in a header the parts of it begin.
constexpr std::size_t type_at = 3;
constexpr std::size_t length_at = 4;

/// The lengths a type may have, in words (KMIP 1.4, 9.1.1.3, 9.1.1.4); empty: this one is fine.
std::string_view expected_length(item_type type, std::size_t length) {
  switch (type) {
  case item_type::structure:
    return length % 8 == 0 ? "" : "in multiples of 8";
  case item_type::big_integer:
    return length % 8 == 0 && length != 0 ? "" : "in multiples of 8, not 0";
  case item_type::integer:
  case item_type::enumeration:
  case item_type::interval:
    return length == 4 ? "" : "4";
  case item_type::long_integer:
  case item_type::boolean:
  case item_type::date_time:
  case item_type::date_time_extended:
    return length == 8 ? "" : "8";
  case item_type::text_string:
  case item_type::byte_string:
    return "";
  }
  return "another type";
}

bool known_type(std::uint8_t type) {
  return type >= static_cast<std::uint8_t>(item_type::structure) &&
         type <= static_cast<std::uint8_t>(item_type::date_time_extended);
}

/// Octets of a UTF-8 sequence by its first octet and the smallest code point it may stand for;
/// length 0: no first octet.
struct utf8_lead {
  std::size_t length;
  std::uint32_t smallest;
  std::uint32_t bits;
};

utf8_lead lead_of(std::uint8_t c) {
  if ((c & 0xE0U) == 0xC0U)
    return {2, 0x80, c & 0x1FU};
  if ((c & 0xF0U) == 0xE0U)
    return {3, 0x800, c & 0x0FU};
  if ((c & 0xF8U) == 0xF0U)
    return {4, 0x10000, c & 0x07U};
  return {0, 0, 0};
}

/// How many octets at the front are valid UTF-8 without NUL: all of them, or up to the first
/// sequence that is not.
std::size_t clean_utf8_prefix(byte_view text) {
  std::size_t i = 0;
  while (i < text.size()) {
    const std::uint8_t c = text[i];
    if (c < 0x80U) {
      if (c == 0)
        return i;
      ++i;
      continue;
    }
    const utf8_lead lead = lead_of(c);
    if (lead.length == 0 || lead.length > text.size() - i)
      return i;
    std::uint32_t point = lead.bits;
    for (std::size_t k = 1; k < lead.length; ++k) {
      if ((text[i + k] & 0xC0U) != 0x80U)
        return i;
      point = (point << 6U) | (text[i + k] & 0x3FU);
    }
    // Overlong forms, surrogates and points past Unicode are not UTF-8 (RFC 3629, 3).
    if (point < lead.smallest || point > 0x10FFFFU || (point >= 0xD800U && point <= 0xDFFFU))
      return i;
    i += lead.length;
  }
  return i;
}

/// The header of an item, by itself.
finding check_header(const raw_header& h, const ttlv_limits& limits) {
  const std::uint32_t tag_class = h.tag >> 16U;
  if (tag_class != tag_class_standard && tag_class != tag_class_extension)
    return fault{0, malformed(h, "expected a tag that begins with 42 or 54")};
  if (!known_type(h.type))
    return fault{type_at, malformed(h, "expected an item type from 1 to 11, found " +
                                           std::to_string(h.type))};
  const auto type = static_cast<item_type>(h.type);
  if (const auto expected = expected_length(type, h.length); !expected.empty())
    return fault{length_at, malformed(h, "expected length " + std::string(expected) + " for " +
                                             std::string(to_string(type)) + ", found " +
                                             std::to_string(h.length))};
  // h.length has 32 bits, so that nothing can overflow here.
  if (ttlv_header_bytes + ttlv_padded(h.length) > limits.message_bytes)
    return fault{length_at,
                 field_error(errc::too_large, name_of(h.tag),
                             "TTLV " + name_of(h.tag) + ": longer than the largest message of " +
                                 std::to_string(limits.message_bytes) + " bytes")};
  return std::nullopt;
}

/// The value of an item that is no structure.
finding check_value(const raw_header& h, const std::uint8_t* value) {
  const auto type = static_cast<item_type>(h.type);
  // The specification pads with zeros; anything else is a sign of lost framing or a hidden channel.
  for (std::size_t i = h.length; i < ttlv_padded(h.length); ++i)
    if (value[i] != 0)
      return fault{i, malformed(h, "expected padding of zeros")};
  if (type == item_type::boolean && read64(value) > 1)
    return fault{0, malformed(h, "expected 0 or 1, as a Boolean has")};
  if (type == item_type::text_string)
    if (const std::size_t clean = clean_utf8_prefix({value, h.length}); clean < h.length)
      return fault{clean, malformed(h, "expected a Text String of UTF-8 without NUL")};
  return std::nullopt;
}

} // namespace

bool is_clean_utf8(byte_view text) {
  return clean_utf8_prefix(text) == text.size();
}

result<std::size_t> ttlv_total_bytes(byte_view header, const ttlv_limits& limits) {
  assert(header.size() >= ttlv_header_bytes);
  const raw_header h = read_header(header.data());
  if (auto wrong = check_header(h, limits))
    return std::move(wrong->why);
  return ttlv_header_bytes + ttlv_padded(h.length);
}

namespace {

/// One pass over all headers of a message; offsets are those in the message.
finding walk(byte_view message, const ttlv_limits& limits) {
  // ends[i] is where the i-th open structure ends.
  std::array<std::size_t, depth_max> ends{};
  const std::size_t depth_limit = std::min(limits.depth, depth_max);
  std::size_t depth = 0;
  std::size_t items = 0;
  std::size_t at = 0;
  std::size_t end = message.size();
  while (at < end) {
    if (end - at < ttlv_header_bytes)
      return fault{at,
                   make_error(errc::malformed, "TTLV: expected the 8 octets of a header, found " +
                                                   std::to_string(end - at))};
    if (++items > limits.items)
      return fault{at,
                   make_error(errc::too_large, "TTLV: more than " + std::to_string(limits.items) +
                                                   " items in one message")};
    const raw_header h = read_header(message.data() + at);
    if (auto wrong = check_header(h, limits))
      return fault{at + wrong->at, std::move(wrong->why)};
    if (ttlv_padded(h.length) > end - at - ttlv_header_bytes)
      return fault{at + length_at,
                   malformed(h, "expected at most " + std::to_string(end - at - ttlv_header_bytes) +
                                    " octets, which what holds it has left, found " +
                                    std::to_string(ttlv_padded(h.length)) + " with padding")};
    at += ttlv_header_bytes;
    if (static_cast<item_type>(h.type) == item_type::structure) {
      if (depth == depth_limit)
        return fault{at - ttlv_header_bytes,
                     malformed(h, "expected at most " + std::to_string(depth_limit) +
                                      " structures inside each other")};
      ends[depth++] = end;
      end = at + h.length;
    } else {
      if (auto wrong = check_value(h, message.data() + at))
        return fault{at + wrong->at, std::move(wrong->why)};
      at += ttlv_padded(h.length);
    }
    while (at == end && depth > 0)
      end = ends[--depth];
  }
  return std::nullopt;
}

/// The header of the outermost item first: it says how long the message is.
finding check_message(byte_view message, const ttlv_limits& limits) {
  if (message.size() < ttlv_header_bytes)
    return fault{message.size(),
                 make_error(errc::malformed, "TTLV: expected the 8 octets of a header, found " +
                                                 std::to_string(message.size()))};
  const raw_header outer = read_header(message.data());
  if (auto wrong = check_header(outer, limits))
    return wrong;
  const std::size_t total = ttlv_header_bytes + ttlv_padded(outer.length);
  if (total == message.size())
    return walk(message, limits);
  return fault{std::min(total, message.size()),
               malformed(outer, "expected a message of " + std::to_string(total) +
                                    " octets, as its length says, found " +
                                    std::to_string(message.size()))};
}

} // namespace

result<ttlv_item> parse_ttlv(byte_view message, const ttlv_limits& limits, std::size_t& fault_at) {
  if (auto wrong = check_message(message, limits)) {
    fault_at = wrong->at;
    return std::move(wrong->why);
  }
  const raw_header outer = read_header(message.data());
  return ttlv_item(outer.tag, static_cast<item_type>(outer.type),
                   message.subspan(ttlv_header_bytes, outer.length));
}

result<ttlv_item> parse_ttlv(byte_view message, const ttlv_limits& limits) {
  std::size_t fault_at = 0;
  auto item = parse_ttlv(message, limits, fault_at);
  if (!item)
    item.failure().message += ", at offset " + std::to_string(fault_at);
  return item;
}

// ---- reading -----------------------------------------------------------------------------------

ttlv_item ttlv_items::iterator::operator*() const {
  const raw_header h = read_header(rest_.data());
  return {h.tag, static_cast<item_type>(h.type), rest_.subspan(ttlv_header_bytes, h.length)};
}

ttlv_items::iterator& ttlv_items::iterator::operator++() {
  rest_ = rest_.subspan(ttlv_header_bytes + ttlv_padded(read_header(rest_.data()).length));
  return *this;
}

ttlv_items ttlv_item::children() const {
  return ttlv_items(type_ == item_type::structure ? value_ : byte_view{});
}

std::optional<ttlv_item> ttlv_item::child(tag t) const {
  for (const ttlv_item item : children())
    if (item.name() == t)
      return item;
  return std::nullopt;
}

result<void> ttlv_item::expect(item_type type) const {
  if (type_ == type)
    return {};
  return field_error(errc::malformed, to_string(name_),
                     "TTLV " + to_string(name_) + ": expected " + std::string(to_string(type)) +
                         ", found " + std::string(to_string(type_)));
}

result<std::int32_t> ttlv_item::as_integer() const {
  CUSTOS_CHECK(expect(item_type::integer));
  return static_cast<std::int32_t>(read32(value_.data()));
}
result<std::int64_t> ttlv_item::as_long_integer() const {
  CUSTOS_CHECK(expect(item_type::long_integer));
  return static_cast<std::int64_t>(read64(value_.data()));
}
result<std::uint32_t> ttlv_item::as_enumeration() const {
  CUSTOS_CHECK(expect(item_type::enumeration));
  return read32(value_.data());
}
result<bool> ttlv_item::as_boolean() const {
  CUSTOS_CHECK(expect(item_type::boolean));
  return read64(value_.data()) == 1;
}
result<std::string_view> ttlv_item::as_text() const {
  CUSTOS_CHECK(expect(item_type::text_string));
  return custos::as_text(value_);
}
result<byte_view> ttlv_item::as_octets() const {
  CUSTOS_CHECK(expect(item_type::byte_string));
  return value_;
}
result<byte_view> ttlv_item::as_big_integer() const {
  CUSTOS_CHECK(expect(item_type::big_integer));
  return value_;
}
result<std::int64_t> ttlv_item::as_date_time() const {
  CUSTOS_CHECK(expect(item_type::date_time));
  return static_cast<std::int64_t>(read64(value_.data()));
}
result<std::int64_t> ttlv_item::as_date_time_extended() const {
  CUSTOS_CHECK(expect(item_type::date_time_extended));
  return static_cast<std::int64_t>(read64(value_.data()));
}
result<std::uint32_t> ttlv_item::as_interval() const {
  CUSTOS_CHECK(expect(item_type::interval));
  return read32(value_.data());
}
result<ttlv_item> ttlv_item::as_structure() const {
  CUSTOS_CHECK(expect(item_type::structure));
  return *this;
}

} // namespace custos::kmip
