#pragma once
// Between result<T> (CAF-free code) and caf::result<T> / caf::error (actor edges).

#include "messages/error.hpp"

#include <caf/all.hpp>

namespace custos {

/// Category of our errors in caf::error.
inline constexpr caf::atom_value error_category = caf::atom("custos");

/// The whole error travels in the context, so nothing is lost at an actor edge.
inline caf::error to_caf(error e) {
  const auto code = static_cast<std::uint8_t>(e.code);
  return caf::error{code, error_category, caf::make_message(std::move(e))};
}

template <class T>
caf::result<T> to_caf(result<T> r) {
  if (!r)
    return to_caf(std::move(r).failure());
  return *std::move(r);
}

/// Back again; CAF's own errors (timeouts, dead actors) are translated.
inline error from_caf(const caf::error& e) {
  if (e.category() == error_category && e.context().size() == 1 &&
      e.context().match_element<error>(0))
    return e.context().get_as<error>(0);
  if (e == caf::sec::request_timeout)
    return make_error(errc::timeout, "the service did not answer in time");
  if (e == caf::sec::request_receiver_down || e.category() == caf::atom("exit"))
    return make_error(errc::unavailable, "the service is stopping");
  return make_error(errc::internal, "unexpected failure inside the service: " + caf::to_string(e));
}

} // namespace custos
