#pragma once
// JSON (RFC 8259). Reading: simdjson behind a checked reader whose errors name the field by JSON
// pointer and say what was expected; duplicates, unknown members, depth and sizes are judged.
// Writing: Boost.JSON values.

#include "adapters/crypto/secret_bytes.hpp"
#include "messages/bytes.hpp"
#include "messages/error.hpp"

#include <boost/json/fwd.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace custos::json {

/// Largest document read, and deepest nesting.
inline constexpr std::size_t document_bytes_max = 8U << 20U;
inline constexpr std::size_t depth_max = 32;

class value;

/// A JSON object being read. Every getter that fails says which member and what was expected.
/// After reading, `finish()` refuses members that nobody asked for.
/// Lifetime: not longer than its document. Not thread-safe.
class object {
public:
  result<std::string> string(std::string_view name, std::size_t bytes_max);
  result<std::optional<std::string>> optional_string(std::string_view name, std::size_t bytes_max);
  result<std::int64_t> integer(std::string_view name, std::int64_t min, std::int64_t max);
  result<std::optional<std::int64_t>> optional_integer(std::string_view name, std::int64_t min,
                                                       std::int64_t max);
  result<bool> boolean(std::string_view name);
  result<std::optional<bool>> optional_boolean(std::string_view name);
  /// base64url without padding (RFC 4648, 5) into at most bytes_max octets.
  result<bytes> base64url(std::string_view name, std::size_t bytes_max);
  result<std::optional<bytes>> optional_base64url(std::string_view name, std::size_t bytes_max);
  result<bytes> hex(std::string_view name, std::size_t bytes_max);
  result<object> child(std::string_view name);
  result<std::optional<object>> optional_child(std::string_view name);
  /// Elements of an array member; missing is an error unless `optional`.
  result<std::vector<value>> array(std::string_view name, std::size_t elements_max,
                                   bool optional = false);
  [[nodiscard]] bool has(std::string_view name) const;
  /// Names of all members, in order.
  [[nodiscard]] std::vector<std::string> names() const;
  /// A string member known to hold a secret: copied straight into a secret buffer.
  result<crypto::secret_bytes> secret_string(std::string_view name, std::size_t bytes_max);
  /// Fails on the first member that no getter asked for.
  result<void> finish() const;
  /// This object as JSON text, for readers of their own (a JWK).
  [[nodiscard]] std::string text() const;
  /// JSON pointer of this object ("" for the root).
  [[nodiscard]] const std::string& path() const;

  struct state;
  explicit object(std::shared_ptr<state> s) : state_(std::move(s)) {}

private:
  std::shared_ptr<state> state_;
};

/// One array element.
class value {
public:
  result<object> as_object() const;
  result<std::string> as_string(std::size_t bytes_max) const;
  result<std::int64_t> as_integer(std::int64_t min, std::int64_t max) const;

  struct state;
  explicit value(std::shared_ptr<state> s) : state_(std::move(s)) {}

private:
  std::shared_ptr<state> state_;
};

/// Parses a document whose root is an object. `text` is copied where the parser needs padding.
/// Duplicate member names anywhere are refused (RFC 8259, 4; RFC 7515, 5.2).
result<object> parse_object(std::string_view text, std::size_t bytes_max = document_bytes_max);

/// Parses anything into a Boost.JSON value (for documents passed on as they are).
result<boost::json::value> parse_any(std::string_view text,
                                     std::size_t bytes_max = document_bytes_max);

/// Canonical form: members sorted by name, no insignificant space (RFC 8785 for the values we use:
/// strings, integers, booleans, null; no floats).
std::string canonical(const boost::json::value& v);

} // namespace custos::json
