#pragma once
// Issues certificate revocation lists as a CA does, with every part open to change.

#include "adapters/crypto/x509.hpp"

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <openssl/bio.h>
#include <openssl/conf.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <string>
#include <vector>

namespace custos::crypto::test {

struct crl_of {
  std::vector<long> serials{};
  unix_seconds last_update = 0;
  unix_seconds next_update = 4'000'000'000; ///< 0: left out
  std::string extensions{};                 ///< lines of OpenSSL's extension configuration
  std::string sections{};                   ///< more sections that those refer to
  const char* digest = "SHA256";
};

inline void require_crl(bool ok, const char* what) {
  if (ok)
    return;
  std::fprintf(stderr, "CRL fixture: %s\n", what);
  std::abort();
}

inline std::unique_ptr<ASN1_TIME, decltype(&ASN1_TIME_free)> crl_time(unix_seconds at) {
  return {ASN1_TIME_set(nullptr, at), ASN1_TIME_free};
}

inline certificate_revocation_list make_crl(const certificate& ca, const key& ca_key,
                                            const crl_of& what = {}) {
  const std::unique_ptr<X509_CRL, decltype(&X509_CRL_free)> crl(X509_CRL_new(), X509_CRL_free);
  X509_CRL_set_version(crl.get(), X509_CRL_VERSION_2);
  X509_CRL_set_issuer_name(crl.get(), X509_get_subject_name(ca.handle()));
  X509_CRL_set1_lastUpdate(crl.get(), crl_time(what.last_update).get());
  if (what.next_update != 0)
    X509_CRL_set1_nextUpdate(crl.get(), crl_time(what.next_update).get());
  for (const long serial : what.serials) {
    X509_REVOKED* const entry = X509_REVOKED_new();
    const std::unique_ptr<ASN1_INTEGER, decltype(&ASN1_INTEGER_free)> number(ASN1_INTEGER_new(),
                                                                             ASN1_INTEGER_free);
    ASN1_INTEGER_set(number.get(), serial);
    X509_REVOKED_set_serialNumber(entry, number.get());
    X509_REVOKED_set_revocationDate(entry, crl_time(what.last_update).get());
    require_crl(X509_CRL_add0_revoked(crl.get(), entry) == 1, "entry");
  }
  if (!what.extensions.empty()) {
    const auto text = "[crl]\n" + what.extensions + "\n" + what.sections;
    const std::unique_ptr<BIO, decltype(&BIO_free_all)> in(
        BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), BIO_free_all);
    const std::unique_ptr<CONF, decltype(&NCONF_free)> conf(NCONF_new(nullptr), NCONF_free);
    long bad_line = 0;
    require_crl(NCONF_load_bio(conf.get(), in.get(), &bad_line) == 1, "configuration");
    X509V3_CTX context;
    X509V3_set_ctx(&context, ca.handle(), nullptr, nullptr, crl.get(), 0);
    X509V3_set_nconf(&context, conf.get());
    require_crl(X509V3_EXT_CRL_add_nconf(conf.get(), &context, "crl", crl.get()) == 1,
                "extensions");
  }
  X509_CRL_sort(crl.get());
  require_crl(X509_CRL_sign(crl.get(), ca_key.handle(), EVP_get_digestbyname(what.digest)) > 0,
              "signature");
  unsigned char* der = nullptr;
  const int size = i2d_X509_CRL(crl.get(), &der);
  require_crl(size > 0, "encoding");
  auto made = crl_from_der({der, static_cast<std::size_t>(size)});
  OPENSSL_free(der);
  require_crl(made.ok(), "list");
  return *std::move(made);
}

} // namespace custos::crypto::test
