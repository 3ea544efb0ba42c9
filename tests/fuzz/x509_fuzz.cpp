// Certificates as strangers send them: DER, DER with the padding of a TPM's NV, PEM, requests. The
// first octet chooses which.

#include "adapters/tpm/ek_certificate.hpp"

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
  static_cast<void>(certificate.not_before());
  static_cast<void>(certificate.not_after());
  static_cast<void>(certificate.is_ca());
  if (const auto facts = tpm::check_ek_certificate(certificate); !facts)
    require(facts.failure().check == "ek-not-trusted");
  crypto::verify_options options;
  options.now = 1'800'000'000;
  const auto again = crypto::certificate_from_der(certificate.der());
  require(again.ok() && again->fingerprint() == certificate.fingerprint());
  static_cast<void>(crypto::verify_chain(certificate, {certificate}, {certificate}, options));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0)
    return 0;
  const byte_view rest(data + 1, size - 1);
  switch (data[0] % 4) {
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
  default:
    static_cast<void>(crypto::read_csr_pem(rest));
    break;
  }
  return 0;
}
