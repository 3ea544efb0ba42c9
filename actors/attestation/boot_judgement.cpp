#include "actors/attestation/boot_judgement.hpp"

#include "actors/attestation/secure_boot.hpp"

#include <algorithm>
#include <limits>

namespace custos::attestation {

namespace {

error check_error(const char* check, const char* field, std::string message) {
  error e = field_error(errc::attestation_failed, field, std::move(message));
  e.check = check;
  return e;
}

/// What parsers and matchers say is about the field of the evidence that they were given.
template <class T>
result<T> about(const char* field, result<T> r) {
  if (!r && r.failure().field.empty())
    r.failure().field = field;
  return r;
}

const quoted_bank* find_bank(std::span<const quoted_bank> banks, crypto::hash_alg alg) {
  for (const auto& b : banks)
    if (b.alg == alg)
      return &b;
  return nullptr;
}

/// Check 9: every bank that the log says is active and that we accept is quoted and was extended.
result<void> check_banks(const eventlog::parsed_log& log, std::span<const quoted_bank> banks,
                         bool allow_sha1) {
  for (const auto& active : log.banks) {
    const auto alg = static_cast<crypto::hash_alg>(active.alg);
    const bool known = alg == crypto::hash_alg::sha256 || alg == crypto::hash_alg::sha384 ||
                       alg == crypto::hash_alg::sha512 ||
                       (alg == crypto::hash_alg::sha1 && allow_sha1);
    if (known && find_bank(banks, alg) == nullptr)
      return check_error("pcr-bank", "/quote",
                         "the bank " + std::string(crypto::to_string(alg)) +
                             " is active but not quoted");
  }
  for (const auto& b : banks)
    CUSTOS_CHECK(about("/pcrs", check_extended(b)));
  return {};
}

/// What images demand beyond their events, of one boot. The facts of Secure Boot are read once.
class demands {
public:
  demands(const attested_boot& evidence, const boot_policy& policy,
          const attestation_settings& settings, const eventlog::parsed_log& log,
          const eventlog::replayed& replayed)
      : evidence_(evidence), policy_(policy), settings_(settings), log_(log), replayed_(replayed) {}

  /// Checks 16 and 17 for an image whose events match; what was found is found().
  result<void> check(const base_image& image) {
    found_ = {};
    const auto alg = crypto::hash_alg_of(image.bank);
    if (image.secure_boot && alg)
      CUSTOS_CHECK(enforce("secure-boot", check_secure_boot_of(*image.secure_boot, *alg)));
    if (image.ima)
      CUSTOS_CHECK(enforce("ima-log", check_ima_of(image)));
    return {};
  }
  [[nodiscard]] boot_judgement& found() { return found_; }

private:
  /// A check that is audited only leaves a finding instead of a refusal.
  result<void> enforce(const char* check, result<void> outcome) {
    if (outcome || std::find(settings_.audit_only.begin(), settings_.audit_only.end(), check) ==
                       settings_.audit_only.end())
      return outcome;
    found_.findings.push_back({outcome.failure().check, outcome.failure().message});
    return {};
  }

  /// Check 16. That PCR 7 is what the log leads to was checked with the image's events.
  result<void> check_secure_boot_of(const secure_boot_demand& demand, crypto::hash_alg bank) {
    if (!facts_ || facts_bank_ != bank) {
      facts_ = read_secure_boot(log_, bank);
      facts_bank_ = bank;
    }
    if (!*facts_)
      return about("/event_log", result<void>(facts_->failure()));
    found_.secure_boot = (*facts_)->enabled;
    return about("/event_log", check_secure_boot(demand, **facts_));
  }

  /// Check 17.
  result<void> check_ima_of(const base_image& image) {
    const auto* const index = policy_.ima_of(image);
    if (index == nullptr)
      return check_error("ima-log", "",
                         "the IMA policy of base image " + image.name +
                             " has a signer that cannot be used");
    if (evidence_.ima_log.empty() && evidence_.ima_first == 0)
      return check_error("ima-log", "/ima_log",
                         "base image " + image.name + " demands an IMA log, and none was sent");
    ima_input in;
    in.log = evidence_.ima_log;
    in.first = evidence_.ima_first;
    in.banks = evidence_.banks;
    in.boot = &replayed_;
    in.ak_name = evidence_.ak_name;
    in.reset_count = evidence_.reset_count;
    in.allow_sha1 = settings_.allow_sha1;
    in.limits.log_bytes_max = settings_.ima_log_bytes_max;
    CUSTOS_TRY(found_.ima, about("/ima_log", check_ima(*index, in, evidence_.ima)));
    return {};
  }

  const attested_boot& evidence_;
  const boot_policy& policy_;
  const attestation_settings& settings_;
  const eventlog::parsed_log& log_;
  const eventlog::replayed& replayed_;
  boot_judgement found_;
  std::optional<result<secure_boot_facts>> facts_;
  crypto::hash_alg facts_bank_ = crypto::hash_alg::sha256;
};

/// SHA-1 decides only where it is allowed.
std::vector<quoted_bank> banks_that_decide(std::span<const quoted_bank> banks,
                                           const attestation_settings& settings) {
  std::vector<quoted_bank> out(banks.begin(), banks.end());
  if (!settings.allow_sha1)
    out.erase(std::remove_if(out.begin(), out.end(),
                             [](const auto& b) { return b.alg == crypto::hash_alg::sha1; }),
              out.end());
  return out;
}

/// Check 13 beyond the image's own bank. IMA extends its PCR after the boot log has ended.
result<void> check_all_banks(const attested_boot& evidence, const eventlog::parsed_log& log,
                             const eventlog::replayed& replayed, const base_image& image) {
  const auto pcrs = pcrs_of(image) & ~(1U << ima::measured_pcr);
  return about("/event_log", check_banks_agree(evidence.banks, log, replayed, pcrs));
}

} // namespace

result<boot_judgement> judge_boot(const attested_boot& evidence, const boot_policy& policy,
                                  const attestation_settings& settings) {
  eventlog::limits limits;
  limits.log_bytes_max = settings.event_log_bytes_max;
  limits.events_max = settings.events_max;
  CUSTOS_TRY(const auto log,
             about("/event_log", eventlog::parse(evidence.event_log, limits))); // 12
  if (!log.crypto_agile && !settings.allow_sha1)
    return check_error("event-log-malformed", "/event_log",
                       "the event log has the old SHA-1 form, which is not allowed");
  CUSTOS_CHECK(check_banks(log, evidence.banks, settings.allow_sha1)); // 9
  CUSTOS_TRY(const auto replayed,
             about("/event_log", eventlog::replay(log, logged_banks(evidence.banks, log))));
  const auto deciding = banks_that_decide(evidence.banks, settings);
  const boot_evidence boot{deciding, log, replayed};
  demands also(evidence, policy, settings, log, replayed);
  const demand_check check = [&also](const base_image& image) { return also.check(image); };
  auto outcome = policy.images().find(boot, check); // 13 to 17
  if (outcome.why)
    return about("/event_log", result<boot_judgement>(*std::move(outcome.why)));
  CUSTOS_CHECK(check_all_banks(evidence, log, replayed, *outcome.image)); // 13
  auto out = std::move(also.found());
  out.image = std::move(outcome.image);
  const auto watched = policy.images().audit(boot, check);
  for (const auto& image : watched.matching)
    out.watched.emplace_back(image->name, true);
  for (const auto& image : watched.differing)
    out.watched.emplace_back(image->name, false);
  return out;
}

} // namespace custos::attestation
