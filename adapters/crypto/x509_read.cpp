#include "adapters/crypto/internal.hpp"
#include "adapters/crypto/x509.hpp"

#include <arpa/inet.h>
#include <array>
#include <ctime>

namespace custos::crypto {

using namespace internal;

namespace {

constexpr std::size_t certificate_bytes_max = 16384;

std::string name_text(const X509_NAME* name) {
  const bio_ptr bio(BIO_new(BIO_s_mem()));
  if (!bio || X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253) < 0)
    return {};
  return text_of(bio.get());
}

unix_seconds seconds_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1)
    return 0;
  return timegm(&parts);
}

/// Size of the outer DER SEQUENCE with its header, 0 if there is none (X.690, 8.1).
std::size_t outer_size(byte_view der) {
  if (der.size() < 4 || der[0] != 0x30)
    return 0;
  if (der[1] < 0x80)
    return 2U + der[1];
  const std::size_t octets = der[1] & 0x7FU;
  if (octets == 0 || octets > 3 || der.size() < 2 + octets)
    return 0;
  std::size_t size = 0;
  for (std::size_t i = 0; i < octets; ++i)
    size = (size << 8U) | der[2 + i];
  return size + 2 + octets;
}

} // namespace

namespace internal {

std::string common_name_of(const X509_NAME* name) {
  const int index = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
  if (index < 0)
    return {};
  unsigned char* text = nullptr;
  const int size =
      ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, index)));
  if (size < 0)
    return {};
  std::string out(reinterpret_cast<const char*>(text), static_cast<std::size_t>(size));
  OPENSSL_free(text);
  return out;
}

} // namespace internal

result<certificate> certificate_from_der(byte_view der) {
  if (der.size() > certificate_bytes_max)
    return make_error(errc::too_large, "certificate: expected at most 16384 bytes of DER");
  const unsigned char* p = der.data();
  X509* handle = d2i_X509(nullptr, &p, static_cast<long>(der.size()));
  if (handle == nullptr)
    return openssl_error(errc::malformed, "certificate does not parse as DER X.509");
  std::shared_ptr<X509> owned(handle, X509_free);
  if (p != der.data() + der.size())
    return make_error(errc::malformed, "certificate: bytes behind the DER structure");
  // Fills OpenSSL's cache of extensions now, so that sharing the handle between threads is safe.
  X509_check_purpose(handle, -1, 0);
  ERR_clear_error();
  return certificate(std::move(owned), to_bytes(der));
}

result<certificate> certificate_from_nv(byte_view padded) {
  const auto size = outer_size(padded);
  if (size == 0 || size > padded.size())
    return make_error(errc::malformed, "certificate from NV: expected a DER SEQUENCE");
  const auto tail = padded.subspan(size);
  const auto all = [&](std::uint8_t value) {
    for (const auto b : tail)
      if (b != value)
        return false;
    return true;
  };
  if (!tail.empty() && !all(0x00) && !all(0xFF))
    return make_error(errc::malformed,
                      "certificate from NV: bytes behind the certificate that are no padding");
  return certificate_from_der(padded.first(size));
}

result<std::vector<certificate>> certificates_from_pem(byte_view pem,
                                                       std::size_t certificates_max) {
  const auto bio = bio_over(pem);
  std::vector<certificate> out;
  while (bio) {
    const auto der = next_pem_block(bio.get(), PEM_STRING_X509);
    if (!der) {
      const auto reason = ERR_GET_REASON(ERR_peek_last_error());
      if (out.empty() || reason != PEM_R_NO_START_LINE)
        return openssl_error(errc::malformed, "expected PEM certificates");
      ERR_clear_error();
      break;
    }
    if (out.size() == certificates_max)
      return make_error(errc::too_large,
                        "expected at most " + std::to_string(certificates_max) + " certificates");
    CUSTOS_TRY(auto one, certificate_from_der(*der));
    out.push_back(std::move(one));
  }
  if (out.empty())
    return make_error(errc::malformed, "expected PEM certificates");
  return out;
}

result<certificate> certificate_from_pem(byte_view pem) {
  CUSTOS_TRY(auto all, certificates_from_pem(pem, 16));
  return all.front();
}

std::string certificate::pem() const {
  const bio_ptr bio(BIO_new(BIO_s_mem()));
  // Written from the bytes as received, not from the parsed structure.
  if (!handle_ || !bio ||
      PEM_write_bio(bio.get(), "CERTIFICATE", "", der_->data(), static_cast<long>(der_->size())) <=
          0)
    return {};
  return text_of(bio.get());
}

