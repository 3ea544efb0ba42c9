// The event log parser on arbitrary octets, and everything that reads what it accepted.

#include "actors/attestation/secure_boot.hpp"
#include "actors/attestation/separators.hpp"
#include "adapters/eventlog/event_types.hpp"

#include <array>
#include <cstdlib>

namespace {

using namespace custos;
using namespace custos::eventlog;
using crypto::hash_alg;

constexpr std::array<hash_alg, 4> all_banks{hash_alg::sha1, hash_alg::sha256, hash_alg::sha384,
                                            hash_alg::sha512};

void require(bool holds) {
  if (!holds)
    std::abort();
}

bool inside(byte_view part, byte_view whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

/// The state of Secure Boot is read or refused with a reason, and never read of an unsound PCR 7.
void secure_boot(const parsed_log& log, hash_alg bank) {
  constexpr std::uint32_t pcr7 = 1U << attestation::secure_boot_pcr;
  const auto separated = attestation::check_separators(log, bank, attestation::firmware_pcrs);
  require(separated || (separated.failure().check == "separator" && separated.failure().pcr < 8U));
  const auto facts = attestation::read_secure_boot(log, bank);
  if (!facts) {
    require(facts.failure().pcr == attestation::secure_boot_pcr);
    require(facts.failure().check == "secure-boot" || facts.failure().check == "event-data");
    return;
  }
  require(attestation::check_separators(log, bank, pcr7).ok());
  for (const auto& a : facts->authorities)
    require(a.event < log.events.size() && log.events[a.event].pcr == attestation::secure_boot_pcr);
  const secure_boot_demand enabled;
  require(facts->enabled || !attestation::check_secure_boot(enabled, *facts));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const byte_view input(data, size);
  const auto log = parse(input, {.log_bytes_max = std::size_t{1} << 16, .events_max = 512});
  if (!log) {
    require(!log.failure().check.empty());
    return 0;
  }
  require(!log->events.empty() && log->events.size() <= 512);
  require(log->digest_offsets.size() == log->events.size() * log->banks.size());
  // Every byte is accounted for: events follow each other without a gap, then padding.
  const auto& last = log->events.back();
  const auto* const end = last.data.empty() ? nullptr : last.data.data() + last.data.size();
  require(end == nullptr || end + log->padding_bytes == data + size);
  for (const auto& e : log->events) {
    require(inside(e.data, input));
    require(e.pcr < pcrs_max || e.type == event_type::no_action);
    require(describe(e).size() <= hint_chars_max);
    for (const auto bank : all_banks) {
      require(inside(log->digest(e, bank), input));
      const auto part = measured_data(*log, e, bank, {.shim_extra_byte = true});
      require(!part || inside(*part, e.data));
    }
  }
  for (const auto bank : all_banks) {
    const std::array<hash_alg, 1> one{bank};
    const auto values = replay(*log, one);
    require(!values || values->banks.size() == 1);
    if (log->bank_index(bank))
      secure_boot(*log, bank);
  }
  return 0;
}
