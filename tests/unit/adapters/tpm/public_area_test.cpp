#include "adapters/tpm/structures.hpp"
#include "tests/unit/adapters/tpm/tpm_bytes.hpp"
#include "tests/unit/test_data.hpp"

#include <gtest/gtest.h>
#include <openssl/ec.h>
#include <openssl/evp.h>

namespace custos::tpm {
namespace {

using namespace test;
using custos::test::read_data;

crypto::key fresh_key() {
  auto key = crypto::generate_p256();
  EXPECT_TRUE(key);
  return *key;
}

/// Of a real key: OpenSSL refuses numbers with small factors.
bytes some_modulus() {
  const auto key = crypto::generate_rsa(2048);
  EXPECT_TRUE(key);
  return modulus_of(*key);
}

public_area parsed(const bytes& marshalled) {
  auto area = parse_public(marshalled);
  EXPECT_TRUE(area) << area.failure().message;
  return *std::move(area);
}

TEST(PublicArea, ReadsTheAttestationKeyOfACloudTpm) {
  const auto raw = read_data("attestation/quotes/gce-cos-85-nonce9009/ak.tpmt_public.bin");
  const auto area = parsed(raw);
  EXPECT_EQ(area.type, object_type::rsa);
  EXPECT_EQ(area.attributes, 0x50072U);
  EXPECT_EQ(area.key.bits(), 2048U);
  ASSERT_TRUE(area.scheme);
  EXPECT_EQ(area.scheme->alg, scheme_alg::rsassa);
  EXPECT_EQ(area.scheme->hash, crypto::hash_alg::sha256);
  EXPECT_EQ(area.marshalled, raw);
  EXPECT_TRUE(check_attestation_key(area));
  EXPECT_EQ(check_endorsement_key(area).failure().check, "endorsement-key");
}

TEST(PublicArea, ReadsTheWrappedFormAsTheSameKey) {
  const auto raw = read_data("attestation/quotes/gce-cos-85-nonce9009/ak.tpmt_public.bin");
  const bytes wrapped = tpm_bytes().sized(raw);
  EXPECT_EQ(parsed(wrapped).name, parsed(raw).name);
  EXPECT_EQ(parsed(wrapped).marshalled, raw);
}

TEST(PublicArea, NameIsTheHashOfTheArea) {
  const auto raw = ecc_public(fresh_key(), {});
  const auto area = parsed(raw);
  bytes name{0x00, 0x0B};
  const auto hash = crypto::sha256(raw);
  name.insert(name.end(), hash.begin(), hash.end());
  EXPECT_EQ(area.name, name);
}

TEST(PublicArea, OfACertifiedKeyIsTheSame) {
  const auto ecc = fresh_key();
  const auto rsa = crypto::generate_rsa(2048);
  ASSERT_TRUE(rsa);
  for (const auto& [raw, key] :
       {std::pair{ecc_public(ecc, {}), ecc},
        std::pair{rsa_public(modulus_of(*rsa), {.scheme = 0x0014}), *rsa}}) {
    const auto area = parse_certified_public(raw, key);
    ASSERT_TRUE(area) << area.failure().message;
    EXPECT_TRUE(area->key.same_public(key));
    EXPECT_EQ(area->name, parsed(raw).name);
    EXPECT_EQ(area->attributes, parsed(raw).attributes);
    EXPECT_EQ(area->scheme->alg, parsed(raw).scheme->alg);
  }
}

TEST(PublicArea, OfACertifiedKeyHoldsNoOther) {
  const auto ecc = fresh_key();
  const auto rsa = *crypto::generate_rsa(2048);
  const auto ecc_raw = ecc_public(ecc, {});
  const auto rsa_raw = rsa_public(modulus_of(rsa), {.scheme = 0x0014});
  EXPECT_FALSE(parse_certified_public(ecc_raw, fresh_key()));
  EXPECT_FALSE(parse_certified_public(ecc_raw, rsa));
  EXPECT_FALSE(parse_certified_public(ecc_raw, {}));
  EXPECT_FALSE(parse_certified_public(rsa_raw, ecc));
  EXPECT_FALSE(parse_certified_public(rsa_raw, {}));
  EXPECT_FALSE(parse_certified_public(rsa_raw, *crypto::generate_rsa(2048)));
  EXPECT_FALSE(parse_certified_public(rsa_public(modulus_of(rsa), {.scheme = 0x0014}, 65539), rsa));
  for (std::size_t i = rsa_raw.size() - 256; i < rsa_raw.size(); i += 15) {
    auto changed = rsa_raw;
    changed[i] ^= 1;
    EXPECT_FALSE(parse_certified_public(changed, rsa)) << i;
  }
  for (std::size_t i = ecc_raw.size() - 66; i < ecc_raw.size(); ++i) {
    auto changed = ecc_raw;
    changed[i] ^= 1;
    EXPECT_FALSE(parse_certified_public(changed, ecc)) << i;
  }
}

TEST(PublicArea, OfACertifiedKeyMayLackLeadingZeros) {
  bool found = false;
  for (int i = 0; i < 20'000 && !found; ++i) {
    const auto key = fresh_key();
    const auto point = crypto::ec_point_of(key);
    found = point->x[0] == 0 && point->y[0] != 0;
    if (!found)
      continue;
    auto raw = ecc_public(key, {});
    // TPM2B_ECC_PARAMETER x: 32 octets before the 34 of y.
    const auto x_at = raw.size() - 34 - 32;
    raw.erase(raw.begin() + static_cast<long>(x_at));
    raw[x_at - 1] = 31;
    EXPECT_TRUE(parse_certified_public(raw, key));
  }
  EXPECT_TRUE(found);
}

TEST(PublicArea, RefusesEveryTruncationAndTrailingBytes) {
  for (const auto* file : {"attestation/quotes/gce-cos-85-nonce9009/ak.tpmt_public.bin",
                           "attestation/quotes/veraison-parsec-tpm/key.tpmt_public.bin"}) {
    auto raw = read_data(file);
    for (std::size_t size = 0; size < raw.size(); ++size)
      EXPECT_FALSE(parse_public(byte_view(raw).first(size))) << file << " " << size;
    raw.push_back(0);
    EXPECT_FALSE(parse_public(raw)) << file;
  }
  EXPECT_EQ(parse_public(bytes(public_bytes_max + 1)).failure().code, errc::too_large);
}

TEST(PublicArea, RefusesWhatNoKeyHereMayBe) {
  const auto key = fresh_key();
  const auto good = ecc_public(key, {});
  ASSERT_TRUE(parse_public(good));
  auto other_curve = good;
  // type, nameAlg, attributes, empty policy, null symmetric, scheme and hash come before the curve
  const std::size_t curve_at = 2 + 2 + 4 + 2 + 2 + 4;
  ASSERT_EQ(other_curve[curve_at + 1], 3);
  other_curve[curve_at + 1] = 1; // P-192
  EXPECT_FALSE(parse_public(other_curve));
  auto off_curve = good;
  off_curve.back() ^= 1;
  EXPECT_FALSE(parse_public(off_curve));
  EXPECT_FALSE(parse_public(ecc_public(key, {.scheme = 0x0014})));   // RSASSA
  EXPECT_FALSE(parse_public(ecc_public(key, {.name_alg = 0x0012}))); // SM3
  EXPECT_FALSE(parse_public(ecc_public(key, {.scheme_hash = 0x0012})));
  EXPECT_FALSE(parse_public(ecc_public(key, {.aes_bits = 128, .aes_mode = 0x0042}))); // CBC
  EXPECT_FALSE(parse_public(ecc_public(key, {.aes_bits = 192})));
  const template_of rsa{.scheme = 0x0014};
  auto modulus = some_modulus();
  EXPECT_TRUE(parse_public(rsa_public(modulus, rsa)));
  EXPECT_FALSE(
      parse_public(rsa_public(bytes(modulus.begin(), modulus.begin() + 128), rsa))); // RSA-1024
  EXPECT_FALSE(parse_public(rsa_public(modulus, rsa, 3)));
  EXPECT_FALSE(parse_public(rsa_public(modulus, rsa, 65538)));
  EXPECT_FALSE(parse_public(rsa_public(modulus, {.scheme = 0x0018}))); // ECDSA
  modulus.back() ^= 1;                                                 // even
  EXPECT_FALSE(parse_public(rsa_public(modulus, rsa)));
}

TEST(AttestationKey, EveryDemandedAttributeIsDemanded) {
  const auto key = fresh_key();
  ASSERT_TRUE(check_attestation_key(parsed(ecc_public(key, {}))));
  // With noDA, as Infineon's and Google's keys have it: a mask, not an equality.
  EXPECT_TRUE(check_attestation_key(parsed(ecc_public(key, {.attributes = 0x00050472}))));
  for (const auto bit :
       {attribute::restricted, attribute::sign, attribute::fixed_tpm, attribute::fixed_parent,
        attribute::sensitive_data_origin, attribute::decrypt}) {
    const auto verdict =
        check_attestation_key(parsed(ecc_public(key, {.attributes = ak_attributes ^ bit})));
    ASSERT_FALSE(verdict) << bit;
    EXPECT_EQ(verdict.failure().check, "attestation-key");
  }
}

TEST(AttestationKey, NeedsItsOwnStrongScheme) {
  const auto key = fresh_key();
  EXPECT_FALSE(check_attestation_key(parsed(ecc_public(key, {.scheme = alg_null}))));
  EXPECT_FALSE(check_attestation_key(parsed(ecc_public(key, {.scheme_hash = 0x0004}))));
  EXPECT_FALSE(check_attestation_key(parsed(ecc_public(key, {.name_alg = 0x0004}))));
  EXPECT_FALSE(check_attestation_key(parsed(ecc_public(key, {.aes_bits = 128}))));
}

TEST(AttestationKey, EveryAcceptedKindOfKeyAndScheme) {
  struct row {
    crypto::key key;
    std::uint16_t scheme, hash;
  };
  const auto p384 = crypto::key(std::shared_ptr<evp_pkey_st>(EVP_EC_gen("P-384"), EVP_PKEY_free));
  std::vector<row> rows{{fresh_key(), 0x0018, 0x000B}, {p384, 0x0018, 0x000C}};
  for (const unsigned bits : {2048U, 3072U, 4096U}) {
    const auto rsa = crypto::generate_rsa(bits);
    ASSERT_TRUE(rsa);
    rows.push_back({*rsa, 0x0014, 0x000B}); // RSASSA
    rows.push_back({*rsa, 0x0016, 0x000B}); // RSAPSS
  }
  for (const auto& [key, scheme, hash] : rows)
    for (const auto name_alg :
         {std::uint16_t{0x000B}, std::uint16_t{0x000C}, std::uint16_t{0x000D}}) {
      const template_of t{.name_alg = name_alg, .scheme = scheme, .scheme_hash = hash};
      const auto raw =
          key.type() == crypto::key_type::rsa ? rsa_public(modulus_of(key), t) : ecc_public(key, t);
      const auto area = parsed(raw);
      EXPECT_TRUE(check_attestation_key(area)) << key.bits() << " " << scheme;
      EXPECT_TRUE(area.key.same_public(key));
      // Part 1, 16: the name is the hash, by the key's own algorithm, of what was received.
      bytes name{0x00, static_cast<std::uint8_t>(name_alg)};
      const auto digest = crypto::digest(static_cast<crypto::hash_alg>(name_alg), {raw});
      name.insert(name.end(), digest.begin(), digest.end());
      EXPECT_EQ(area.name, name);
    }
}

TEST(AttestationKey, RecordedAttributesGiveTheirVerdicts) {
  const auto cloud =
      parsed(read_data("attestation/quotes/gce-cos-85-nonce9009/ak.tpmt_public.bin"));
  EXPECT_EQ(cloud.attributes, 0x50072U);
  EXPECT_TRUE(check_attestation_key(cloud));
  // With noDA; its scheme is SHA-1, which is what is refused.
  const auto vendor =
      parsed(read_data("attestation/enrolment/goattest-infineon-rsa-ak/ak.tpmt_public.bin"));
  EXPECT_EQ(vendor.attributes, 0x50472U);
  const auto sha1 = check_attestation_key(vendor);
  ASSERT_FALSE(sha1);
  EXPECT_NE(sha1.failure().message.find("SHA-1"), std::string::npos);
  EXPECT_TRUE(check_attestation_key(parsed(ecc_public(fresh_key(), {.attributes = 0x50472}))));
  const auto free_key =
      parsed(read_data("attestation/quotes/veraison-parsec-tpm/key.tpmt_public.bin"));
  EXPECT_EQ(free_key.attributes, 0x40072U);
  EXPECT_FALSE(check_attestation_key(free_key));
}

TEST(AttestationKey, AnUnrestrictedKeyOfTheSameTpmIsNone) {
  const auto area = parsed(read_data("attestation/quotes/veraison-parsec-tpm/key.tpmt_public.bin"));
  EXPECT_EQ(area.attributes, 0x40072U);
  const auto verdict = check_attestation_key(area);
  ASSERT_FALSE(verdict);
  EXPECT_NE(verdict.failure().message.find("restricted"), std::string::npos);
}

TEST(EndorsementKey, LowAndHighRangeTemplatesPass) {
  const auto modulus = some_modulus();
  EXPECT_TRUE(check_endorsement_key(parsed(rsa_public(modulus, ek_template()))));
  EXPECT_TRUE(check_endorsement_key(parsed(ecc_public(fresh_key(), ek_template()))));
  // High range: userWithAuth as well, SHA-384 policies, AES-256 (TCG EK Credential Profile 2.6).
  auto high = ek_template();
  high.attributes = 0x000300F2;
  high.name_alg = 0x000C;
  high.policy = bytes(48, 0xB2);
  high.aes_bits = 256;
  EXPECT_TRUE(check_endorsement_key(parsed(rsa_public(modulus, high))));
  const auto rsa3072 = crypto::generate_rsa(3072);
  ASSERT_TRUE(rsa3072);
  EXPECT_TRUE(check_endorsement_key(parsed(rsa_public(modulus_of(*rsa3072), high))));
  const crypto::key p384(std::shared_ptr<evp_pkey_st>(EVP_EC_gen("P-384"), EVP_PKEY_free));
  EXPECT_TRUE(check_endorsement_key(parsed(ecc_public(p384, high))));
}

TEST(EndorsementKey, EveryDemandedAttributeIsDemanded) {
  const auto key = fresh_key();
  for (const auto bit :
       {attribute::restricted, attribute::sign, attribute::fixed_tpm, attribute::fixed_parent,
        attribute::sensitive_data_origin, attribute::decrypt, attribute::admin_with_policy,
        attribute::encrypted_duplication}) {
    auto t = ek_template();
    t.attributes ^= bit;
    const auto verdict = check_endorsement_key(parsed(ecc_public(key, t)));
    ASSERT_FALSE(verdict) << bit;
    EXPECT_EQ(verdict.failure().check, "endorsement-key");
  }
  auto t = ek_template();
  t.policy = {};
  EXPECT_FALSE(check_endorsement_key(parsed(ecc_public(key, t))));
  t = ek_template();
  t.aes_bits = 0;
  EXPECT_FALSE(check_endorsement_key(parsed(ecc_public(key, t))));
  t = ek_template();
  t.scheme = 0x0018;
  EXPECT_FALSE(check_endorsement_key(parsed(ecc_public(key, t))));
}

TEST(Enrolment, ARealInfineonKeyWasCreatedInItsTpm) {
  const std::string dir = "attestation/enrolment/goattest-infineon-rsa-ak/";
  const auto area = parsed(read_data(dir + "ak.tpmt_public.bin"));
  EXPECT_EQ(area.attributes, 0x50472U);
  const auto attested = read_data(dir + "creation.attest.bin");
  // TPMS_CREATION_INFO: the object's name and the hash of its creation data.
  const auto contains = [&](const bytes& part) {
    return std::search(attested.begin(), attested.end(), part.begin(), part.end()) !=
           attested.end();
  };
  EXPECT_TRUE(contains(area.name));
  EXPECT_TRUE(contains(crypto::digest(area.name_alg, {read_data(dir + "creation_data.bin")})));
  const auto sig = parse_signature(read_data(dir + "creation.sig.bin"));
  ASSERT_TRUE(sig);
  EXPECT_EQ(sig->hash, crypto::hash_alg::sha1);
  EXPECT_TRUE(verify_quote_signature(area, attested, *sig, true));
  EXPECT_FALSE(verify_quote_signature(area, attested, *sig, false));
  EXPECT_FALSE(check_attestation_key(area)) << "signs with SHA-1";
  // A creation certificate is no quote, whoever signed it.
  EXPECT_EQ(parse_quote(attested).failure().check, "quote-type");
}

TEST(Enrolment, SignaturesOfTheOtherKindAreRefused) {
  const auto rsa =
      parsed(read_data("attestation/enrolment/goattest-infineon-rsa-ak/ak.tpmt_public.bin"));
  const auto ecc = parsed(ecc_public(fresh_key(), {}));
  const auto rsa_sig =
      parse_signature(read_data("attestation/enrolment/goattest-infineon-rsa-ak/creation.sig.bin"));
  const auto ecc_sig =
      parse_signature(read_data("attestation/quotes/veraison-parsec-tpm/quote.sig.bin"));
  ASSERT_TRUE(rsa_sig);
  ASSERT_TRUE(ecc_sig);
  const bytes attested(100, 1);
  for (const auto& verdict : {verify_quote_signature(rsa, attested, *ecc_sig, true),
                              verify_quote_signature(ecc, attested, *rsa_sig, true)}) {
    ASSERT_FALSE(verdict);
    EXPECT_EQ(verdict.failure().check, "quote-signature");
  }
}

} // namespace
} // namespace custos::tpm
