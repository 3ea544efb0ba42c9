#include "adapters/crypto/internal.hpp"
#include "adapters/crypto/x509.hpp"

namespace custos::crypto {

using namespace internal;

namespace {

constexpr std::size_t serial_bytes = 16;

error failed() {
  return openssl_error(errc::crypto_failure, "issuing a certificate failed");
}

bool add_name(X509_NAME* name, const char* field, const std::string& value) {
  return value.empty() ||
         X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8,
                                    reinterpret_cast<const unsigned char*>(value.data()),
                                    static_cast<int>(value.size()), -1, 0) == 1;
}

bool add_extension(X509* cert, X509V3_CTX* context, int nid, const std::string& value) {
  const x509_ext_ptr extension(X509V3_EXT_conf_nid(nullptr, context, nid, value.c_str()));
  return extension && X509_add_ext(cert, extension.get(), -1) == 1;
}

/// A value that goes into OpenSSL's "DNS:a,IP:b" syntax must not be able to add entries.
bool plain(const std::string& text) {
  if (text.empty() || text.size() > 253)
    return false;
  for (const char c : text)
    if (c <= ' ' || c == ',' || c == ';' || c == '=' || c > '~' || c == '@')
      return false;
  return true;
}

result<std::string> alternative_names(const certificate_request& request) {
  std::string out;
  const auto add = [&](const char* kind, const std::vector<std::string>& values) {
    for (const auto& v : values) {
      if (!plain(v))
        return false;
      out.append(out.empty() ? "" : ",").append(kind).append(v);
    }
    return true;
  };
  if (!add("DNS:", request.dns_names) || !add("IP:", request.ip_addresses))
    return make_error(errc::invalid_argument,
                      "subject alternative name: expected plain host names and addresses");
  return out;
}

bool add_custom(X509* cert, const certificate_request::extension& e) {
  const asn1_object_ptr object(OBJ_txt2obj(e.oid.c_str(), 1));
  const asn1_octets_ptr value(ASN1_OCTET_STRING_new());
  if (!object || !value ||
      ASN1_OCTET_STRING_set(value.get(), e.value.data(), static_cast<int>(e.value.size())) != 1)
    return false;
  const x509_ext_ptr extension(
      X509_EXTENSION_create_by_OBJ(nullptr, object.get(), e.critical ? 1 : 0, value.get()));
  return extension && X509_add_ext(cert, extension.get(), -1) == 1;
}

bool add_extensions(X509* cert, X509* issuer, const certificate_request& r,
                    const std::string& names) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, cert, nullptr, nullptr, 0);
  bool ok = add_extension(cert, &context, NID_basic_constraints,
                          r.is_ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
  ok = ok && add_extension(cert, &context, NID_key_usage,
                           r.is_ca ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature");
  ok = ok && add_extension(cert, &context, NID_subject_key_identifier, "hash");
  // A self-signed certificate needs no authority key identifier (RFC 5280, 4.2.1.1).
  if (issuer != cert)
    ok = ok && add_extension(cert, &context, NID_authority_key_identifier, "keyid");
  std::string usage;
  if (r.client_auth)
    usage = "clientAuth";
  if (r.server_auth)
    usage += usage.empty() ? "serverAuth" : ",serverAuth";
  if (!usage.empty())
    ok = ok && add_extension(cert, &context, NID_ext_key_usage, usage);
  if (!names.empty())
    ok = ok && add_extension(cert, &context, NID_subject_alt_name, names);
  for (const auto& e : r.extensions)
    ok = ok && add_custom(cert, e);
  return ok;
}

} // namespace

result<certificate> issue_certificate(const certificate_request& request, const key& subject_public,
                                      const key& issuer_key, const certificate* issuer) {
  CUSTOS_TRY(const auto names, alternative_names(request));
  const x509_ptr cert(X509_new());
  auto serial = random_bytes(serial_bytes);
  serial[0] = static_cast<std::uint8_t>((serial[0] & 0x7FU) | 0x40U); // positive, full length
  const bn_ptr number(BN_bin2bn(serial.data(), static_cast<int>(serial.size()), nullptr));
  if (!cert || !number || X509_set_version(cert.get(), X509_VERSION_3) != 1 ||
      BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(cert.get())) == nullptr ||
      ASN1_TIME_set(X509_getm_notBefore(cert.get()), request.not_before) == nullptr ||
      ASN1_TIME_set(X509_getm_notAfter(cert.get()), request.not_after) == nullptr)
    return failed();
  X509_NAME* const subject = X509_get_subject_name(cert.get());
  if (!add_name(subject, "O", request.organization) ||
      !add_name(subject, "CN", request.common_name) ||
      X509_set_issuer_name(
          cert.get(), issuer == nullptr ? subject : X509_get_subject_name(issuer->handle())) != 1 ||
      X509_set_pubkey(cert.get(), subject_public.handle()) != 1)
    return failed();
  if (!add_extensions(cert.get(), issuer == nullptr ? cert.get() : issuer->handle(), request,
                      names))
    return failed();
  const EVP_MD* const md =
      md_of(issuer_key.type() == key_type::p384 ? hash_alg::sha384 : hash_alg::sha256);
  if (X509_sign(cert.get(), issuer_key.handle(), md) == 0)
    return failed();
  return certificate_from_der(der_of(i2d_X509, const_cast<const X509*>(cert.get())));
}

result<std::string> make_csr_pem(const certificate_request& request, const key& subject_private) {
  const x509_req_ptr csr(X509_REQ_new());
  const bio_ptr bio(BIO_new(BIO_s_mem()));
  if (!csr || !bio || X509_REQ_set_version(csr.get(), X509_REQ_VERSION_1) != 1 ||
      !add_name(X509_REQ_get_subject_name(csr.get()), "O", request.organization) ||
      !add_name(X509_REQ_get_subject_name(csr.get()), "CN", request.common_name) ||
      X509_REQ_set_pubkey(csr.get(), subject_private.handle()) != 1 ||
      X509_REQ_sign(csr.get(), subject_private.handle(), md_of(hash_alg::sha256)) == 0 ||
      PEM_write_bio_X509_REQ(bio.get(), csr.get()) != 1)
    return openssl_error(errc::crypto_failure, "making a certificate signing request failed");
  return text_of(bio.get());
}

result<csr_content> read_csr_pem(byte_view pem) {
  const auto bio = bio_over(pem);
  const x509_req_ptr csr(bio ? PEM_read_bio_X509_REQ(bio.get(), nullptr, nullptr, nullptr)
                             : nullptr);
  if (!csr)
    return openssl_error(errc::malformed, "expected a PEM certificate signing request (PKCS#10)");
  const pkey_ptr subject_key(X509_REQ_get_pubkey(csr.get()));
  if (!subject_key || X509_REQ_verify(csr.get(), subject_key.get()) != 1)
    return openssl_error(errc::crypto_failure,
                         "certificate signing request: its signature does not verify");
  csr_content out;
  CUSTOS_TRY(out.public_key, public_key_from_spki(der_of(
                                 i2d_PUBKEY, const_cast<const EVP_PKEY*>(subject_key.get()))));
  out.common_name = common_name_of(X509_REQ_get_subject_name(csr.get()));
  ERR_clear_error();
  return out;
}

} // namespace custos::crypto
