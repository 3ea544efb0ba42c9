#pragma once
// A boot made up for a test, with everything that looks into it.

#include "actors/attestation/image_index.hpp"
#include "adapters/eventlog/event_types.hpp"
#include "adapters/eventlog/writer.hpp"
#include "tests/unit/actors/attestation/software_tpm.hpp"

#include <string>
#include <utility>
#include <vector>

namespace custos::attestation::test {

/// PCR, and what was measured into it.
using measured = std::vector<std::pair<std::uint32_t, std::string>>;

/// A boot, with everything that looks into it. PCRs 0-7 are ended by their separators, as firmware
/// does.
class booted {
public:
  explicit booted(const measured& events, std::uint8_t locality = 0,
                  std::uint32_t first_type = eventlog::event_type::efi_action) {
    if (locality == 3)
      writer_.add_startup_locality(locality);
    auto type = first_type;
    for (const auto& [pcr, text] : events) {
      writer_.add_hashed(pcr, type, as_bytes(text));
      type = eventlog::event_type::efi_action;
    }
    for (std::uint32_t pcr = 0; pcr < 8; ++pcr)
      writer_.add_hashed(pcr, eventlog::event_type::separator, bytes(4, 0));
    log_ = must(eventlog::parse(writer_.log()));
    replayed_ = must(eventlog::replay(log_, banks));
    for (const auto alg : banks) {
      quoted_bank b{alg, all_pcrs, {}};
      for (std::uint32_t pcr = 0; pcr < eventlog::pcrs_max; ++pcr)
        b.values.at(pcr) = replayed_.find(alg)->value(pcr);
      quoted.push_back(b);
    }
  }
  booted(const booted&) = delete;
  booted& operator=(const booted&) = delete;
  [[nodiscard]] const eventlog::parsed_log& log() const { return log_; }
  [[nodiscard]] const bytes& raw() const { return writer_.log(); }
  [[nodiscard]] boot_evidence evidence() const { return {quoted, log_, replayed_}; }
  [[nodiscard]] base_image image(const std::string& name, std::uint32_t pcrs = 1U << 4,
                                 crypto::hash_alg bank = crypto::hash_alg::sha256) const {
    return must(image_from_log(log_, bank, pcrs, name, "1"));
  }
  [[nodiscard]] bytes value(std::uint32_t pcr) const {
    return to_bytes(replayed_.banks.front().value(pcr));
  }

  std::vector<quoted_bank> quoted;

private:
  static constexpr std::array<crypto::hash_alg, 2> banks{crypto::hash_alg::sha256,
                                                         crypto::hash_alg::sha384};
  eventlog::writer writer_{banks};
  eventlog::parsed_log log_;
  eventlog::replayed replayed_;
};

} // namespace custos::attestation::test
