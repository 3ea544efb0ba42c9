#include "adapters/crypto/x509.hpp"
#include "tests/unit/test_data.hpp"

#include <filesystem>
#include <gtest/gtest.h>

// Certificates as TPM vendors really issue them: odd, padded, not always strict DER.
namespace custos::crypto {
namespace {

using custos::test::data_path;
using custos::test::read_data;

constexpr std::size_t nv_index_bytes = 1600;

TEST(EkCertificates, NvPaddingIsCutOffAndNothingElse) {
  const auto der = read_data("attestation/certs/keylime-ek/st_ecdsa_sha256.der");
  for (const auto fill : bytes{0x00, 0xFF}) {
    auto padded = der;
    padded.resize(nv_index_bytes, fill);
    const auto certificate = certificate_from_nv(padded);
    ASSERT_TRUE(certificate) << certificate.failure().message;
    EXPECT_EQ(certificate->der(), der) << "kept as received";
    EXPECT_FALSE(certificate_from_der(padded));
    padded.back() ^= 0x55;
    EXPECT_FALSE(certificate_from_nv(padded));
  }
  EXPECT_EQ(certificate_from_nv(der)->public_key().type(), key_type::p256);
}

TEST(EkCertificates, EveryTruncationIsRefused) {
  const auto der = read_data("attestation/certs/keylime-ek/st_ecdsa_sha256.der");
  for (std::size_t size = 0; size < der.size(); ++size)
    EXPECT_FALSE(certificate_from_nv(byte_view(der).first(size))) << size;
}

TEST(EkCertificates, EveryRecordedCertificateParses) {
  std::size_t count = 0;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(data_path("attestation/certs"))) {
    if (!entry.is_regular_file())
      continue;
    const auto relative = std::filesystem::relative(entry.path(), data_path("")).string();
    const auto content = read_data(relative);
    if (content.front() == 0x30) {
      EXPECT_TRUE(certificate_from_nv(content)) << relative;
    } else {
      const auto all = certificates_from_pem(content);
      ASSERT_TRUE(all) << relative << ": " << all.failure().message;
      for (const auto& certificate : *all)
        EXPECT_FALSE(certificate.subject().empty() && certificate.issuer().empty()) << relative;
    }
    ++count;
  }
  EXPECT_GE(count, 57U);
}

} // namespace
} // namespace custos::crypto