key certificate::public_key() const {
  EVP_PKEY* handle = handle_ ? X509_get_pubkey(handle_.get()) : nullptr;
  ERR_clear_error();
  return handle == nullptr ? key() : own(handle);
}

bytes certificate::spki_der() const {
  return handle_ ? der_of(i2d_X509_PUBKEY,
                          static_cast<const X509_PUBKEY*>(X509_get_X509_PUBKEY(handle_.get())))
                 : bytes{};
}

std::string certificate::subject() const {
  return handle_ ? name_text(X509_get_subject_name(handle_.get())) : "";
}
std::string certificate::issuer() const {
  return handle_ ? name_text(X509_get_issuer_name(handle_.get())) : "";
}

std::string certificate::common_name() const {
  return handle_ ? common_name_of(X509_get_subject_name(handle_.get())) : "";
}

std::string certificate::serial_hex() const {
  if (!handle_)
    return {};
  const bn_ptr n(ASN1_INTEGER_to_BN(X509_get0_serialNumber(handle_.get()), nullptr));
  if (!n)
    return {};
  bytes out(static_cast<std::size_t>(BN_num_bytes(n.get())));
  BN_bn2bin(n.get(), out.data());
  return hex(out);
}

unix_seconds certificate::not_before() const {
  return handle_ ? seconds_of(X509_get0_notBefore(handle_.get())) : 0;
}
unix_seconds certificate::not_after() const {
  return handle_ ? seconds_of(X509_get0_notAfter(handle_.get())) : 0;
}

namespace {

std::string address_text(byte_view octets) {
  std::array<char, INET6_ADDRSTRLEN> out{};
  const int family = octets.size() == sizeof(in_addr) ? AF_INET : AF_INET6;
  const bool known = octets.size() == sizeof(in_addr) || octets.size() == sizeof(in6_addr);
  if (!known || ::inet_ntop(family, octets.data(), out.data(), out.size()) == nullptr)
    return {};
  return out.data();
}

/// The values of subject alternative names of one type.
std::vector<bytes> alternative_names(x509_st* handle, int type) {
  std::vector<bytes> out;
  auto* const names =
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(handle, NID_subject_alt_name, nullptr, nullptr));
  const std::unique_ptr<GENERAL_NAMES, deleter<GENERAL_NAMES_free>> owned(names);
  for (int i = 0; names != nullptr && i < sk_GENERAL_NAME_num(names); ++i) {
    const GENERAL_NAME* const name = sk_GENERAL_NAME_value(names, i);
    if (name->type != type)
      continue;
    const ASN1_STRING* const value = type == GEN_DNS ? name->d.dNSName : name->d.iPAddress;
    const auto* const data = ASN1_STRING_get0_data(value);
    out.emplace_back(data, data + ASN1_STRING_length(value));
  }
  ERR_clear_error();
  return out;
}

} // namespace

std::vector<std::string> certificate::dns_names() const {
  std::vector<std::string> out;
  if (handle_)
    for (const auto& name : alternative_names(handle_.get(), GEN_DNS))
      out.emplace_back(as_text(name));
  return out;
}

std::vector<std::string> certificate::ip_addresses() const {
  std::vector<std::string> out;
  if (!handle_)
    return out;
  for (const auto& octets : alternative_names(handle_.get(), GEN_IPADD))
    if (auto text = address_text(octets); !text.empty())
      out.push_back(std::move(text));
  return out;
}

bool certificate::is_ca() const {
  return handle_ && X509_check_ca(handle_.get()) == 1;
}

std::optional<bytes> extension_of(const certificate& cert, std::string_view oid) {
  if (!cert)
    return std::nullopt;
  const asn1_object_ptr object(OBJ_txt2obj(std::string(oid).c_str(), 1));
  const int index = object ? X509_get_ext_by_OBJ(cert.handle(), object.get(), -1) : -1;
  ERR_clear_error();
  if (index < 0)
    return std::nullopt;
  const ASN1_OCTET_STRING* const value =
      X509_EXTENSION_get_data(X509_get_ext(cert.handle(), index));
  const auto* const data = ASN1_STRING_get0_data(value);
  return bytes(data, data + ASN1_STRING_length(value));
}

} // namespace custos::crypto
