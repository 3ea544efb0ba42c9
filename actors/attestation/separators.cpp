#include "actors/attestation/separators.hpp"

#include "adapters/eventlog/event_types.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

namespace custos::attestation {

namespace {

namespace et = eventlog::event_type;

constexpr std::uint32_t boot_loader_pcr = 4;
constexpr std::string_view calling = "Calling EFI Application from Boot Option";

constexpr std::array<std::uint8_t, 4> success_value{0, 0, 0, 0};
/// The profile gives a number and no byte order.
constexpr std::array<std::array<std::uint8_t, 4>, 3> error_values{
    {{1, 0, 0, 0}, {0, 0, 0, 1}, {0xFF, 0xFF, 0xFF, 0xFF}}};

/// The digest of a fixed value, computed once for a whole log.
class digest_of {
public:
  digest_of(crypto::hash_alg bank, byte_view value) : size_(crypto::digest_size(bank)) {
    crypto::digest_into(bank, {value}, std::span(octets_).first(size_));
  }
  [[nodiscard]] bool is(byte_view digest) const {
    return digest.size() == size_ && std::equal(digest.begin(), digest.end(), octets_.begin());
  }

private:
  std::array<std::uint8_t, eventlog::digest_bytes_max> octets_{};
  std::size_t size_;
};

error refused(std::uint32_t pcr, const eventlog::event* e, const std::string& what) {
  auto failure = make_error(errc::attestation_failed, "PCR " + std::to_string(pcr) + ": " + what);
  failure.check = "separator";
  failure.pcr = pcr;
  if (e != nullptr)
    failure.event = e->index;
  return failure;
}

result<void> check_one(const eventlog::event& e, byte_view digest, crypto::hash_alg bank,
                       const digest_of& success) {
  if (success.is(digest))
    return {};
  if (kind_of_separator(digest, bank) == separator_kind::firmware_error)
    return refused(e.pcr, &e, "the firmware ended it with an error separator");
  return refused(e.pcr, &e, "expected a separator over 00000000, found one over something else");
}

} // namespace

separator_kind kind_of_separator(byte_view digest, crypto::hash_alg bank) {
  if (digest_of(bank, success_value).is(digest))
    return separator_kind::success;
  for (const auto& value : error_values)
    if (digest_of(bank, value).is(digest))
      return separator_kind::firmware_error;
  return separator_kind::other;
}

result<void> check_separators(const eventlog::parsed_log& log, crypto::hash_alg bank,
                              std::uint32_t pcrs) {
  pcrs &= firmware_pcrs;
  const digest_of success(bank, success_value);
  const digest_of call(bank, as_bytes(calling));
  std::uint32_t ended = 0;
  bool called = false;
  for (const auto& e : log.events) {
    if (e.pcr >= eventlog::pcrs_max || (pcrs >> e.pcr & 1U) == 0 || e.type == et::no_action)
      continue;
    const auto digest = log.digest(e, bank);
    const bool separated = (ended >> e.pcr & 1U) != 0;
    if (e.type == et::separator) {
      if (separated)
        return refused(e.pcr, &e, "a second separator");
      CUSTOS_CHECK(check_one(e, digest, bank, success));
      ended |= 1U << e.pcr;
    } else if (e.pcr == boot_loader_pcr && call.is(digest)) {
      // Behind the separator the firmware says so again for each further boot option it tries.
      if (!called && separated)
        return refused(e.pcr, &e, "the first call of a boot option lies behind the separator");
      if (called && !separated)
        return refused(e.pcr, &e, "a second call of a boot option before the separator");
      called = true;
    }
  }
  for (std::uint32_t pcr = 0; (firmware_pcrs >> pcr & 1U) != 0; ++pcr)
    if (((pcrs & ~ended) >> pcr & 1U) != 0)
      return refused(pcr, nullptr, "expected a separator; the log has none");
  return {};
}

} // namespace custos::attestation
