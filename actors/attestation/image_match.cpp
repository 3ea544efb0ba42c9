#include "actors/attestation/image_match.hpp"

#include "actors/attestation/secure_boot.hpp"
#include "actors/attestation/separators.hpp"
#include "adapters/eventlog/event_types.hpp"
#include "adapters/ima/ima.hpp"

#include <algorithm>

namespace custos::attestation {

namespace {

mismatch fail(const char* check, std::uint32_t pcr, std::optional<std::uint32_t> event,
              std::string message) {
  mismatch m;
  m.why = make_error(errc::attestation_failed, std::move(message));
  m.why.check = check;
  m.why.pcr = pcr;
  m.why.event = event;
  return m;
}

std::string event_text(const eventlog::event& e, byte_view digest) {
  return eventlog::type_text(e.type) + " '" + eventlog::describe(e) + "' with digest " +
         crypto::hex(digest);
}

std::string event_text(const image_event& e) {
  return eventlog::type_text(e.type) + " '" + e.hint + "' with digest " + crypto::hex(e.digest);
}

bool same(const eventlog::event& found, byte_view digest, const image_event& expected) {
  // The type is not measured: it may not decide alone, but a log that renames an event lies.
  return found.type == expected.type &&
         std::equal(digest.begin(), digest.end(), expected.digest.begin(), expected.digest.end());
}

/// Goes through the measured events of one PCR.
class pcr_matcher {
public:
  pcr_matcher(const base_image& image, const pcr_policy& policy, const eventlog::parsed_log& log,
              std::size_t bank)
      : image_(image), policy_(policy), log_(log), bank_(bank) {}

  std::optional<mismatch> match(std::size_t& matched) const {
    std::size_t next = 0;
    for (const auto& e : log_.events) {
      if (e.pcr != policy_.pcr || e.type == eventlog::event_type::no_action)
        continue;
      const auto digest = log_.digest(e, bank_);
      if (policy_.form == pcr_form::ordered) {
        if (next == policy_.events.size())
          return refuse(e, digest, "no further event");
        if (!same(e, digest, policy_.events[next]))
          return refuse(e, digest, event_text(policy_.events[next]));
        ++next;
      } else if (std::none_of(policy_.events.begin(), policy_.events.end(),
                              [&](const image_event& x) { return same(e, digest, x); })) {
        return refuse(e, digest, "one of its events");
      }
      ++matched;
    }
    if (policy_.form == pcr_form::ordered && next != policy_.events.size())
      return fail("base-image", policy_.pcr, std::nullopt,
                  where() + " expects " + event_text(policy_.events[next]) +
                      ", but the log ends before it");
    return std::nullopt;
  }

private:
  [[nodiscard]] std::string where() const {
    return "base image " + image_.name + " " + image_.version + ", PCR " +
           std::to_string(policy_.pcr) + ":";
  }
  [[nodiscard]] mismatch refuse(const eventlog::event& e, byte_view digest,
                                const std::string& expected) const {
    return fail("base-image", policy_.pcr, e.index,
                where() + " expected " + expected + ", found " + event_text(e, digest));
  }

