// Certificates as strangers send them: DER, DER with the padding of a TPM's NV, PEM, requests; CRLs
// beside a certificate that may be their issuer's; certificates as those of endorsement keys, with
// themselves as the CA. The first octet chooses which.

#include "actors/attestation/ek_trust.hpp"
#include "adapters/crypto/spki.hpp"

#include <cstdlib>

namespace {

using namespace custos;

void require(bool holds) {
  if (!holds)
    std::abort();
}

void look_at(const crypto::certificate& certificate) {
  require(!certificate.pem().empty());
  require(certificate.subject().find('\n') == std::string::npos);
  std::size_t octets = certificate.issuer().size() + certificate.common_name().size() +
                       certificate.serial_hex().size();
  for (const auto& name : certificate.dns_names())
    octets += name.size();
  // Escapes make text longer than what it shows, within reason.
  require(octets <= 16 * certificate.der().size());
  if (const auto spki = crypto::plain_spki_of(certificate.der()))
    if (const auto key = certificate.public_key())
      require(key.spki_der() == to_bytes(*spki));
  static_cast<void>(certificate.not_before());
  static_cast<void>(certificate.not_after());
  static_cast<void>(certificate.is_ca());
  for (const auto profile : {ek_profile::tcg, ek_profile::relaxed})
    if (const auto facts = tpm::check_ek_certificate(certificate, profile); !facts)
      require(facts.failure().check == "ek-not-trusted");
  crypto::verify_options options;
  options.now = 1'800'000'000;
  const auto again = crypto::certificate_from_der(certificate.der());
  require(again.ok() && again->fingerprint() == certificate.fingerprint());
  static_cast<void>(crypto::verify_chain(certificate, {certificate}, {certificate}, options));
}

/// As a host presents it, with every door open that settings can open.
void judge(const crypto::certificate& certificate) {
  config_snapshot config;
  config.settings.ek_certificate_dates = certificate_dates::any_may_expire;
  config.settings.allow_sha1_certificates = true;
  config.tpm_cas["ca"] = {"ca", {certificate.der()}, ek_profile::relaxed};
  config.denials["d"] = {"d", "", "m", "", "", {}, {}, ""};
  const attestation::trust_index trust(config);
  const attestation::ek_claim claim{certificate.public_key(), {certificate.der()}};
  if (!claim.ek_public)
    return;
  const auto verdict = attestation::check_ek_trust(claim, trust, 1'800'000'000);
  require(verdict.ok() || verdict.failure().check == "ek-not-trusted" ||
          verdict.failure().check == "ek-denied");
}

void look_at(const crypto::certificate_revocation_list& list) {
  const auto again = crypto::crl_from_pem(as_bytes(list.pem()));
  require(again.ok() && again->der() == list.der());
  require(list.issuer().find('\n') == std::string::npos);
  require(list.scope().size() < list.der().size());
  static_cast<void>(list.last_update() < list.next_update());
}

/// Two octets of size and a certificate, then a CRL.
void revoke(byte_view data) {
  const std::size_t size = data.size() < 2 ? 0 : static_cast<std::size_t>(data[0] << 8 | data[1]);
  if (data.size() < 2 + size)
    return;
  const auto list = crypto::crl_from_der(data.subspan(2 + size));
  if (!list)
    return;
  look_at(*list);
  const auto issuer = crypto::certificate_from_der(data.subspan(2, size));
  if (!issuer)
    return;
  const std::vector<crypto::certificate> path{*issuer, *issuer};
  const std::vector<crypto::certificate_revocation_list> lists{*list};
  const auto lax = crypto::check_revocation(path, lists, {1'800'000'000, false, true});
  const auto strict = crypto::check_revocation(path, lists, {1'800'000'000, true, true});
  require(lax.ok() || !strict.ok());
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0)
    return 0;
  const byte_view rest(data + 1, size - 1);
  switch (data[0] % 7) {
  case 0:
    if (const auto one = crypto::certificate_from_der(rest); one)
      look_at(*one);
    break;
  case 1:
    if (const auto one = crypto::certificate_from_nv(rest); one)
      look_at(*one);
    break;
  case 2:
    if (const auto all = crypto::certificates_from_pem(rest); all) {
      require(!all->empty() && all->size() <= 16);
      for (const auto& one : *all)
        look_at(one);
    }
    break;
  case 3:
    static_cast<void>(crypto::read_csr_pem(rest));
    break;
  case 4:
    revoke(rest);
    break;
  case 5:
    if (const auto list = crypto::crl_from_pem(rest); list)
      look_at(*list);
    break;
  default:
    if (const auto one = crypto::certificate_from_nv(rest); one)
      judge(*one);
    break;
  }
  return 0;
}
