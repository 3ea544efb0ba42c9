#pragma once
// Kept evidence judged once more, against the present configuration or another one: to explain a
// verdict, and to see what a change would do before it is made. No freshness, no token. Pure.

#include "actors/attestation/boot_judgement.hpp"
#include "actors/attestation/ek_trust.hpp"
#include "messages/host_verdict.hpp"

#include <boost/json/fwd.hpp>
#include <string>
#include <vector>

namespace custos::attestation {

/// One configuration, made ready.
struct appraisal_context {
  config_ptr config;
  std::shared_ptr<const boot_policy> policy;
  trust_ptr trust;
  crypto::certificate ak_ca; ///< AK certificates were issued by it
  std::int64_t now = 0;      ///< unix seconds
};
appraisal_context make_context(config_ptr config, crypto::certificate ak_ca, std::int64_t now);

/// Checks 3 (the TPM, not the dates of the AK certificate), 8, 9 and 12 to 17.
result<boot_judgement> reappraise(const kept_evidence& e, const appraisal_context& context);

/// {"host","at","now":{...},"images":[...]}: the verdict of now, and the images that match or are
/// nearest, each compared with this boot event by event; at most listed_images_max of them.
boost::json::object explain(const kept_evidence& e, const appraisal_context& context);

/// One host in a simulation: {"host","at","before":{...},"after":{...}}.
struct simulated {
  host_id host;
  std::int64_t at = 0; ///< when the evidence was kept, unix seconds
  result<boot_judgement> before;
  result<boot_judgement> after;

  [[nodiscard]] boost::json::object document() const;
};
simulated simulate(const kept_evidence& e, const appraisal_context& present,
                   const appraisal_context& changed);

} // namespace custos::attestation