  const base_image& image_;
  const pcr_policy& policy_;
  const eventlog::parsed_log& log_;
  std::size_t bank_;
};

bool is_among(byte_view value, const std::vector<bytes>& values) {
  return std::any_of(values.begin(), values.end(), [&](const bytes& v) {
    return std::equal(v.begin(), v.end(), value.begin(), value.end());
  });
}

mismatch replay_differs(std::uint32_t pcr, crypto::hash_alg bank) {
  return fail("event-log-replay", pcr, std::nullopt,
              "the event log does not lead to the quoted value of PCR " + std::to_string(pcr) +
                  " in bank " + std::string(crypto::to_string(bank)));
}

/// Check 13 for one PCR: what the log claims is what the TPM signed. A PCR with no events must have
/// its reset value, or be judged by its value alone.
std::optional<mismatch> check_replay(const pcr_policy& policy, const quoted_bank& quoted,
                                     const eventlog::replayed_bank& replayed) {
  const auto value = quoted.values[policy.pcr];
  const bool has_events = ((replayed.touched >> policy.pcr) & 1U) != 0;
  if (policy.form == pcr_form::exact && !has_events)
    return std::nullopt;
  const auto claimed = replayed.value(policy.pcr);
  if (std::equal(claimed.begin(), claimed.end(), value.begin(), value.end()))
    return std::nullopt;
  return replay_differs(policy.pcr, quoted.alg);
}

/// PCRs whose separators the image's verdict rests on: not those that it knows by their value alone
/// and that no event explains.
std::uint32_t separated_pcrs(const base_image& image, const eventlog::replayed_bank& replayed) {
  std::uint32_t mask = 0;
  for (const auto& p : image.pcrs)
    if (p.form != pcr_form::exact || (replayed.touched >> p.pcr & 1U) != 0)
      mask |= 1U << p.pcr;
  return image.secure_boot ? mask | 1U << secure_boot_pcr : mask;
}

} // namespace

result<crypto::hash_alg> bank_of(const base_image& image) {
  return crypto::hash_alg_of(image.bank);
}

std::uint32_t pcrs_of(const base_image& image) {
  std::uint32_t mask = 0;
  for (const auto& p : image.pcrs)
    mask |= 1U << p.pcr;
  if (image.secure_boot)
    mask |= 1U << secure_boot_pcr;
  if (image.ima)
    mask |= 1U << ima::measured_pcr;
  return mask;
}

std::vector<quoted_bank> quoted_banks(const tpm::attest& quote,
                                      const std::vector<pcr_value>& values) {
  std::vector<quoted_bank> out;
  for (const auto& s : quote.selection) {
    quoted_bank b;
    b.alg = s.bank;
    b.mask = s.mask;
    for (const auto& v : values)
      if (v.bank == static_cast<std::uint16_t>(s.bank) && v.pcr < eventlog::pcrs_max &&
          ((s.mask >> v.pcr) & 1U) != 0)
        b.values[v.pcr] = v.value;
    out.push_back(b);
  }
  return out;
}

std::vector<crypto::hash_alg> logged_banks(std::span<const quoted_bank> banks,
                                           const eventlog::parsed_log& log) {
  std::vector<crypto::hash_alg> out;
  for (const auto& b : banks)
    if (log.bank_index(b.alg))
      out.push_back(b.alg);
  return out;
}

result<void> check_extended(const quoted_bank& bank) {
  for (std::uint32_t pcr = 0; pcr < eventlog::pcrs_max; ++pcr) {
    if (((bank.mask & firmware_pcrs) >> pcr & 1U) == 0)
      continue;
    const auto v = bank.values[pcr];
    const bool trivial = std::all_of(v.begin(), v.end(), [](auto o) { return o == 0; }) ||
                         std::all_of(v.begin(), v.end(), [](auto o) { return o == 0xFF; });
    if (trivial)
      return fail("pcr-bank", pcr, std::nullopt,
                  "PCR " + std::to_string(pcr) + " of bank " +
                      std::string(crypto::to_string(bank.alg)) + " was never extended")
          .why;
  }
  return {};
}

result<void> check_banks_agree(std::span<const quoted_bank> banks, const eventlog::parsed_log& log,
                               const eventlog::replayed& replayed, std::uint32_t pcrs) {
  for (const auto& b : banks) {
    const auto* const claimed = log.bank_index(b.alg) ? replayed.find(b.alg) : nullptr;
    if (claimed == nullptr)
      return fail("pcr-bank", 0, std::nullopt,
                  "the bank " + std::string(crypto::to_string(b.alg)) +
                      " is quoted, but the event log has nothing of it")
          .why;
    for (std::uint32_t pcr = 0; pcr < eventlog::pcrs_max; ++pcr) {
      if (((pcrs & b.mask & claimed->touched) >> pcr & 1U) == 0)
        continue;
      const auto value = claimed->value(pcr);
      if (!std::equal(value.begin(), value.end(), b.values[pcr].begin(), b.values[pcr].end()))
        return replay_differs(pcr, b.alg).why;
    }
  }
  return {};
}

result<void> check_event_data(std::uint32_t pcrs, crypto::hash_alg bank,
                              const eventlog::parsed_log& log) {
  for (const auto& e : log.events) {
    if (e.pcr >= eventlog::pcrs_max || ((pcrs >> e.pcr) & 1U) == 0 ||
        !eventlog::data_is_hashed(e.type))
      continue;
    CUSTOS_CHECK(eventlog::measured_data(log, e, bank, {.shim_extra_byte = true}));
  }
  return {};
}

std::optional<mismatch> match_image(const base_image& image, const quoted_bank& quoted,
                                    const eventlog::parsed_log& log,
                                    const eventlog::replayed_bank& replayed) {
  const auto bank = log.bank_index(quoted.alg);
  if (!bank)
    return fail("pcr-bank", 0, std::nullopt, "the event log has no bank " + image.bank);
  for (const auto& policy : image.pcrs)
    if (auto m = check_replay(policy, quoted, replayed))
      return m;
  // The state of Secure Boot is read from events, whatever the image makes of PCR 7 itself.
  if (image.secure_boot)
    if (auto m = check_replay({secure_boot_pcr, pcr_form::ignored, {}, {}}, quoted, replayed))
      return m;
  if (auto ended = check_separators(log, quoted.alg, separated_pcrs(image, replayed)); !ended)
    return mismatch{std::move(ended).failure(), 0};
  if (auto data = check_event_data(pcrs_of(image), quoted.alg, log); !data)
    return mismatch{std::move(data).failure(), 0};
  std::size_t matched = 0;
  std::optional<mismatch> first;
  for (const auto& policy : image.pcrs) {
    std::optional<mismatch> m;
    if (policy.form == pcr_form::exact && !is_among(quoted.values[policy.pcr], policy.values))
      m = fail("base-image", policy.pcr, std::nullopt,
               "base image " + image.name + " " + image.version + ": PCR " +
                   std::to_string(policy.pcr) + " has the value " +
                   crypto::hex(quoted.values[policy.pcr]) + ", which is none of the accepted ones");
    else if (policy.form == pcr_form::ordered || policy.form == pcr_form::set)
      m = pcr_matcher(image, policy, log, *bank).match(matched);
    // All PCRs are gone through even after a difference: the image that shares most is the nearest.
    if (m && !first)
      first = std::move(m);
  }
  if (first)
    first->matched_events = matched;
  return first;
}

result<base_image> image_from_log(const eventlog::parsed_log& log, crypto::hash_alg bank,
                                  std::uint32_t pcrs, std::string name, std::string version) {
  const auto index = log.bank_index(bank);
  if (!index)
    return field_error(errc::invalid_argument, "bank",
                       "the event log has no bank " + std::string(crypto::to_string(bank)));
  base_image image;
  image.name = std::move(name);
  image.version = std::move(version);
  image.bank = crypto::to_string(bank);
  for (std::uint32_t pcr = 0; pcr < eventlog::pcrs_max; ++pcr) {
    if (((pcrs >> pcr) & 1U) == 0)
      continue;
    pcr_policy policy;
    policy.pcr = pcr;
    for (const auto& e : log.events)
      if (e.pcr == pcr && e.type != eventlog::event_type::no_action)
        policy.events.push_back({e.type, to_bytes(log.digest(e, *index)), eventlog::describe(e)});
    if (!policy.events.empty())
      image.pcrs.push_back(std::move(policy));
  }
  if (image.pcrs.empty())
    return make_error(errc::invalid_argument, "the event log has no events in the PCRs asked for");
  return image;
}

} // namespace custos::attestation
