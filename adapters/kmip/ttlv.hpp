#pragma once
// TTLV, the encoding of KMIP (KMIP 1.4, 9.1): item = tag(3) type(1) length(4) value padding(to 8).
//
// Reading is in two steps. `parse_ttlv` walks a message once and checks all of it: tags, types,
// lengths, sums of structures, padding, Booleans, UTF-8, depth and number of items. What it gives
// is a view; walking its items cannot fail and allocates nothing. Views never outlive the octets.

#include "adapters/crypto/wiped_bytes.hpp"
#include "adapters/kmip/tags.hpp"
#include "messages/bytes.hpp"
#include "messages/error.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>

namespace custos::kmip {

/// Largest message by default, and the most that may be configured.
inline constexpr std::size_t message_bytes_default = 64U << 10U;
inline constexpr std::size_t message_bytes_max = 1U << 20U;
/// Nested structures, the outermost counted. OASIS test cases reach 9.
inline constexpr std::size_t depth_max = 16;
/// Items of one message, structures counted. OASIS test cases reach 147.
inline constexpr std::size_t items_max = 4096;
inline constexpr std::size_t ttlv_header_bytes = 8;

/// Octets that a value of this length takes, with its padding.
constexpr std::size_t ttlv_padded(std::size_t length) {
  return (length + 7U) & ~std::size_t{7};
}

struct ttlv_limits {
  std::size_t message_bytes = message_bytes_default;
  std::size_t items = items_max;
  std::size_t depth = depth_max; ///< at most depth_max
};

class ttlv_items;

/// One item of a checked message.
class ttlv_item {
public:
  ttlv_item() = default;
  ttlv_item(std::uint32_t name, item_type type, byte_view value)
      : name_(static_cast<tag>(name)), type_(type), value_(value) {}

  [[nodiscard]] tag name() const { return name_; }
  [[nodiscard]] item_type type() const { return type_; }
  /// The value without padding.
  [[nodiscard]] byte_view value() const { return value_; }

  /// Children of a structure; none of anything else.
  [[nodiscard]] ttlv_items children() const;
  /// The first child of that tag.
  [[nodiscard]] std::optional<ttlv_item> child(tag t) const;

  // The value, if the item has the type; else errc::malformed that names the tag.
  [[nodiscard]] result<std::int32_t> as_integer() const;
  [[nodiscard]] result<std::int64_t> as_long_integer() const;
  [[nodiscard]] result<std::uint32_t> as_enumeration() const;
  [[nodiscard]] result<bool> as_boolean() const;
  [[nodiscard]] result<std::string_view> as_text() const;
  [[nodiscard]] result<byte_view> as_octets() const;
  [[nodiscard]] result<byte_view> as_big_integer() const;  ///< two's complement, big-endian, 8n
  [[nodiscard]] result<std::int64_t> as_date_time() const; ///< seconds since 1970, UTC
  [[nodiscard]] result<std::int64_t> as_date_time_extended() const; ///< microseconds
  [[nodiscard]] result<std::uint32_t> as_interval() const;          ///< seconds
  [[nodiscard]] result<ttlv_item> as_structure() const;

private:
  [[nodiscard]] result<void> expect(item_type type) const;

  tag name_{};
  item_type type_ = item_type::structure;
  byte_view value_;
};

/// The items side by side in a structure: a forward range.
class ttlv_items {
public:
  class iterator {
  public:
    explicit iterator(byte_view rest) : rest_(rest) {}
    ttlv_item operator*() const;
    iterator& operator++();
    friend bool operator==(const iterator& a, const iterator& b) {
      return a.rest_.size() == b.rest_.size();
    }

  private:
    byte_view rest_;
  };

  explicit ttlv_items(byte_view content) : content_(content) {}
  [[nodiscard]] iterator begin() const { return iterator(content_); }
  [[nodiscard]] iterator end() const { return iterator(content_.last(0)); }

private:
  byte_view content_;
};

/// The octets the whole item will take, from its first eight. Enough to decide before anything is
/// allocated: the first octet of the tag, the type, and the length against the limit are checked.
/// `header` has at least ttlv_header_bytes.
result<std::size_t> ttlv_total_bytes(byte_view header, const ttlv_limits& limits = {});

/// Exactly one item, of any type, with everything in it. Errors: malformed, too_large; they name
/// the tag, what was expected, and the offset.
result<ttlv_item> parse_ttlv(byte_view message, const ttlv_limits& limits = {});

/// The same, with the offset of the first wrong octet in `fault_at` and not in the text.
result<ttlv_item> parse_ttlv(byte_view message, const ttlv_limits& limits, std::size_t& fault_at);

/// Valid UTF-8 (RFC 3629) without NUL.
bool is_clean_utf8(byte_view text);

/// Writes one message into one buffer, which is wiped when freed. Structures are opened and closed;
/// their lengths are filled in. Misuse (more than depth_max open structures, close without open) is
/// a programmer error.
class ttlv_writer {
public:
  ttlv_writer();
  /// Reuses the memory of a buffer.
  explicit ttlv_writer(crypto::wiped_bytes buffer);

  void open(tag t);
  void close();
  void integer(tag t, std::int32_t v);
  void long_integer(tag t, std::int64_t v);
  /// `v` is two's complement, big-endian; sign-extended to a multiple of 8 octets.
  void big_integer(tag t, byte_view v);
  void enumeration(tag t, std::uint32_t v);
  template <class Enum>
  requires std::is_enum_v<Enum>
  void enumeration(tag t, Enum v) { enumeration(t, static_cast<std::uint32_t>(v)); }
  void boolean(tag t, bool v);
  void text(tag t, std::string_view v);
  void octets(tag t, byte_view v);
  void date_time(tag t, std::int64_t seconds);
  void date_time_extended(tag t, std::int64_t microseconds);
  void interval(tag t, std::uint32_t seconds);

  /// The message; all structures are closed.
  [[nodiscard]] crypto::wiped_bytes take();

private:
  void header(tag t, item_type type, std::size_t length);
  void fixed32(tag t, item_type type, std::uint32_t v);
  void fixed64(tag t, item_type type, std::uint64_t v);
  void variable(tag t, item_type type, byte_view v);

  crypto::wiped_bytes out_;
  std::array<std::size_t, depth_max> open_{};
  std::size_t depth_ = 0;
};

/// Opens a structure for the length of a scope.
class ttlv_scope {
public:
  ttlv_scope(ttlv_writer& writer, tag t) : writer_(writer) { writer_.open(t); }
  ~ttlv_scope() { writer_.close(); }
  ttlv_scope(const ttlv_scope&) = delete;
  ttlv_scope& operator=(const ttlv_scope&) = delete;

private:
  ttlv_writer& writer_;
};

/// Writes an item of a checked message again, with all in it, each value through its own type: the
/// octets are the same as those that were read.
void write_item(ttlv_writer& w, const ttlv_item& item);

} // namespace custos::kmip
