#include "adapters/crypto/x509.hpp"
#include "cluster/config_codec_detail.hpp"

namespace custos::cluster::detail {

namespace {

namespace bj = boost::json;

std::string pem_of(const bytes& der) {
  const auto parsed = crypto::certificate_from_der(der);
  return parsed ? parsed->pem() : std::string();
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

std::string_view name_of(primary_key_mode mode) {
  switch (mode) {
  case primary_key_mode::automatic:
    return "auto";
  case primary_key_mode::local:
    return "local";
  case primary_key_mode::remote:
    return "remote";
  }
  return "auto";
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

} // namespace

bj::object json_of(const tpm_ca& x) {
  bj::array certificates;
  for (const auto& der : x.certificates)
    certificates.emplace_back(pem_of(der));
  return {{"certificates", std::move(certificates)}};
}

bj::object json_of(const endorsement_key& x) {
  if (x.certificate)
    return {{"certificate", pem_of(*x.certificate)}};
  if (x.public_key)
    if (const auto key = crypto::public_key_from_spki(*x.public_key))
      return {{"public_key", key->public_pem()}};
  return {{"spki_sha256", crypto::hex(x.spki_sha256)}};
}

bj::object json_of(const attestation_settings& x) {
  return {{"require_endorsement_keys", x.require_endorsement_keys},
          {"require_certificate_validation", x.require_certificate_validation},
          {"allow_sha1", x.allow_sha1},
          {"challenge_life_s", x.challenge_life_s},
          {"token_life_s", x.token_life_s},
          {"ak_certificate_life_s", x.ak_certificate_life_s},
          {"evidence_bytes_max", x.evidence_bytes_max},
          {"event_log_bytes_max", x.event_log_bytes_max},
          {"events_max", x.events_max}};
}

bj::object json_of(const base_image& x) {
  bj::array pcrs;
  for (const auto& policy : x.pcrs)
    pcrs.emplace_back(policy_json(policy));
  return {{"version", x.version}, {"bank", x.bank}, {"pcrs", std::move(pcrs)}};
}

// Members that say nothing are left out, so that equal providers have equal documents.
bj::object json_of(const key_provider& x) {
  bj::array servers;
  for (const auto& server : x.servers)
    servers.emplace_back(
        bj::object{{"name", server.name}, {"host", server.host}, {"port", server.port}});
  bj::object out{{"primary_key_id", x.primary_key_id}, {"mode", name_of(x.mode)},
                 {"servers", std::move(servers)},      {"timeout_ms", x.timeout_ms},
                 {"legacy_ciphers", x.legacy_ciphers}, {"access", bj::object{}}};
  if (!x.client_certificate.empty())
    out["client_certificate"] = x.client_certificate;
  if (!x.client_private_key.sealed.empty())
    out["sealed_client_private_key"] = crypto::base64url(x.client_private_key.sealed);
  if (!x.trusted_peer_certificates.empty())
    out["trusted_peer_certificates"] = strings(x.trusted_peer_certificates);
  if (!x.username.empty())
    out["username"] = x.username;
  if (!x.password.sealed.empty())
    out["sealed_password"] = crypto::base64url(x.password.sealed);
  auto& access = out["access"].as_object();
  access["images"] = strings(x.access.images);
  access["hosts"] = strings(x.access.hosts);
  return out;
}

bj::object json_of(const principal& x) {
  return {{"role", x.may == role::administrator ? "administrator" : "auditor"}};
}

bj::object json_of(const host_binding& x) {
  return {{"ek_spki_sha256", crypto::hex(x.ek_spki_sha256)}, {"quarantined", x.quarantined}};
}

} // namespace custos::cluster::detail
