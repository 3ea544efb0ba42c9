#pragma once
// What follows from a failed attempt, or from a gate that refuses the token. Pure.

#include "messages/error.hpp"

#include <cstdint>

namespace custos::host {

/// A failure that a new quote may cure is tried again at once so often in a row, then as others.
inline constexpr unsigned soon_attempts_max = 3;
inline constexpr std::uint32_t retry_after_s_max = 300;

class attempt_policy {
public:
  struct consequence {
    bool drop_token = false;       ///< the verdict is no: what was granted before says nothing now
    bool forget_enrolment = false; ///< the attestation key's certificate is no longer taken
    std::uint32_t wait_s = 0;
  };
  /// `jitter` as for back_off_s.
  consequence failed(const error& e, std::uint8_t jitter);
  /// The gate refused the token: seconds to the next attempt, none the first time. A gate that
  /// takes no token at all does not make a host attest without end.
  std::uint32_t refused_by_gate(std::uint8_t jitter);

  void granted() { failures_ = soon_ = 0; }
  void key_released() { gate_refusals_ = 0; }
  /// Somebody asks for an attempt now, or another configuration is in force.
  void begin_anew() { failures_ = soon_ = 0; }

private:
  std::uint32_t failures_ = 0;
  std::uint32_t soon_ = 0; ///< attempts in a row that were made at once
  std::uint32_t gate_refusals_ = 0;
};

/// Refusals of a gate that a new token may cure: host, image or boot are not any more what the
/// token says. Access rules are not among them.
bool wants_new_token(const error& e);

} // namespace custos::host
