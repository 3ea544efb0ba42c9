#include "actors/attestation/boot_judgement.hpp"

#include "actors/attestation/secure_boot.hpp"

#include <algorithm>
#include <limits>

namespace custos::attestation {

namespace {

constexpr std::uint32_t ima_pcr = 10;
constexpr std::size_t watched_images_max = 8;

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

/// Judges one boot against one image after the other. The facts of Secure Boot are read once.
class judge {
public:
  judge(const attested_boot& evidence, const boot_policy& policy,
        const attestation_settings& settings, const eventlog::parsed_log& log,
        const eventlog::replayed& replayed)
      : evidence_(evidence), policy_(policy), settings_(settings), log_(log), replayed_(replayed) {}

  /// Nothing: the image accepts this boot, and `out` says what was found.
  std::optional<mismatch> try_image(const std::shared_ptr<const base_image>& image,
                                    boot_judgement& out) {
    const auto alg = crypto::hash_alg_of(image->bank);
    const auto* const quoted = alg ? find_bank(evidence_.banks, *alg) : nullptr;
    const auto* const bank = alg ? replayed_.find(*alg) : nullptr;
    if (quoted == nullptr || bank == nullptr || (pcrs_needed(*image) & ~quoted->mask) != 0 ||
        image->pcrs.empty())
      return mismatch{check_error("base-image", "",
                                  "base image " + image->name + " judges PCRs that are not quoted"),
                      0};
    if (auto m = match_image(*image, *quoted, log_, *bank))
      return m;
    boot_judgement found;
    found.image = image;
    if (image->secure_boot)
      if (auto boot =
              enforce("secure-boot", check_secure_boot_of(*image, *quoted, *bank, found), found);
          !boot)
        return mismatch{std::move(boot).failure(), matched_all};
    if (const auto* const index = policy_.ima_of(*image))
      if (auto ima = enforce("ima-log", check_ima_of(*index, found), found); !ima)
        return mismatch{std::move(ima).failure(), matched_all};
    out = std::move(found);
    return std::nullopt;
  }

private:
  static constexpr std::size_t matched_all = std::numeric_limits<std::size_t>::max();

  /// A check that is audited only leaves a finding instead of a refusal.
  result<void> enforce(const char* check, result<void> outcome, boot_judgement& found) const {
    if (outcome || std::find(settings_.audit_only.begin(), settings_.audit_only.end(), check) ==
                       settings_.audit_only.end())
      return outcome;
    found.findings.push_back({outcome.failure().check, outcome.failure().message});
    return {};
  }

  /// Check 16. Image or not, PCR 7 must be what the log leads to before its events say anything.
  result<void> check_secure_boot_of(const base_image& image, const quoted_bank& quoted,
                                    const eventlog::replayed_bank& replayed,
                                    boot_judgement& found) {
    const auto claimed = replayed.value(secure_boot_pcr);
    const auto value = quoted.values[secure_boot_pcr];
    if (!std::equal(claimed.begin(), claimed.end(), value.begin(), value.end())) {
      auto e = check_error("event-log-replay", "/event_log",
                           "the event log does not lead to the quoted value of PCR 7");
      e.pcr = secure_boot_pcr;
      return e;
    }
    if (!facts_ || facts_bank_ != quoted.alg) {
      facts_ = read_secure_boot(log_, quoted.alg);
      facts_bank_ = quoted.alg;
    }
    if (!*facts_)
      return about("/event_log", result<void>(facts_->failure()));
    found.secure_boot = (*facts_)->enabled;
    return about("/event_log", check_secure_boot(*image.secure_boot, **facts_));
  }

  /// Check 17.
  result<void> check_ima_of(const ima_index& index, boot_judgement& found) const {
    if (evidence_.ima_log.empty() && evidence_.ima_first == 0)
      return check_error("ima-log", "/ima_log", "the base image demands an IMA log");
    ima_input in;
    in.log = evidence_.ima_log;
    in.first = evidence_.ima_first;
    in.banks = evidence_.banks;
    in.boot = &replayed_;
    in.ak_name = evidence_.ak_name;
    in.reset_count = evidence_.reset_count;
    in.allow_sha1 = settings_.allow_sha1;
    in.limits.log_bytes_max = settings_.ima_log_bytes_max;
    CUSTOS_TRY(found.ima, about("/ima_log", check_ima(index, in, evidence_.ima)));
    return {};
  }

  const attested_boot& evidence_;
  const boot_policy& policy_;
  const attestation_settings& settings_;
  const eventlog::parsed_log& log_;
  const eventlog::replayed& replayed_;
  std::optional<result<secure_boot_facts>> facts_;
  crypto::hash_alg facts_bank_ = crypto::hash_alg::sha256;
};

/// The banks to replay: those that some image judges; SHA-1 decides only where it is allowed.
std::vector<crypto::hash_alg> banks_to_replay(const attested_boot& evidence,
                                              const boot_policy& policy,
                                              const attestation_settings& settings,
                                              const eventlog::parsed_log& log) {
  std::vector<crypto::hash_alg> out;
  for (const auto& b : evidence.banks)
    if (log.bank_index(b.alg) && (b.alg != crypto::hash_alg::sha1 || settings.allow_sha1) &&
        policy.judges(b.alg))
      out.push_back(b.alg);
  return out;
}

} // namespace

std::uint32_t pcrs_needed(const base_image& image) {
  std::uint32_t mask = pcrs_of(image);
  if (image.secure_boot)
    mask |= 1U << secure_boot_pcr;
  if (image.ima)
    mask |= 1U << ima_pcr;
  return mask;
}

result<void> check_selection(const boot_policy& policy, std::span<const quoted_bank> banks) {
  std::optional<error> first;
  for (const auto& image : policy.images()) {
    const auto alg = crypto::hash_alg_of(image->bank);
    const auto* const bank = alg ? find_bank(banks, *alg) : nullptr;
    const std::uint32_t missing = pcrs_needed(*image) & ~(bank == nullptr ? 0 : bank->mask);
    if (missing == 0)
      return {};
    if (first)
      continue;
    std::uint32_t pcr = 0;
    while (((missing >> pcr) & 1U) == 0)
      ++pcr;
    first = check_error("pcr-selection", "/quote",
                        "the quote does not cover PCR " + std::to_string(pcr) + " in bank " +
                            image->bank + ", which base image " + image->name + " needs");
    first->pcr = pcr;
  }
  if (first)
    return *std::move(first);
  return {}; // no image at all: check 15 says so
}

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
  const auto algs = banks_to_replay(evidence, policy, settings, log);
  CUSTOS_TRY(const auto replayed, about("/event_log", eventlog::replay(log, algs)));
  judge j(evidence, policy, settings, log, replayed);
  boot_judgement out;
  std::optional<mismatch> nearest;
  for (const auto& image : policy.images()) { // 13 to 17
    auto m = j.try_image(image, out);
    if (!m)
      break;
    if (!nearest || m->matched_events > nearest->matched_events)
      nearest = std::move(m);
  }
  if (!out.image && nearest)
    return about("/event_log", result<boot_judgement>(std::move(nearest->why)));
  if (!out.image)
    return check_error("base-image", "", "no base image is configured that this host could match");
  for (const auto& image : policy.watched()) {
    if (out.watched.size() == watched_images_max)
      break;
    boot_judgement ignored;
    out.watched.emplace_back(image->name, !j.try_image(image, ignored));
  }
  return out;
}

} // namespace custos::attestation
