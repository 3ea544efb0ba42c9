#pragma once
// Cuts, doubles and swaps the events of a boot log, as somebody would who hides what was booted.

#include "adapters/eventlog/event_types.hpp"
#include "adapters/eventlog/eventlog.hpp"
#include "tests/unit/actors/attestation/software_tpm.hpp"

namespace custos::attestation::test {

class log_surgery {
public:
  explicit log_surgery(bytes log) : log_(std::move(log)), parsed_(must(eventlog::parse(log_))) {}
  log_surgery(const log_surgery&) = delete; // parsed_ looks into log_
  log_surgery& operator=(const log_surgery&) = delete;

  [[nodiscard]] const std::vector<eventlog::event>& events() const { return parsed_.events; }
  [[nodiscard]] const eventlog::parsed_log& parsed() const { return parsed_; }

  [[nodiscard]] bytes without(const eventlog::event& e) const {
    return with(
        e, [](bytes&) {}, false);
  }
  [[nodiscard]] bytes doubled(const eventlog::event& e) const {
    bytes out = log_;
    const auto one = bytes_of(e);
    out.insert(out.begin() + e.offset, one.begin(), one.end());
    return out;
  }
  /// `first` lies before `second`.
  [[nodiscard]] bytes swapped(const eventlog::event& first, const eventlog::event& second) const {
    const auto a = bytes_of(first);
    const auto b = bytes_of(second);
    bytes out(log_.begin(), log_.begin() + first.offset);
    out.insert(out.end(), b.begin(), b.end());
    out.insert(out.end(), log_.begin() + first.offset + static_cast<long>(a.size()),
               log_.begin() + second.offset);
    out.insert(out.end(), a.begin(), a.end());
    out.insert(out.end(), log_.begin() + second.offset + static_cast<long>(b.size()), log_.end());
    return out;
  }
  [[nodiscard]] bytes with_pcr(const eventlog::event& e, std::uint32_t pcr) const {
    return with(e, [&](bytes& one) { put_u32(one, 0, pcr); });
  }
  [[nodiscard]] bytes with_type(const eventlog::event& e, std::uint32_t type) const {
    return with(e, [&](bytes& one) { put_u32(one, 4, type); });
  }
  /// The event must have data.
  [[nodiscard]] bytes with_other_data(const eventlog::event& e) const {
    return with(e, [](bytes& one) { one.back() ^= 1; });
  }

private:
  [[nodiscard]] bytes bytes_of(const eventlog::event& e) const {
    const auto end = (e.data.data() - log_.data()) + static_cast<long>(e.data.size());
    return {log_.begin() + e.offset, log_.begin() + end};
  }
  template <class Change>
  [[nodiscard]] bytes with(const eventlog::event& e, Change change, bool keep = true) const {
    auto one = bytes_of(e);
    bytes out(log_.begin(), log_.begin() + e.offset);
    const auto behind = log_.begin() + e.offset + static_cast<long>(one.size());
    change(one);
    if (keep)
      out.insert(out.end(), one.begin(), one.end());
    out.insert(out.end(), behind, log_.end());
    return out;
  }
  static void put_u32(bytes& one, std::size_t at, std::uint32_t value) {
    for (unsigned i = 0; i < 4; ++i)
      one.at(at + i) = static_cast<std::uint8_t>(value >> (8 * i));
  }

  bytes log_;
  eventlog::parsed_log parsed_;
};

} // namespace custos::attestation::test
