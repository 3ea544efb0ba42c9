#include "actors/attestation/reappraisal.hpp"

#include "actors/attestation/ak_certificate.hpp"
#include "actors/attestation/image_explain.hpp"

#include <boost/json.hpp>

namespace custos::attestation {

namespace bj = boost::json;

namespace {

error refused(const char* check, std::string message) {
  auto e = make_error(errc::attestation_failed, std::move(message));
  e.check = check;
  return e;
}

/// The values that were kept, as the quote's banks: what was kept had been authenticated.
std::vector<quoted_bank> banks_of(const kept_evidence& e) {
  std::vector<quoted_bank> out;
  for (const auto& v : e.pcrs) {
    const auto alg = static_cast<crypto::hash_alg>(v.bank);
    if (out.empty() || out.back().alg != alg) {
      out.emplace_back();
      out.back().alg = alg;
    }
    out.back().mask |= 1U << v.pcr;
    out.back().values.at(v.pcr) = v.value;
  }
  return out;
}

result<void> check_host(const kept_evidence& e, const ak_identity& who,
                        const config_snapshot& config) {
  const auto bound = config.hosts.find(e.host);
  if (bound == config.hosts.end())
    return {};
  if (bound->second.quarantined)
    return refused("host-quarantined", "the host is quarantined");
  if (!crypto::equal(bound->second.ek_spki_sha256, crypto::sha256(who.ek_spki)))
    return refused("host-binding", "the host id is bound to another endorsement key");
  return {};
}

bj::object json_of(const result<boot_judgement>& r) {
  bj::object out{{"accepted", r.ok()}};
  if (r) {
    out["image"] = r->image->name;
    out["image_version"] = r->image->version;
    return out;
  }
  const auto& why = r.failure();
  out["check"] = why.check.empty() ? std::string(to_string(why.code)) : why.check;
  out["message"] = why.message;
  if (why.pcr)
    out["pcr"] = *why.pcr;
  if (why.event)
    out["event"] = *why.event;
  return out;
}

} // namespace

appraisal_context make_context(config_ptr config, crypto::certificate ak_ca, std::int64_t now) {
  appraisal_context out;
  out.policy = std::make_shared<const boot_policy>(config->base_images);
  out.trust = std::make_shared<const trust_index>(*config);
  out.config = std::move(config);
  out.ak_ca = std::move(ak_ca);
  out.now = now;
  return out;
}

result<boot_judgement> reappraise(const kept_evidence& e, const appraisal_context& context) {
  CUSTOS_TRY(const auto who, read_ak_certificate(e.ak_certificate, context.ak_ca));
  CUSTOS_TRY(const auto ek_public, crypto::public_key_from_spki(who.ek_spki));
  CUSTOS_TRY(const auto fingerprint,
             check_ek_trust({ek_public, who.ek_chain, who.ak.name}, *context.trust, context.now));
  static_cast<void>(fingerprint);
  CUSTOS_CHECK(check_host(e, who, *context.config));
  const auto banks = banks_of(e);
  CUSTOS_CHECK(context.policy->images().check_selection(banks));
  attested_boot boot;
  boot.banks = banks;
  boot.event_log = e.event_log;
  boot.ima_log = e.ima_log;
  boot.ak_name = who.ak.name;
  boot.reset_count = e.reset_count;
  return judge_boot(boot, *context.policy, context.config->settings);
}

boost::json::object explain(const kept_evidence& e, const appraisal_context& context) {
  bj::object out{{"host", e.host}, {"at", e.at}, {"now", json_of(reappraise(e, context))}};
  bj::array images;
  const auto banks = banks_of(e);
  // A log that does not parse explains nothing; the verdict says why.
  if (const auto log = eventlog::parse(e.event_log)) {
    if (const auto replayed = eventlog::replay(*log, logged_banks(banks, *log))) {
      const boot_evidence boot{banks, *log, *replayed};
      for (const auto& image : context.policy->images().worth_explaining(boot))
        images.emplace_back(json_of(explain(*image, boot)));
    }
  }
  out["images"] = std::move(images);
  return out;
}

boost::json::object simulated::document() const {
  return {{"host", host}, {"at", at}, {"before", json_of(before)}, {"after", json_of(after)}};
}

simulated simulate(const kept_evidence& e, const appraisal_context& present,
                   const appraisal_context& changed) {
  return {e.host, e.at, reappraise(e, present), reappraise(e, changed)};
}

} // namespace custos::attestation
