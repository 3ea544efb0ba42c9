#include "adapters/tpm/structures.hpp"
#include "tests/unit/adapters/tpm/tpm_bytes.hpp"
#include "tests/unit/test_data.hpp"

#include <boost/json.hpp>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

namespace custos::tpm {
namespace {

using namespace test;
using crypto::hash_alg;
using custos::test::read_data;
using custos::test::read_text;

const std::string gce = "attestation/quotes/gce-cos-85-nonce9009/";
const std::string veraison = "attestation/quotes/veraison-parsec-tpm/";

public_area area_of_pem(const std::string& file, scheme_alg alg) {
  public_area area;
  const auto key = crypto::public_key_from_pem(read_data(file));
  EXPECT_TRUE(key);
  area.key = *key;
  area.scheme = signing_scheme{.alg = alg, .hash = hash_alg::sha256};
  return area;
}

public_area gce_ak() {
  auto area = parse_public(read_data(gce + "ak.tpmt_public.bin"));
  EXPECT_TRUE(area);
  return *std::move(area);
}

std::vector<pcr_value> gce_pcrs(const std::string& bank) {
  std::vector<pcr_value> out;
  const auto document = boost::json::parse(read_text(gce + "pcrs.json"));
  for (const auto& [pcr, value] : document.at("banks").at(bank).as_object())
    out.push_back({.bank = static_cast<std::uint16_t>(*crypto::hash_alg_of(bank)),
                   .pcr = static_cast<std::uint32_t>(std::stoul(std::string(pcr))),
                   .value = *crypto::from_hex(value.as_string())});
  return out;
}

TEST(Quote, ACloudMachinesThreeQuotesHold) {
  const auto ak = gce_ak();
  for (const std::string bank : {"sha1", "sha256", "sha384"}) {
    const auto raw = read_data(gce + "quote." + bank + ".attest.bin");
    const auto quote = parse_quote(raw);
    ASSERT_TRUE(quote) << quote.failure().message;
    EXPECT_EQ(quote->extra_data, (bytes{0x90, 0x09}));
    ASSERT_EQ(quote->selection.size(), 1U);
    EXPECT_EQ(crypto::to_string(quote->selection[0].bank), bank);
    EXPECT_EQ(quote->selection[0].mask, 0xFFFFFFU);
    const auto sig = parse_signature(read_data(gce + "quote." + bank + ".sig.bin"));
    ASSERT_TRUE(sig);
    EXPECT_TRUE(verify_quote_signature(ak, raw, *sig, false)) << bank;
    // The digest over the values is by the signature's hash, whatever the bank's.
    const auto digest = pcr_composite_digest(sig->hash, quote->selection, gce_pcrs(bank));
    ASSERT_TRUE(digest) << digest.failure().message;
    EXPECT_EQ(*digest, quote->pcr_digest) << bank;
  }
}

TEST(Quote, EveryBitOfASignedQuoteCounts) {
  const auto ak = gce_ak();
  const auto raw = read_data(gce + "quote.sha256.attest.bin");
  const auto sig = parse_signature(read_data(gce + "quote.sha256.sig.bin"));
  ASSERT_TRUE(sig);
  for (std::size_t bit = 0; bit < raw.size() * 8; ++bit) {
    auto flipped = raw;
    flipped[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    EXPECT_FALSE(parse_quote(flipped) && verify_quote_signature(ak, flipped, *sig, false)) << bit;
    if (bit < 32) {
      EXPECT_EQ(parse_quote(flipped).failure().check, "quote-magic");
    } else if (bit < 48) {
      EXPECT_EQ(parse_quote(flipped).failure().check, "quote-type");
    }
  }
}

TEST(Quote, EveryOctetOfTheSignatureCounts) {
  const auto ak = gce_ak();
  const auto raw = read_data(gce + "quote.sha256.attest.bin");
  const auto sig = read_data(gce + "quote.sha256.sig.bin");
  for (std::size_t i = 0; i < sig.size(); ++i) {
    auto flipped = sig;
    flipped[i] ^= 0x01;
    const auto parsed = parse_signature(flipped);
    EXPECT_FALSE(parsed && verify_quote_signature(ak, raw, *parsed, true)) << i;
    EXPECT_FALSE(parse_signature(byte_view(sig).first(i))) << i;
  }
  auto longer = sig;
  longer.push_back(0);
  EXPECT_EQ(parse_signature(longer).failure().check, "quote-signature");
}

TEST(Quote, RefusesEveryTruncationAndTrailingBytes) {
  auto raw = read_data(gce + "quote.sha256.attest.bin");
  for (std::size_t size = 0; size < raw.size(); ++size)
    EXPECT_EQ(parse_quote(byte_view(raw).first(size)).failure().check, "quote-malformed") << size;
  raw.push_back(0);
  EXPECT_EQ(parse_quote(raw).failure().check, "quote-malformed");
  raw.resize(quote_bytes_max + 1);
  EXPECT_EQ(parse_quote(raw).failure().code, errc::too_large);
}

TEST(Quote, AnEcdsaQuoteHoldsAndACertificationIsNone) {
  const auto ak = area_of_pem(veraison + "ak.pub.pem", scheme_alg::ecdsa);
  const auto raw = read_data(veraison + "quote.attest.bin");
  const auto quote = parse_quote(raw);
  ASSERT_TRUE(quote);
  EXPECT_EQ(quote->selection[0].mask, 0b111U);
  const auto sig = parse_signature(read_data(veraison + "quote.sig.bin"));
  ASSERT_TRUE(sig);
  EXPECT_TRUE(verify_quote_signature(ak, raw, *sig, false));

  // TPM2_Certify of another key, genuinely signed by the same AK.
  const auto certify = read_data(veraison + "certify.attest.bin");
  const auto certify_sig = parse_signature(read_data(veraison + "certify.sig.bin"));
  ASSERT_TRUE(certify_sig);
  EXPECT_TRUE(verify_quote_signature(ak, certify, *certify_sig, false));
  EXPECT_EQ(parse_quote(certify).failure().check, "quote-type");
}

TEST(Quote, TheKeylimeVectorHolds) {
  const std::string dir = "attestation/quotes/keylime-unittest/";
  const auto ak = area_of_pem(dir + "ak.pub.pem", scheme_alg::rsassa);
  const auto raw = read_data(dir + "quote.attest.bin");
  const auto quote = parse_quote(raw);
  ASSERT_TRUE(quote);
  EXPECT_EQ(quote->extra_data, read_data(dir + "nonce.txt"));
  EXPECT_EQ(quote->selection[0].mask, 1U << 16);
  const auto sig = parse_signature(read_data(dir + "quote.sig.bin"));
  ASSERT_TRUE(sig);
  EXPECT_TRUE(verify_quote_signature(ak, raw, *sig, false));
  // tpm2-tools' C struct: one TPML_DIGEST behind the selection, one TPM2B_DIGEST in it.
  const auto pcrs = read_data(dir + "pcrs.tpm2tools-struct.bin");
  constexpr std::size_t value_at = 0x8E;
  const std::vector<pcr_value> values{
      {.bank = 0x000B, .pcr = 16, .value = to_bytes(byte_view(pcrs).subspan(value_at, 32))}};
  const auto digest = pcr_composite_digest(hash_alg::sha256, quote->selection, values);
  ASSERT_TRUE(digest);
  EXPECT_EQ(*digest, quote->pcr_digest);
}

TEST(Quote, TheTrusteeVectorHolds) {
  const auto document =
      boost::json::parse(read_text("attestation/quotes/trustee-tpm/tpm_evidence.json"));
  const auto text = [](const boost::json::value& v) { return std::string_view(v.as_string()); };
  public_area ak;
  const auto key =
      crypto::public_key_from_spki(*crypto::from_base64(text(document.at("ak_public"))));
  ASSERT_TRUE(key);
  ak.key = *key;
  ak.scheme = signing_scheme{};
  const auto& evidence = document.at("tpm_quote");
  const auto raw = crypto::from_base64(text(evidence.at("message")));
  ASSERT_TRUE(raw);
  const auto quote = parse_quote(*raw);
  ASSERT_TRUE(quote);
  EXPECT_EQ(quote->extra_data.size(), 64U);
  const auto sig = parse_signature(*crypto::from_base64(text(evidence.at("signature"))));
  ASSERT_TRUE(sig);
  EXPECT_TRUE(verify_quote_signature(ak, *raw, *sig, false));
  std::vector<pcr_value> values;
  for (const auto& value : evidence.at("pcrs").as_array())
    values.push_back({.bank = 0x000B,
                      .pcr = static_cast<std::uint32_t>(values.size()),
                      .value = *crypto::from_hex(text(value))});
  const auto digest = pcr_composite_digest(hash_alg::sha256, quote->selection, values);
  ASSERT_TRUE(digest);
  EXPECT_EQ(*digest, quote->pcr_digest);
}

TEST(Quote, TheRustKeylimeVectorParses) {
  const auto text = read_text("attestation/quotes/rust-keylime/test-quote.txt");
  ASSERT_EQ(text.front(), 'r');
  const auto colon = text.find(':');
  const auto raw = crypto::from_base64(std::string_view(text).substr(1, colon - 1));
  ASSERT_TRUE(raw);
  const auto quote = parse_quote(*raw);
  ASSERT_TRUE(quote) << quote.failure().message;
  EXPECT_EQ(quote->extra_data, to_bytes(std::string_view("TEST")));
  EXPECT_EQ(quote->selection[0].bank, hash_alg::sha1);
  const auto second = text.find(':', colon + 1);
  const auto sig = parse_signature(
      *crypto::from_base64(std::string_view(text).substr(colon + 1, second - colon - 1)));
  ASSERT_TRUE(sig);
  EXPECT_EQ(sig->alg, scheme_alg::rsassa);
}

TEST(Quote, TheKeyOfOneCaseSignsNothingOfAnother) {
  const auto raw = read_data(gce + "quote.sha256.attest.bin");
  const auto sig = parse_signature(read_data(gce + "quote.sha256.sig.bin"));
  ASSERT_TRUE(sig);
  const auto other =
      area_of_pem("attestation/quotes/keylime-unittest/ak.pub.pem", scheme_alg::rsassa);
  EXPECT_FALSE(verify_quote_signature(other, raw, *sig, false));
}

// The same structure signed by a key we hold: only magic and type tell that no TPM made it.
TEST(Quote, MagicAndTypeAreJudgedWhateverTheSignature) {
  EXPECT_TRUE(parse_quote(quote_bytes({})));
  EXPECT_EQ(parse_quote(quote_bytes({.magic = 0x12345678})).failure().check, "quote-magic");
  for (const auto type : std::vector<std::uint16_t>{0x8014, 0x8015, 0x8017, 0x8019, 0x801A, 0})
    EXPECT_EQ(parse_quote(quote_bytes({.type = type})).failure().check, "quote-type") << type;
}

TEST(Quote, ReadsEveryField) {
  const auto quote =
      parse_quote(quote_bytes({.selection = {{0x000B, {0x01, 0x02, 0x80}}, {0x0004, {0x00}}}}));
  ASSERT_TRUE(quote) << quote.failure().message;
  EXPECT_EQ(quote->qualified_signer, bytes(34, 0x01));
  EXPECT_EQ(quote->extra_data, bytes(32, 0x02));
  EXPECT_EQ(quote->clock.clock, 1000U);
  EXPECT_EQ(quote->clock.reset_count, 7U);
  EXPECT_EQ(quote->clock.restart_count, 3U);
  EXPECT_TRUE(quote->clock.safe);
  EXPECT_EQ(quote->firmware_version, 0x0102030405060708U);
  ASSERT_EQ(quote->selection.size(), 2U);
  EXPECT_EQ(quote->selection[0].mask, 0x800201U);
  EXPECT_EQ(quote->selection[1].bank, hash_alg::sha1);
  EXPECT_EQ(quote->selection[1].mask, 0U);
  EXPECT_EQ(quote->pcr_digest, bytes(32, 0x03));
  EXPECT_FALSE(parse_quote(quote_bytes({.safe = 0}))->clock.safe);
}

TEST(Quote, SelectionRules) {
  const auto check_of = [](const quote_of& q) {
    const auto quote = parse_quote(quote_bytes(q));
    return quote ? std::string("accepted") : quote.failure().check;
  };
  const bytes three(3, 0xFF);
  EXPECT_EQ(check_of({.selection = {{0x000B, three}, {0x000C, three}}}), "accepted");
  EXPECT_EQ(check_of({.selection = {{0x000B, {0xFF, 0, 0, 0}}}}), "accepted");
  EXPECT_EQ(check_of({.selection = {{0x000B, {0xFF}}}}), "accepted");
  EXPECT_EQ(check_of({.selection = {}}), "accepted");
  EXPECT_EQ(check_of({.selection = {{0x000B, three}, {0x000B, {0}}}}), "quote-malformed");
  EXPECT_EQ(check_of({.selection = {{0x000B, {0, 0, 0, 1}}}}), "quote-malformed") << "PCR 24";
  EXPECT_EQ(check_of({.selection = {{0x000B, {}}}}), "quote-malformed");
  EXPECT_EQ(check_of({.selection = {{0x000B, bytes(5, 0)}}}), "quote-malformed");
  EXPECT_EQ(check_of({.selection = {{0x000B, bytes(255, 0)}}}), "quote-malformed");
  EXPECT_EQ(check_of({.selection = {{0x0012, three}}}), "quote-malformed") << "SM3";
  EXPECT_EQ(check_of({.selection_count = 2}), "quote-malformed");
  EXPECT_EQ(check_of({.selection_count = 0xFFFFFFFF}), "quote-malformed");
  EXPECT_EQ(check_of({.selection = {17, {0x000B, three}}}), "quote-malformed");
  EXPECT_EQ(check_of({.safe = 2}), "quote-malformed");
  EXPECT_EQ(check_of({.extra = bytes(2000, 0)}), "quote-malformed");
}

class OwnKey : public testing::Test {
protected:
  crypto::key key = *crypto::generate_p256();
  bytes message = quote_bytes({});

  public_area area(const template_of& t = {}) { return *parse_public(ecc_public(key, t)); }
};

TEST_F(OwnKey, SchemeAndHashAreTheKeysNotTheBlobs) {
  const auto r_s = crypto::ecdsa_sign(key, hash_alg::sha256, message);
  ASSERT_TRUE(r_s);
  const auto sig = parse_signature(ecdsa_signature(*r_s));
  ASSERT_TRUE(sig);
  EXPECT_TRUE(verify_quote_signature(area(), message, *sig, false));
  EXPECT_FALSE(verify_quote_signature(area({.scheme_hash = 0x000C}), message, *sig, false));
  EXPECT_FALSE(verify_quote_signature(area({.scheme = alg_null}), message, *sig, false));
  const auto sha1 = crypto::ecdsa_sign(key, hash_alg::sha1, message);
  ASSERT_TRUE(sha1);
  const auto weak = parse_signature(ecdsa_signature(*sha1, 0x0004));
  ASSERT_TRUE(weak);
  EXPECT_FALSE(verify_quote_signature(area(), message, *weak, true)) << "not the key's hash";
  EXPECT_FALSE(verify_quote_signature(area({.scheme_hash = 0x0004}), message, *weak, false));
  EXPECT_TRUE(verify_quote_signature(area({.scheme_hash = 0x0004}), message, *weak, true));
}

TEST_F(OwnKey, RefusesDegenerateEcdsaValues) {
  const auto n = *crypto::from_hex("ffffffff00000000ffffffffffffffff"
                                   "bce6faada7179e84f3b9cac2fc632551");
  const bytes zero(32, 0);
  bytes one(32, 0);
  one.back() = 1;
  for (const auto& [r, s] : std::vector<std::pair<bytes, bytes>>{{zero, zero},
                                                                 {zero, one},
                                                                 {one, zero},
                                                                 {n, one},
                                                                 {one, n},
                                                                 {{}, {}},
                                                                 {bytes(33, 1), one},
                                                                 {one, bytes(66, 1)}}) {
    const auto sig = parse_signature(tpm_bytes().u16(0x0018).u16(0x000B).sized(r).sized(s));
    EXPECT_FALSE(sig && verify_quote_signature(area(), message, *sig, false));
  }
}

TEST_F(OwnKey, AcceptsCoordinatesWithoutLeadingZeros) {
  // About one signature in 128 has a leading zero octet in r or s; some TPMs strip it.
  bool found = false;
  for (int i = 0; i < 5000 && !found; ++i) {
    const auto r_s = crypto::ecdsa_sign(key, hash_alg::sha256, message);
    ASSERT_TRUE(r_s);
    const byte_view r = byte_view(*r_s).first(32);
    const byte_view s = byte_view(*r_s).subspan(32);
    found = r[0] == 0 || s[0] == 0;
    const auto sig = parse_signature(tpm_bytes()
                                         .u16(0x0018)
                                         .u16(0x000B)
                                         .sized(r.subspan(r[0] == 0 ? 1 : 0))
                                         .sized(s.subspan(s[0] == 0 ? 1 : 0)));
    ASSERT_TRUE(sig);
    ASSERT_TRUE(verify_quote_signature(area(), message, *sig, false));
  }
  EXPECT_TRUE(found);
}

TEST(Signature, RsaPssWithEitherUsualSaltLength) {
  const auto key = crypto::generate_rsa(2048);
  ASSERT_TRUE(key);
  const auto ak = parse_public(rsa_public(modulus_of(*key), {.scheme = 0x0016}));
  ASSERT_TRUE(ak) << ak.failure().message;
  ASSERT_TRUE(check_attestation_key(*ak));
  const auto message = quote_bytes({});
  for (const int salt : {RSA_PSS_SALTLEN_DIGEST, RSA_PSS_SALTLEN_MAX}) {
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    EVP_PKEY_CTX* pkey = nullptr;
    bytes value(256);
    std::size_t size = value.size();
    ASSERT_EQ(EVP_DigestSignInit(context, &pkey, EVP_sha256(), nullptr, key->handle()), 1);
    ASSERT_EQ(EVP_PKEY_CTX_set_rsa_padding(pkey, RSA_PKCS1_PSS_PADDING), 1);
    ASSERT_EQ(EVP_PKEY_CTX_set_rsa_pss_saltlen(pkey, salt), 1);
    ASSERT_EQ(EVP_DigestSign(context, value.data(), &size, message.data(), message.size()), 1);
    EVP_MD_CTX_free(context);
    const auto sig = parse_signature(tpm_bytes().u16(0x0016).u16(0x000B).sized(value));
    ASSERT_TRUE(sig);
    EXPECT_TRUE(verify_quote_signature(*ak, message, *sig, false));
    // The same value passed off as the other padding, and by a blob that says so.
    const auto other = parse_signature(tpm_bytes().u16(0x0014).u16(0x000B).sized(value));
    ASSERT_TRUE(other);
    EXPECT_FALSE(verify_quote_signature(*ak, message, *other, false));
  }
}

TEST(Signature, RefusesOtherSchemes) {
  EXPECT_FALSE(parse_signature(tpm_bytes().u16(alg_null)));
  EXPECT_FALSE(parse_signature(tpm_bytes().u16(0x0005).u16(0x000B).raw(bytes(32, 0)))); // HMAC
  EXPECT_FALSE(parse_signature(tpm_bytes().u16(0x0014).u16(0x0012).sized(bytes(256, 1))));
  EXPECT_FALSE(parse_signature(tpm_bytes().u16(0x0014).u16(0x000B).u16(0xFFFF)));
  EXPECT_EQ(parse_signature(bytes(signature_bytes_max + 1)).failure().code, errc::too_large);
}

class Composite : public testing::Test {
protected:
  std::vector<pcr_selection> selection{{.bank = hash_alg::sha256, .mask = 0b1010},
                                       {.bank = hash_alg::sha1, .mask = 0b1}};
  std::vector<pcr_value> values{{.bank = 0x0004, .pcr = 0, .value = bytes(20, 0xC0)},
                                {.bank = 0x000B, .pcr = 3, .value = bytes(32, 0xB3)},
                                {.bank = 0x000B, .pcr = 1, .value = bytes(32, 0xB1)}};

  void refused(std::optional<std::uint32_t> pcr) {
    const auto digest = pcr_composite_digest(hash_alg::sha256, selection, values);
    ASSERT_FALSE(digest);
    EXPECT_EQ(digest.failure().check, "pcr-selection");
    EXPECT_EQ(digest.failure().pcr, pcr);
  }
};

TEST_F(Composite, FollowsTheSelectionWhateverTheOrderOfTheValues) {
  const auto digest = pcr_composite_digest(hash_alg::sha384, selection, values);
  ASSERT_TRUE(digest);
  EXPECT_EQ(*digest,
            crypto::digest(hash_alg::sha384, {bytes(32, 0xB1), bytes(32, 0xB3), bytes(20, 0xC0)}));
}

TEST_F(Composite, RefusesAValueBesideTheSelection) {
  values.push_back({.bank = 0x000B, .pcr = 2, .value = bytes(32, 0)});
  refused(2);
}
TEST_F(Composite, RefusesAValueOfAnotherBank) {
  values.push_back({.bank = 0x000C, .pcr = 1, .value = bytes(48, 0)});
  refused(1);
}
TEST_F(Composite, RefusesARelabelledValue) {
  values[1].pcr = 4;
  refused(4);
}
TEST_F(Composite, RefusesAPcrThatIsNone) {
  values[1].pcr = 0xFFFFFFFF;
  refused(0xFFFFFFFF);
}
TEST_F(Composite, RefusesAMissingValue) {
  values.pop_back();
  refused(1);
}
TEST_F(Composite, RefusesAValueTwice) {
  values.push_back(values[1]);
  refused(3);
}
TEST_F(Composite, RefusesAValueOfTheWrongLength) {
  values[0].value.insert(values[0].value.begin(), 0); // the same number, one octet longer
  refused(0);
}

TEST_F(Composite, AChangedValueChangesTheDigest) {
  const auto before = pcr_composite_digest(hash_alg::sha256, selection, values);
  values[2].value.back() ^= 1;
  const auto after = pcr_composite_digest(hash_alg::sha256, selection, values);
  ASSERT_TRUE(before && after);
  EXPECT_NE(*before, *after);
}

} // namespace
} // namespace custos::tpm
