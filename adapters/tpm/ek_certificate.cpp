#include "adapters/tpm/ek_certificate.hpp"

#include <memory>
#include <openssl/err.h>
#include <openssl/x509v3.h>

namespace custos::tpm {

namespace {

error profile_error(const std::string& what) {
  error e = field_error(errc::attestation_failed, "/ek_certificate", "EK certificate: " + what);
  e.check = "ek-not-trusted";
  return e;
}

struct general_names_deleter {
  void operator()(GENERAL_NAMES* n) const { GENERAL_NAMES_free(n); }
};
struct eku_deleter {
  void operator()(EXTENDED_KEY_USAGE* e) const { EXTENDED_KEY_USAGE_free(e); }
};

std::string oid_text(const ASN1_OBJECT* object) {
  std::array<char, 80> text{};
  const int n = OBJ_obj2txt(text.data(), static_cast<int>(text.size()), object, 1);
  return n > 0 && static_cast<std::size_t>(n) < text.size()
             ? std::string(text.data(), static_cast<std::size_t>(n))
             : std::string();
}

/// TPMManufacturer, TPMModel, TPMVersion: in one RDN or in three.
void read_directory_name(const X509_NAME* name, ek_certificate_facts& out) {
  for (int i = 0; i < X509_NAME_entry_count(name); ++i) {
    const X509_NAME_ENTRY* const entry = X509_NAME_get_entry(name, i);
    const auto oid = oid_text(X509_NAME_ENTRY_get_object(entry));
    const ASN1_STRING* const data = X509_NAME_ENTRY_get_data(entry);
    const std::string value(reinterpret_cast<const char*>(ASN1_STRING_get0_data(data)),
                            static_cast<std::size_t>(ASN1_STRING_length(data)));
    if (oid == "2.23.133.2.1")
      out.manufacturer = value;
    else if (oid == "2.23.133.2.2")
      out.model = value;
    else if (oid == "2.23.133.2.3")
      out.version = value;
  }
}

ek_certificate_facts read_san(X509* cert) {
  ek_certificate_facts out;
  const std::unique_ptr<GENERAL_NAMES, general_names_deleter> names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(cert, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* const name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type == GEN_DIRNAME)
      read_directory_name(name->d.directoryName, out);
  }
  return out;
}

/// Absent is allowed (the profile recommends it only); present, it must name EK certificates.
bool extended_usage_fits(X509* cert) {
  const std::unique_ptr<EXTENDED_KEY_USAGE, eku_deleter> usages(static_cast<EXTENDED_KEY_USAGE*>(
      X509_get_ext_d2i(cert, NID_ext_key_usage, nullptr, nullptr)));
  for (int i = 0; usages && i < sk_ASN1_OBJECT_num(usages.get()); ++i)
    if (oid_text(sk_ASN1_OBJECT_value(usages.get(), i)) == "2.23.133.8.1")
      return true;
  return !usages;
}

/// Critical extensions beside those judged here or by OpenSSL's path validation.
std::string unknown_critical(X509* cert) {
  for (int i = 0; i < X509_get_ext_count(cert); ++i) {
    X509_EXTENSION* const extension = X509_get_ext(cert, i);
    if (X509_EXTENSION_get_critical(extension) == 0)
      continue;
    switch (OBJ_obj2nid(X509_EXTENSION_get_object(extension))) {
    case NID_basic_constraints:
    case NID_key_usage:
    case NID_ext_key_usage:
    case NID_subject_alt_name:
    case NID_certificate_policies:
    case NID_name_constraints:
      break;
    default:
      return oid_text(X509_EXTENSION_get_object(extension));
    }
  }
  return {};
}

/// What no profile gives up: the key usage is what tells EKs from keys that sign.
result<void> check_usage(const crypto::certificate& cert) {
  X509* const x = cert.handle();
  if (X509_get_version(x) != X509_VERSION_3)
    return profile_error("expected X.509 version 3");
  if ((X509_get_extension_flags(x) & EXFLAG_INVALID) != 0)
    return profile_error("an extension is there twice or does not parse");
  // The basic constraints alone: with a key usage that fits an EK, OpenSSL would call it no CA.
  if ((X509_get_extension_flags(x) & EXFLAG_CA) != 0)
    return profile_error("expected no CA certificate");
  const auto usage = X509_get_key_usage(x);
  const auto needed =
      cert.public_key().type() == crypto::key_type::rsa ? KU_KEY_ENCIPHERMENT : KU_KEY_AGREEMENT;
  if (usage == UINT32_MAX || (usage & static_cast<std::uint32_t>(needed)) == 0)
    return profile_error("expected the key usage keyEncipherment (RSA) or keyAgreement (ECC)");
  if ((usage & KU_DIGITAL_SIGNATURE) != 0)
    return profile_error("a key that signs is no endorsement key");
  if (const auto oid = unknown_critical(x); !oid.empty())
    return profile_error("critical extension " + oid + " is not known");
  return {};
}

/// Hex without leading zeros; "0" for zero.
std::string serial_of(const crypto::certificate& cert) {
  auto text = cert.serial_hex();
  text.erase(0, text.find_first_not_of('0'));
  return text.empty() ? "0" : text;
}

} // namespace

ek_certificate_facts read_ek_facts(const crypto::certificate& cert) {
  if (!cert)
    return {};
  auto out = read_san(cert.handle());
  ERR_clear_error();
  out.serial = serial_of(cert);
  return out;
}

result<ek_certificate_facts> check_ek_certificate(const crypto::certificate& cert,
                                                  ek_profile profile) {
  if (!cert)
    return profile_error("there is none");
  CUSTOS_CHECK(check_usage(cert));
  auto facts = read_ek_facts(cert);
  if (profile == ek_profile::relaxed)
    return facts;
  const bool usage_fits = extended_usage_fits(cert.handle());
  ERR_clear_error();
  if (!usage_fits)
    return profile_error("expected the extended key usage tcg-kp-EKCertificate (2.23.133.8.1)");
  if (facts.manufacturer.empty() || facts.model.empty() || facts.version.empty())
    return profile_error(
        "expected TPMManufacturer, TPMModel and TPMVersion in the subject alternative name");
  return facts;
}

} // namespace custos::tpm
