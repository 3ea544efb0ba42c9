#include "actors/host/attempt_policy.hpp"

#include "actors/host/services.hpp"

#include <algorithm>

namespace custos::host {

namespace {

constexpr std::uint32_t soon_s = 1;

} // namespace

attempt_policy::consequence attempt_policy::failed(const error& e, std::uint8_t jitter) {
  ++failures_;
  consequence out;
  const bool old_certificate = e.check == "ak-certificate";
  const bool refused = e.code == errc::attestation_failed || old_certificate;
  const bool soon = refused && (e.retryable || old_certificate) && soon_ < soon_attempts_max;
  soon_ += soon ? 1 : 0;
  out.forget_enrolment = old_certificate || e.check == "ek-not-trusted";
  out.drop_token = refused && !(soon && e.retryable);
  out.wait_s = soon ? soon_s : back_off_s(failures_, jitter);
  if (e.retry_after_s)
    out.wait_s = std::max(out.wait_s, std::min(*e.retry_after_s, retry_after_s_max));
  return out;
}

std::uint32_t attempt_policy::refused_by_gate(std::uint8_t jitter) {
  const auto wait = gate_refusals_ == 0 ? 0 : back_off_s(gate_refusals_, jitter);
  ++gate_refusals_;
  return wait;
}

bool wants_new_token(const error& e) {
  if (e.code == errc::token_invalid || e.code == errc::unauthenticated)
    return true;
  return e.code == errc::forbidden && e.check.rfind("gate-", 0) == 0 && e.check != "gate-access";
}

} // namespace custos::host
