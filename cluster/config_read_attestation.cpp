// Readers of what decides whom the Attestation Service trusts, and of its settings and keys.

#include "adapters/crypto/spki.hpp"
#include "cluster/config_codec_detail.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

namespace custos::cluster::detail {

namespace {

/// One of these words; `otherwise` if the member is missing.
template <class T, std::size_t N>
result<T> one_of(json::object& o, std::string_view name, T otherwise,
                 const std::array<std::pair<std::string_view, T>, N>& words) {
  CUSTOS_TRY(const auto text, o.optional_string(name, 32));
  if (!text)
    return otherwise;
  std::string expected;
  for (const auto& [word, value] : words) {
    if (word == *text)
      return value;
    expected.append(expected.empty() ? "\"" : ", \"").append(word).append("\"");
  }
  return bad("/" + std::string(name), "one of " + expected);
}

constexpr std::array<std::pair<std::string_view, ek_profile>, 2> profiles{
    {{"tcg", ek_profile::tcg}, {"relaxed", ek_profile::relaxed}}};
constexpr std::array<std::pair<std::string_view, certificate_dates>, 3> dates{
    {{"enforced", certificate_dates::enforced},
     {"ek_may_expire", certificate_dates::ek_may_expire},
     {"any_may_expire", certificate_dates::any_may_expire}}};
constexpr std::array<std::pair<std::string_view, ear_spelling>, 3> spellings{
    {{"dotted", ear_spelling::dotted},
     {"underscored", ear_spelling::underscored},
     {"both", ear_spelling::both}}};
constexpr std::array<std::string_view, 3> checks_that_may_be_audited{"clock", "secure-boot",
                                                                     "ima-log"};

result<std::vector<bytes>> read_crls(json::object& o) {
  std::vector<bytes> out;
  CUSTOS_TRY(const auto pems, o.array("crls", crls_max, true));
  for (std::size_t i = 0; i < pems.size(); ++i) {
    CUSTOS_TRY(const auto pem, pems[i].as_string(crl_pem_bytes_max));
    auto crl = crypto::crl_from_pem(as_bytes(pem));
    if (!crl)
      return bad(at("/crls", i), "one PEM X509 CRL: " + crl.failure().message);
    out.push_back(crl->der());
  }
  return out;
}

result<std::vector<std::string>> read_audit_only(json::object& o) {
  std::vector<std::string> out;
  CUSTOS_TRY(const auto items, o.array("audit_only", audit_only_max, true));
  for (std::size_t i = 0; i < items.size(); ++i) {
    CUSTOS_TRY(auto check, items[i].as_string(check_bytes_max));
    if (std::find(checks_that_may_be_audited.begin(), checks_that_may_be_audited.end(), check) ==
            checks_that_may_be_audited.end() ||
        std::find(out.begin(), out.end(), check) != out.end())
      return bad(at("/audit_only", i), R"("clock", "secure-boot" or "ima-log", each once)");
    out.push_back(std::move(check));
  }
  std::sort(out.begin(), out.end());
  return out;
}

} // namespace

result<tpm_ca> read_tpm_ca(json::object& o) {
  tpm_ca out;
  CUSTOS_TRY(const auto pems, o.array("certificates", certificates_per_object_max));
  if (pems.empty())
    return bad("/certificates", "at least one PEM certificate");
  std::set<bytes> seen;
  for (std::size_t i = 0; i < pems.size(); ++i) {
    const auto path = at("/certificates", i);
    CUSTOS_TRY(const auto pem, pems[i].as_string(pem_bytes_max));
    CUSTOS_TRY(const auto cert, read_certificate(pem, path));
    if (!cert.is_ca())
      return bad(path, "a CA certificate (basicConstraints CA:TRUE)");
    if (!seen.insert(cert.der()).second)
      return bad(path, "each certificate once");
    out.certificates.push_back(cert.der());
  }
  CUSTOS_TRY(out.profile, one_of(o, "profile", out.profile, profiles));
  CUSTOS_TRY(out.crls, read_crls(o));
  return out;
}

result<endorsement_key> read_endorsement_key(json::object& o) {
  endorsement_key out;
  CUSTOS_TRY(const auto public_key, o.optional_string("public_key", pem_bytes_max));
  CUSTOS_TRY(const auto cert_pem, o.optional_string("certificate", pem_bytes_max));
  const bool digest = o.has("spki_sha256");
  if ((public_key ? 1 : 0) + (cert_pem ? 1 : 0) + (digest ? 1 : 0) != 1)
    return bad("", "exactly one of public_key, certificate and spki_sha256");
  if (digest) {
    CUSTOS_TRY(out.spki_sha256, read_digest(o, "spki_sha256", 32));
    return out;
  }
  crypto::sha256_digest hash{};
  if (public_key) {
    const auto key = crypto::public_key_from_pem(as_bytes(*public_key));
    if (!key)
      return bad("/public_key", "a PEM public key, RSA or ECC: " + key.failure().message);
    out.public_key = key->spki_der();
    hash = crypto::sha256(*out.public_key);
  } else {
    CUSTOS_TRY(const auto cert, read_certificate(*cert_pem, "/certificate"));
    const auto key = cert.public_key();
    if (key.type() == crypto::key_type::other)
      return bad("/certificate", "a certificate of an RSA, P-256 or P-384 key");
    out.certificate = cert.der();
    const auto plain = crypto::plain_spki_of(*out.certificate);
    hash = plain ? crypto::sha256(*plain) : crypto::sha256(key.spki_der());
  }
  out.spki_sha256.assign(hash.begin(), hash.end());
  return out;
}

result<attestation_settings> read_settings(json::object& o) {
  attestation_settings s;
  CUSTOS_TRY(s.require_endorsement_keys,
             flag(o, "require_endorsement_keys", s.require_endorsement_keys));
  CUSTOS_TRY(s.require_certificate_validation,
             flag(o, "require_certificate_validation", s.require_certificate_validation));
  CUSTOS_TRY(s.allow_sha1, flag(o, "allow_sha1", s.allow_sha1));
  CUSTOS_TRY(s.challenge_life_s, bounded(o, "challenge_life_s", challenge_life_s_min,
                                         challenge_life_s_max, s.challenge_life_s));
  CUSTOS_TRY(s.token_life_s,
             bounded(o, "token_life_s", token_life_s_min, token_life_s_max, s.token_life_s));
  CUSTOS_TRY(s.ak_certificate_life_s, bounded(o, "ak_certificate_life_s", ak_certificate_life_s_min,
                                              ak_certificate_life_s_max, s.ak_certificate_life_s));
  CUSTOS_TRY(s.evidence_bytes_max, bounded(o, "evidence_bytes_max", evidence_bytes_least,
                                           evidence_bytes_most, s.evidence_bytes_max));
  CUSTOS_TRY(s.event_log_bytes_max, bounded(o, "event_log_bytes_max", event_log_bytes_least,
                                            evidence_bytes_most, s.event_log_bytes_max));
  CUSTOS_TRY(s.events_max, bounded(o, "events_max", events_least, events_most, s.events_max));
  CUSTOS_TRY(s.ek_certificate_dates,
             one_of(o, "ek_certificate_dates", s.ek_certificate_dates, dates));
  CUSTOS_TRY(s.require_crls, flag(o, "require_crls", s.require_crls));
  CUSTOS_TRY(s.allow_sha1_certificates,
             flag(o, "allow_sha1_certificates", s.allow_sha1_certificates));
  CUSTOS_TRY(s.require_safe_clock, flag(o, "require_safe_clock", s.require_safe_clock));
  CUSTOS_TRY(s.ima_log_bytes_max, bounded(o, "ima_log_bytes_max", event_log_bytes_least,
                                          evidence_bytes_most, s.ima_log_bytes_max));
  CUSTOS_TRY(s.reporting_token_life_s, bounded(o, "reporting_token_life_s", token_life_s_min,
                                               token_life_s_max, s.reporting_token_life_s));
  CUSTOS_TRY(s.evidence_hosts_max,
             bounded(o, "evidence_hosts_max", 0, evidence_hosts_most, s.evidence_hosts_max));
  CUSTOS_TRY(s.ear_claims, one_of(o, "ear_claims", s.ear_claims, spellings));
  CUSTOS_TRY(s.audit_only, read_audit_only(o));
  if (s.event_log_bytes_max > s.evidence_bytes_max)
    return bad("/event_log_bytes_max", "at most evidence_bytes_max: the log is part of the "
                                       "evidence");
  return s;
}

result<denial> read_denial(json::object& o) {
  denial out;
  for (const auto& [name, member] :
       {std::pair{"manufacturer", &denial::manufacturer}, std::pair{"model", &denial::model},
        std::pair{"firmware", &denial::firmware}}) {
    CUSTOS_TRY(auto text, o.optional_string(name, tpm_text_bytes_max));
    out.*member = std::move(text).value_or("");
  }
  CUSTOS_TRY(auto serial, o.optional_string("serial", serial_hex_max));
  out.serial = std::move(serial).value_or("");
  if (out.serial.find_first_not_of("0123456789abcdef") != std::string::npos ||
      (out.serial.size() > 1 && out.serial.front() == '0'))
    return bad("/serial", "lower-case hex digits without leading zeros");
  CUSTOS_TRY(out.ek_spki_sha256, optional_digest(o, "ek_spki_sha256", 32));
  if (o.has("ak_name")) {
    CUSTOS_TRY(out.ak_name, o.hex("ak_name", ak_name_bytes_max));
  }
  CUSTOS_TRY(auto reason, o.optional_string("reason", reason_bytes_max));
  out.reason = std::move(reason).value_or("");
  if (out.manufacturer.empty() && out.model.empty() && out.firmware.empty() && out.serial.empty() &&
      out.ek_spki_sha256.empty() && out.ak_name.empty())
    return bad("", "at least one of manufacturer, model, firmware, serial, ek_spki_sha256 and "
                   "ak_name: a denial of nothing in particular would deny everybody");
  return out;
}

result<token_key> read_token_key(json::object& o) {
  token_key out;
  CUSTOS_TRY(out.algorithm, o.string("algorithm", 16));
  CUSTOS_TRY(const auto pem, o.string("public_key", pem_bytes_max));
  const auto key = crypto::public_key_from_pem(as_bytes(pem));
  if (!key)
    return bad("/public_key", "a PEM public key: " + key.failure().message);
  const bool fits = (out.algorithm == "ES256" && key->type() == crypto::key_type::p256) ||
                    (out.algorithm == "ES384" && key->type() == crypto::key_type::p384) ||
                    ((out.algorithm == "PS256" || out.algorithm == "RS256") &&
                     key->type() == crypto::key_type::rsa);
  if (!fits)
    return bad("/algorithm", R"("ES256", "ES384", "PS256" or "RS256", fitting public_key)");
  out.public_key = key->spki_der();
  CUSTOS_TRY(auto sealed, read_sealed(o, "sealed_private_key"));
  if (sealed.sealed.empty())
    return bad("/sealed_private_key", "a value sealed by a node of this cluster");
  out.sealed_private_key = std::move(sealed.sealed);
  constexpr std::int64_t latest = 253402300799; // 9999-12-31
  CUSTOS_TRY(out.signs_from, o.integer("signs_from", 0, latest));
  CUSTOS_TRY(out.signs_until, o.integer("signs_until", 0, latest));
  CUSTOS_TRY(out.expires, o.integer("expires", 0, latest));
  if (out.signs_until < out.signs_from)
    return bad("/signs_until", "a time not before signs_from");
  if (out.expires < out.signs_until)
    return bad("/expires", "a time not before signs_until");
  return out;
}

} // namespace custos::cluster::detail
