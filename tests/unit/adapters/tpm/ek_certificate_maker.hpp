#pragma once
// Issues endorsement key certificates as a TPM vendor does, with every part open to change.

#include "adapters/crypto/x509.hpp"

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <openssl/bio.h>
#include <openssl/conf.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <string>

namespace custos::tpm::test {

/// In the words of OpenSSL's extension configuration; empty leaves an extension out.
struct ek_certificate_of {
  std::string basic_constraints = "critical,CA:FALSE";
  std::string key_usage = "critical,keyAgreement";
  std::string extended_key_usage = "2.23.133.8.1";
  std::string alternative_name = "critical,dirName:tpm";
  /// Attributes of the directory name (TCG EK Credential Profile, 3.2.9); OpenSSL drops what is
  /// before the first dot.
  std::string tpm =
      "1.2.23.133.2.1=id:00001014\n2.2.23.133.2.2=swtpm\n3.2.23.133.2.3=id:20191023\n";
  std::string extra{};   ///< more lines of extensions
  std::string subject{}; ///< a common name; most EK certificates have an empty subject
  long serial = 4711;
  const char* digest = "SHA256"; ///< that it is signed with
  long version = 2;              ///< as encoded: 2 is X.509 v3
  crypto::unix_seconds not_before = 0;
  crypto::unix_seconds not_after = 4'000'000'000;
};

inline void require(bool ok, const char* what) {
  if (ok)
    return;
  std::fprintf(stderr, "EK certificate fixture: %s\n", what);
  std::abort();
}

inline crypto::certificate make_ek_certificate(const crypto::key& ek, const crypto::key& ca_key,
                                               const crypto::certificate& ca,
                                               const ek_certificate_of& what = {}) {
  std::string text = "[ek]\n";
  const auto line = [&](const char* name, const std::string& value) {
    if (!value.empty())
      text += std::string(name) + "=" + value + "\n";
  };
  line("basicConstraints", what.basic_constraints);
  line("keyUsage", what.key_usage);
  line("extendedKeyUsage", what.extended_key_usage);
  line("subjectAltName", what.alternative_name);
  text += what.extra + "\n[tpm]\n" + what.tpm;

  const std::unique_ptr<BIO, decltype(&BIO_free_all)> in(
      BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), BIO_free_all);
  const std::unique_ptr<CONF, decltype(&NCONF_free)> conf(NCONF_new(nullptr), NCONF_free);
  long bad_line = 0;
  require(NCONF_load_bio(conf.get(), in.get(), &bad_line) == 1, "configuration");

  const std::unique_ptr<X509, decltype(&X509_free)> x(X509_new(), X509_free);
  X509V3_CTX context;
  X509V3_set_ctx(&context, ca.handle(), x.get(), nullptr, nullptr, 0);
  X509V3_set_nconf(&context, conf.get());
  X509_set_version(x.get(), what.version);
  ASN1_INTEGER_set(X509_get_serialNumber(x.get()), what.serial);
  X509_set_issuer_name(x.get(), X509_get_subject_name(ca.handle()));
  if (!what.subject.empty())
    require(X509_NAME_add_entry_by_txt(X509_get_subject_name(x.get()), "CN", MBSTRING_UTF8,
                                       reinterpret_cast<const unsigned char*>(what.subject.c_str()),
                                       -1, -1, 0) == 1,
            "subject");
  ASN1_TIME_set(X509_getm_notBefore(x.get()), what.not_before);
  ASN1_TIME_set(X509_getm_notAfter(x.get()), what.not_after);
  X509_set_pubkey(x.get(), ek.handle());
  if (what.version == 2)
    require(X509V3_EXT_add_nconf(conf.get(), &context, "ek", x.get()) == 1, "extensions");
  require(X509_sign(x.get(), ca_key.handle(), EVP_get_digestbyname(what.digest)) > 0, "signature");
  unsigned char* der = nullptr;
  const int size = i2d_X509(x.get(), &der);
  require(size > 0, "encoding");
  auto made = crypto::certificate_from_der({der, static_cast<std::size_t>(size)});
  OPENSSL_free(der);
  require(made.ok(), "certificate");
  return *std::move(made);
}

/// A CA's certificate, not an EK's, with the same parts open to change.
inline ek_certificate_of ca_certificate(const std::string& subject) {
  ek_certificate_of out;
  out.basic_constraints = "critical,CA:TRUE";
  out.key_usage = "critical,keyCertSign,cRLSign";
  out.extended_key_usage = "";
  out.alternative_name = "";
  out.subject = subject;
  return out;
}

/// A vendor: root, and an intermediate that issues.
struct vendor {
  crypto::key root_key, issuing_key;
  crypto::certificate root, issuing;

  explicit vendor(crypto::unix_seconds root_end = 4'000'000'000,
                  crypto::unix_seconds issuing_end = 4'000'000'000) {
    const auto fresh = [] {
      auto key = crypto::generate_p256();
      require(key.ok(), "key");
      return *key;
    };
    root_key = fresh();
    issuing_key = fresh();
    crypto::certificate_request r;
    r.common_name = "TPM Root";
    r.is_ca = true;
    r.not_after = root_end;
    auto made = crypto::issue_certificate(r, root_key, root_key, nullptr);
    require(made.ok(), "root");
    root = *made;
    r.common_name = "TPM Issuing";
    r.not_after = issuing_end;
    made = crypto::issue_certificate(r, issuing_key, root_key, &root);
    require(made.ok(), "issuing CA");
    issuing = *made;
  }
  [[nodiscard]] crypto::certificate issue(const crypto::key& ek,
                                          const ek_certificate_of& what = {}) const {
    return make_ek_certificate(ek, issuing_key, issuing, what);
  }
};

} // namespace custos::tpm::test
