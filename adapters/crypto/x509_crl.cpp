#include "adapters/crypto/internal.hpp"
#include "adapters/crypto/x509.hpp"

#include <ctime>

namespace custos::crypto {

using namespace internal;

namespace {

using crl_ptr = std::unique_ptr<X509_CRL, deleter<X509_CRL_free>>;

unix_seconds seconds_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1)
    return 0;
  return timegm(&parts);
}

certificate_revocation_list own(crl_ptr parsed, bytes der) {
  return certificate_revocation_list(std::shared_ptr<X509_CRL>(parsed.release(), X509_CRL_free),
                                     std::move(der));
}

} // namespace

result<certificate_revocation_list> crl_from_der(byte_view der) {
  if (der.size() > crl_bytes_max)
    return make_error(errc::too_large, "CRL: expected at most 1 MiB of DER");
  const unsigned char* p = der.data();
  crl_ptr parsed(d2i_X509_CRL(nullptr, &p, static_cast<long>(der.size())));
  if (!parsed)
    return openssl_error(errc::malformed, "CRL does not parse as DER");
  if (p != der.data() + der.size())
    return make_error(errc::malformed, "CRL: bytes behind the DER structure");
  return own(std::move(parsed), to_bytes(der));
}

result<certificate_revocation_list> crl_from_pem(byte_view pem) {
  const auto bio = bio_over(pem);
  const auto der = bio ? next_pem_block(bio.get(), PEM_STRING_X509_CRL) : std::nullopt;
  if (!der)
    return openssl_error(errc::malformed, "expected a PEM X509 CRL");
  const bool further = next_pem_block(bio.get(), PEM_STRING_X509_CRL).has_value();
  ERR_clear_error();
  if (further)
    return make_error(errc::malformed, "expected one PEM X509 CRL, not several");
  return crl_from_der(*der);
}

std::string certificate_revocation_list::pem() const {
  const bio_ptr bio(BIO_new(BIO_s_mem()));
  // Written from the bytes as received, not from the parsed structure.
  if (!handle_ || !bio ||
      PEM_write_bio(bio.get(), PEM_STRING_X509_CRL, "", der_->data(),
                    static_cast<long>(der_->size())) <= 0)
    return {};
  return text_of(bio.get());
}

std::string certificate_revocation_list::issuer() const {
  const bio_ptr bio(BIO_new(BIO_s_mem()));
  if (!handle_ || !bio ||
      X509_NAME_print_ex(bio.get(), X509_CRL_get_issuer(handle_.get()), 0, XN_FLAG_RFC2253) < 0)
    return {};
  return text_of(bio.get());
}

bytes certificate_revocation_list::scope() const {
  const int index =
      handle_ ? X509_CRL_get_ext_by_NID(handle_.get(), NID_issuing_distribution_point, -1) : -1;
  if (index < 0)
    return {};
  const ASN1_OCTET_STRING* const value =
      X509_EXTENSION_get_data(X509_CRL_get_ext(handle_.get(), index));
  const auto* const data = ASN1_STRING_get0_data(value);
  return {data, data + ASN1_STRING_length(value)};
}

unix_seconds certificate_revocation_list::last_update() const {
  return handle_ ? seconds_of(X509_CRL_get0_lastUpdate(handle_.get())) : 0;
}

unix_seconds certificate_revocation_list::next_update() const {
  return handle_ ? seconds_of(X509_CRL_get0_nextUpdate(handle_.get())) : 0;
}

} // namespace custos::crypto
