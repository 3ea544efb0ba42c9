#pragma once
// JSON text (RFC 8259) written straight into one buffer, for documents on hot paths: no tree is
// built. Commas and nesting are the writer's, values are escaped. Members are written in the order
// of the calls. Not thread-safe; the buffer outlives the writer.
//
// What cannot be written is a programmer error (an assertion): two values for one name, a name
// outside an object, brackets that do not match, nesting beyond writer_depth_max.

#include "messages/bytes.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace custos::json {

inline constexpr std::size_t writer_depth_max = 16;

/// Whether text is its own JSON string between quotes: printable ASCII without quote and backslash.
bool is_plain(std::string_view text);

class writer {
public:
  explicit writer(std::string& out) : out_(&out) {}

  writer& begin_object();
  writer& end_object();
  writer& begin_array();
  writer& end_array();
  /// A member's name, as it is: a literal of ours that needs no escape.
  writer& name(std::string_view literal);

  /// Text from anywhere; what is not UTF-8 becomes U+FFFD (adapters/json/quoted).
  writer& string(std::string_view text);
  /// The same, cut at about `bytes_max` octets (at least 3).
  writer& string(std::string_view text, std::size_t bytes_max);
  writer& number(std::int64_t n);
  writer& boolean(bool b);
  /// Octets as a string of lower-case hex, of base64url without padding.
  writer& hex(byte_view octets);
  writer& base64url(byte_view octets);

  /// Everything begun was ended, and something was written.
  [[nodiscard]] bool complete() const { return depth_ == 0 && levels_[0].values == 1; }

private:
  struct level {
    bool object = false;
    bool named = false; ///< a name waits for its value
    std::size_t values = 0;
  };

  void before_value();
  writer& begin(bool object, char bracket);
  writer& end(bool object, char bracket);

  std::string* out_;
  std::array<level, writer_depth_max + 1> levels_{};
  std::size_t depth_ = 0;
};

} // namespace custos::json
