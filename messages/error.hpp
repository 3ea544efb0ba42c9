#pragma once
// An operating error as a value, and result<T>. Programmer errors are assertions, not errors.

#include "messages/errc.hpp"

#include <cassert>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace custos {

/// What failed, and enough for whoever asked to act on it. Never holds secret bytes.
struct error {
  errc code = errc::internal;
  /// What was being done and what was expected, one sentence.
  std::string message;
  /// The field at fault: a JSON pointer ("/servers/0/port"), header or option name; may be empty.
  std::string field;
  /// Stable name of the appraisal or gate check that said no ("pcr-digest"); may be empty.
  std::string check;
  /// PCR at fault, 0-23, where it applies.
  std::optional<std::uint32_t> pcr;
  /// Index of the event in the event log at fault, from 0, where it applies.
  std::optional<std::uint32_t> event;
  /// A new attempt with new evidence may succeed.
  bool retryable = false;
  /// Seconds after which a new attempt makes sense (HTTP Retry-After).
  std::optional<std::uint32_t> retry_after_s;
};

/// An error about one field of an input.
inline error field_error(errc code, std::string field, std::string message) {
  error e;
  e.code = code;
  e.field = std::move(field);
  e.message = std::move(message);
  return e;
}

inline error make_error(errc code, std::string message) {
  error e;
  e.code = code;
  e.message = std::move(message);
  return e;
}

/// A value or an error. Reading the side that is not there is a programmer error.
template <class T>
class [[nodiscard]] result {
public:
  using value_type = T;

  result(T value) : state_(std::in_place_index<0>, std::move(value)) {}         // NOLINT
  result(error failure) : state_(std::in_place_index<1>, std::move(failure)) {} // NOLINT

  [[nodiscard]] bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() & {
    assert(ok());
    return *std::get_if<0>(&state_);
  }
  const T& value() const& {
    assert(ok());
    return *std::get_if<0>(&state_);
  }
  T&& value() && {
    assert(ok());
    return std::move(*std::get_if<0>(&state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  error& failure() & {
    assert(!ok());
    return *std::get_if<1>(&state_);
  }
  const error& failure() const& {
    assert(!ok());
    return *std::get_if<1>(&state_);
  }
  error&& failure() && {
    assert(!ok());
    return std::move(*std::get_if<1>(&state_));
  }

private:
  std::variant<T, error> state_;
};

/// Success without a value, or an error.
template <>
class [[nodiscard]] result<void> {
public:
  using value_type = void;

  result() = default;
  result(error failure) : failure_(std::move(failure)) {} // NOLINT

  [[nodiscard]] bool ok() const { return !failure_.has_value(); }
  explicit operator bool() const { return ok(); }
  error& failure() & {
    assert(!ok());
    return *failure_;
  }
  const error& failure() const& {
    assert(!ok());
    return *failure_;
  }
  error&& failure() && {
    assert(!ok());
    return std::move(*failure_);
  }

private:
  std::optional<error> failure_;
};

} // namespace custos

/// Assigns the value of a result to `var`, or returns its error from the enclosing function.
#define CUSTOS_CONCAT_(a, b) a##b
#define CUSTOS_CONCAT(a, b) CUSTOS_CONCAT_(a, b)
#define CUSTOS_TRY(var, ...)                                                                       \
  auto CUSTOS_CONCAT(try_, __LINE__) = (__VA_ARGS__);                                              \
  if (!CUSTOS_CONCAT(try_, __LINE__))                                                              \
    return std::move(CUSTOS_CONCAT(try_, __LINE__)).failure();                                     \
  var = *std::move(CUSTOS_CONCAT(try_, __LINE__))
#define CUSTOS_CHECK(...)                                                                          \
  do {                                                                                             \
    auto try_status_ = (__VA_ARGS__);                                                              \
    if (!try_status_)                                                                              \
      return std::move(try_status_).failure();                                                     \
  } while (false)
