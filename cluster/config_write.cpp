#include "adapters/crypto/spki.hpp"
#include "adapters/crypto/x509.hpp"
#include "cluster/config_codec_detail.hpp"

namespace custos::cluster::detail {

namespace {

namespace bj = boost::json;

std::string certificate_pem(const bytes& der) {
  return crypto::pem_of("CERTIFICATE", der);
}

std::string_view name_of(pcr_form form) {
  switch (form) {
  case pcr_form::exact:
    return "exact";
  case pcr_form::ordered:
    return "ordered";
  case pcr_form::set:
    return "set";
  case pcr_form::ignored:
    return "ignored";
  }
  return "ignored";
}

bj::array strings(const std::vector<std::string>& texts) {
  bj::array out;
  for (const auto& text : texts)
    out.emplace_back(text);
  return out;
}

bj::object policy_json(const pcr_policy& policy) {
  bj::object out{{"pcr", policy.pcr}, {"form", name_of(policy.form)}};
  if (policy.form == pcr_form::exact) {
    bj::array values;
    for (const auto& value : policy.values)
      values.emplace_back(crypto::hex(value));
    out["values"] = std::move(values);
  }
  if (policy.form == pcr_form::ordered || policy.form == pcr_form::set) {
    bj::array events;
    for (const auto& event : policy.events) {
      bj::object one{{"type", event.type}, {"digest", crypto::hex(event.digest)}};
      if (!event.hint.empty())
        one["hint"] = event.hint;
      events.emplace_back(std::move(one));
    }
    out["events"] = std::move(events);
  }
  return out;
}

bj::array hex_array(const std::vector<bytes>& digests) {
  bj::array out;
  for (const auto& d : digests)
    out.emplace_back(crypto::hex(d));
  return out;
}

bj::object json_of_demand(const secure_boot_demand& x) {
  bj::object out{{"enabled", x.enabled}};
  if (!x.authorities.empty())
    out["authorities"] = hex_array(x.authorities);
  if (!x.revoked.empty())
    out["revoked"] = hex_array(x.revoked);
  return out;
}

bj::array files_json(const std::vector<ima_file>& files) {
  bj::array out;
  out.reserve(files.size());
  for (const auto& f : files)
    out.emplace_back(bj::object{{"path", f.path}, {"digests", hex_array(f.digests)}});
  return out;
}

bj::object json_of_policy(const ima_policy& x) {
  bj::object out;
  if (!x.files.empty())
    out["files"] = files_json(x.files);
  if (!x.buffers.empty())
    out["buffers"] = files_json(x.buffers);
  if (!x.ignored.empty())
    out["ignored"] = strings(x.ignored);
  if (!x.signers.empty()) {
    bj::array signers;
    for (const auto& der : x.signers) {
      const auto key = crypto::public_key_from_spki(der);
      signers.emplace_back(key ? key->public_pem() : std::string());
    }
    out["signers"] = std::move(signers);
  }
  return out;
}

} // namespace

// Members added after 0.1 are left out where they say nothing: documents stored before stay
// canonical.
bj::object json_of(const tpm_ca& x) {
  bj::array certificates;
  for (const auto& der : x.certificates)
    certificates.emplace_back(certificate_pem(der));
  bj::object out{{"certificates", std::move(certificates)}};
  if (x.profile != ek_profile::tcg)
    out["profile"] = "relaxed";
  if (!x.crls.empty()) {
    bj::array crls;
    for (const auto& der : x.crls) {
      const auto crl = crypto::crl_from_der(der);
      crls.emplace_back(crl ? crl->pem() : std::string());
    }
    out["crls"] = std::move(crls);
  }
  return out;
}

bj::object json_of(const endorsement_key& x) {
  if (x.certificate)
    return {{"certificate", certificate_pem(*x.certificate)}};
  if (x.public_key)
    return {{"public_key", crypto::pem_of("PUBLIC KEY", *x.public_key)}};
  return {{"spki_sha256", crypto::hex(x.spki_sha256)}};
}

bj::object json_of(const attestation_settings& x) {
  bj::object out{{"require_endorsement_keys", x.require_endorsement_keys},
                 {"require_certificate_validation", x.require_certificate_validation},
                 {"allow_sha1", x.allow_sha1},
                 {"challenge_life_s", x.challenge_life_s},
                 {"token_life_s", x.token_life_s},
                 {"ak_certificate_life_s", x.ak_certificate_life_s},
                 {"evidence_bytes_max", x.evidence_bytes_max},
                 {"event_log_bytes_max", x.event_log_bytes_max},
                 {"events_max", x.events_max}};
  const attestation_settings otherwise;
  if (x.ek_certificate_dates != otherwise.ek_certificate_dates)
    out["ek_certificate_dates"] = x.ek_certificate_dates == certificate_dates::ek_may_expire
                                      ? "ek_may_expire"
                                      : "any_may_expire";
  for (const auto& [name, member] :
       {std::pair{"require_crls", &attestation_settings::require_crls},
        std::pair{"allow_sha1_certificates", &attestation_settings::allow_sha1_certificates},
        std::pair{"require_safe_clock", &attestation_settings::require_safe_clock}})
    if (x.*member != otherwise.*member)
      out[name] = x.*member;
  for (const auto& [name, member] :
       {std::pair{"ima_log_bytes_max", &attestation_settings::ima_log_bytes_max},
        std::pair{"reporting_token_life_s", &attestation_settings::reporting_token_life_s},
        std::pair{"evidence_hosts_max", &attestation_settings::evidence_hosts_max}})
    if (x.*member != otherwise.*member)
      out[name] = x.*member;
  if (x.ear_claims != otherwise.ear_claims)
    out["ear_claims"] = x.ear_claims == ear_spelling::underscored ? "underscored" : "both";
  if (!x.audit_only.empty())
    out["audit_only"] = strings(x.audit_only);
  return out;
}

bj::object json_of(const base_image& x) {
  bj::array pcrs;
  for (const auto& policy : x.pcrs)
    pcrs.emplace_back(policy_json(policy));
  bj::object out{{"version", x.version}, {"bank", x.bank}, {"pcrs", std::move(pcrs)}};
  if (x.secure_boot)
    out["secure_boot"] = json_of_demand(*x.secure_boot);
  if (x.ima)
    out["ima"] = json_of_policy(*x.ima);
  if (x.audit_only)
    out["audit_only"] = true;
  return out;
}

bj::object json_of(const principal& x) {
  return {{"role", x.may == role::administrator ? "administrator" : "auditor"}};
}

bj::object json_of(const host_binding& x) {
  bj::object out{{"ek_spki_sha256", crypto::hex(x.ek_spki_sha256)}, {"quarantined", x.quarantined}};
  if (!x.ak_name.empty())
    out["ak_name"] = crypto::hex(x.ak_name);
  return out;
}

bj::object json_of(const token_key& x) {
  const auto key = crypto::public_key_from_spki(x.public_key);
  return {{"algorithm", x.algorithm},
          {"public_key", key ? key->public_pem() : std::string()},
          {"sealed_private_key", crypto::base64url(x.sealed_private_key)},
          {"signs_from", x.signs_from},
          {"signs_until", x.signs_until},
          {"expires", x.expires}};
}

bj::object json_of(const denial& x) {
  bj::object out;
  for (const auto& [name, text] : {std::pair{"manufacturer", &x.manufacturer},
                                   std::pair{"model", &x.model}, std::pair{"firmware", &x.firmware},
                                   std::pair{"serial", &x.serial}, std::pair{"reason", &x.reason}})
    if (!text->empty())
      out[name] = *text;
  if (!x.ek_spki_sha256.empty())
    out["ek_spki_sha256"] = crypto::hex(x.ek_spki_sha256);
  if (!x.ak_name.empty())
    out["ak_name"] = crypto::hex(x.ak_name);
  return out;
}

bj::object json_of(const data_key& x) {
  bj::object wrapped;
  for (const auto& [node, jwe] : x.wrapped)
    wrapped[node] = jwe;
  return {{"created", x.created}, {"wrapped", std::move(wrapped)}};
}

} // namespace custos::cluster::detail
