#include "adapters/eventlog/event_types.hpp"
#include "adapters/eventlog/eventlog.hpp"

#include <algorithm>
#include <string>

namespace custos::eventlog {

namespace {

constexpr std::uint8_t hcrtm_locality = 4;
/// PCRs of the dynamic root of trust: all ones until a DRTM resets them (Part 1, 17.2).
constexpr std::uint32_t drtm_first = 17;
constexpr std::uint32_t drtm_last = 22;

/// The first measurement of PCR 0 tells, where no StartupLocality event does.
std::uint8_t locality_of(const parsed_log& log) {
  if (log.startup_locality)
    return *log.startup_locality;
  for (const auto& e : log.events)
    if (e.pcr == 0 && e.type != event_type::no_action)
      return e.type == event_type::efi_hcrtm_event ? hcrtm_locality : 0;
  return 0;
}

error bank_error(crypto::hash_alg alg, const std::string& what) {
  auto e = make_error(errc::malformed,
                      "event log, bank " + std::string(crypto::to_string(alg)) + ": " + what);
  e.check = "event-log-malformed";
  return e;
}

} // namespace

const replayed_bank* replayed::find(crypto::hash_alg alg) const {
  const auto at =
      std::find_if(banks.begin(), banks.end(), [&](const auto& b) { return b.alg == alg; });
  return at == banks.end() ? nullptr : &*at;
}

result<replayed> replay(const parsed_log& log, std::span<const crypto::hash_alg> banks) {
  replayed out;
  out.banks.reserve(banks.size());
  const auto locality = locality_of(log);
  for (const auto alg : banks) {
    if (out.find(alg) != nullptr)
      continue;
    const auto index = log.bank_index(alg);
    if (!index)
      return bank_error(alg, "the log has no digests of it");
    auto& bank = out.banks.emplace_back();
    bank.alg = alg;
    const auto size = crypto::digest_size(alg);
    for (auto pcr = drtm_first; pcr <= drtm_last; ++pcr)
      bank.values.at(pcr).fill(0xFF);
    bank.values[0].at(size - 1) = locality;
    for (const auto& e : log.events) {
      if (e.type == event_type::no_action)
        continue;
      const byte_view digest = log.digest(e, *index);
      if (digest.empty()) {
        auto failure = bank_error(alg, "event " + std::to_string(e.index) + " at offset " +
                                           std::to_string(e.offset) + " has no digest of it");
        failure.event = e.index;
        failure.pcr = e.pcr;
        return failure;
      }
      const auto value = std::span(bank.values.at(e.pcr)).first(size);
      crypto::digest_into(alg, {value, digest}, value);
      bank.touched |= 1U << e.pcr;
    }
  }
  return out;
}

} // namespace custos::eventlog
