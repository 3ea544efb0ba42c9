#include "adapters/tpm/structures.hpp"
#include "tests/unit/test_data.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <gtest/gtest.h>
#include <set>

// Every recorded quote cut, garbled and with lengths at their extremes: it is refused, and why.
namespace custos::tpm {
namespace {

using crypto::hash_alg;
using custos::test::read_data;
using custos::test::read_text;

struct recorded_quote {
  std::string name;
  std::optional<public_area> ak; ///< nothing: the source has no key
  bytes attest, signature;
};

public_area area_of(const crypto::key& key, scheme_alg alg) {
  public_area area;
  area.key = key;
  area.scheme = signing_scheme{.alg = alg, .hash = hash_alg::sha256};
  return area;
}

bytes octets(std::string_view base64) {
  const auto out = crypto::from_base64(base64);
  EXPECT_TRUE(out) << base64;
  return out ? *out : bytes{};
}

std::vector<recorded_quote> recorded_quotes() {
  std::vector<recorded_quote> out;
  const std::string quotes = "attestation/quotes/";
  const std::string gce = quotes + "gce-cos-85-nonce9009/";
  for (const std::string bank : {"sha1", "sha256", "sha384"})
    out.push_back({"gce " + bank, *parse_public(read_data(gce + "ak.tpmt_public.bin")),
                   read_data(gce + "quote." + bank + ".attest.bin"),
                   read_data(gce + "quote." + bank + ".sig.bin")});
  for (const auto& [name, alg] :
       {std::pair<std::string, scheme_alg>{"veraison-parsec-tpm", scheme_alg::ecdsa},
        {"keylime-unittest", scheme_alg::rsassa}}) {
    const auto dir = quotes + name + "/";
    out.push_back({name, area_of(*crypto::public_key_from_pem(read_data(dir + "ak.pub.pem")), alg),
                   read_data(dir + "quote.attest.bin"), read_data(dir + "quote.sig.bin")});
  }
  const auto trustee = boost::json::parse(read_text(quotes + "trustee-tpm/tpm_evidence.json"));
  const auto text = [](const boost::json::value& v) { return std::string_view(v.as_string()); };
  const auto& quote = trustee.at("tpm_quote");
  out.push_back({"trustee-tpm",
                 area_of(*crypto::public_key_from_spki(octets(text(trustee.at("ak_public")))),
                         scheme_alg::rsassa),
                 octets(text(quote.at("message"))), octets(text(quote.at("signature")))});
  // r, then base64 of quote, signature and values.
  const auto line = read_text(quotes + "rust-keylime/test-quote.txt");
  const auto first = line.find(':');
  const auto second = line.find(':', first + 1);
  out.push_back({"rust-keylime", std::nullopt, octets(std::string_view(line).substr(1, first - 1)),
                 octets(std::string_view(line).substr(first + 1, second - first - 1))});
  return out;
}

/// The name of the check that refuses it; empty if none does.
std::string refusal(const recorded_quote& q) {
  const auto parsed = parse_quote(q.attest);
  if (!parsed)
    return parsed.failure().check;
  const auto signature = parse_signature(q.signature);
  if (!signature)
    return signature.failure().check;
  if (!q.ak)
    return "";
  const auto verified = verify_quote_signature(*q.ak, q.attest, *signature, true);
  return verified ? "" : verified.failure().check;
}

TEST(RecordedQuotes, AreGoodAsTheyAre) {
  const auto all = recorded_quotes();
  EXPECT_EQ(all.size(), 7U);
  for (const auto& q : all)
    EXPECT_EQ(refusal(q), "") << q.name;
}

TEST(RecordedQuotes, TruncationAtEveryByteAndTrailingBytes) {
  for (const auto& good : recorded_quotes()) {
    for (std::size_t n = 0; n < good.attest.size(); ++n)
      EXPECT_EQ(parse_quote(byte_view(good.attest).first(n)).failure().check, "quote-malformed")
          << good.name << " " << n;
    for (std::size_t n = 0; n < good.signature.size(); ++n)
      EXPECT_EQ(parse_signature(byte_view(good.signature).first(n)).failure().check,
                "quote-signature")
          << good.name << " " << n;
    auto longer = good;
    longer.attest.push_back(0);
    EXPECT_EQ(refusal(longer), "quote-malformed") << good.name;
    longer = good;
    longer.signature.push_back(0);
    EXPECT_EQ(refusal(longer), "quote-signature") << good.name;
  }
}

TEST(RecordedQuotes, EveryBitOfEveryFieldCounts) {
  for (const auto& good : recorded_quotes()) {
    if (!good.ak)
      continue;
    std::set<std::string> checks;
    for (std::size_t bit = 0; bit < good.attest.size() * 8; ++bit) {
      auto q = good;
      q.attest[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
      const auto check = refusal(q);
      EXPECT_NE(check, "") << good.name << " bit " << bit;
      if (bit < 48) {
        EXPECT_EQ(check, bit < 32 ? "quote-magic" : "quote-type") << good.name << " bit " << bit;
      }
      checks.insert(check);
    }
    EXPECT_EQ(checks, (std::set<std::string>{"quote-magic", "quote-malformed", "quote-signature",
                                             "quote-type"}))
        << good.name;
    for (std::size_t bit = 0; bit < good.signature.size() * 8; ++bit) {
      auto q = good;
      q.signature[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
      EXPECT_EQ(refusal(q), "quote-signature") << good.name << " bit " << bit;
    }
  }
}

/// A length or count within a structure.
struct length_field {
  std::string what;
  std::size_t at, octets;
};

std::uint32_t number_at(const bytes& in, const length_field& f) {
  std::uint32_t out = 0;
  for (std::size_t i = 0; i < f.octets; ++i)
    out = out << 8 | in.at(f.at + i);
  return out;
}

/// Of a TPMS_ATTEST (Part 2, 10.12.12), read without the code under test.
std::vector<length_field> lengths_of_quote(const bytes& in) {
  std::vector<length_field> out{{"qualifiedSigner", 6, 2}};
  const auto extra = 8 + number_at(in, out[0]);
  out.push_back({"extraData", extra, 2});
  constexpr std::size_t clock_and_firmware = 17 + 8;
  const auto count = extra + 2 + number_at(in, out[1]) + clock_and_firmware;
  out.push_back({"count of selections", count, 4});
  auto at = count + 4;
  for (auto left = number_at(in, out[2]); left != 0; --left) {
    out.push_back({"sizeofSelect", at + 2, 1});
    at += 3 + number_at(in, out.back());
  }
  out.push_back({"pcrDigest", at, 2});
  EXPECT_EQ(at + 2 + number_at(in, out.back()), in.size());
  return out;
}

/// Of a TPMT_SIGNATURE: one number with RSA, two with ECDSA.
std::vector<length_field> lengths_of_signature(const bytes& in) {
  std::vector<length_field> out{{"first number", 4, 2}};
  const auto behind = 6 + number_at(in, out[0]);
  if (behind != in.size())
    out.push_back({"second number", behind, 2});
  return out;
}

std::vector<std::uint32_t> extremes(const length_field& f, std::uint32_t right) {
  const auto most = static_cast<std::uint32_t>((std::uint64_t{1} << (8 * f.octets)) - 1);
  std::vector<std::uint32_t> out{0, right - 1, right + 1, most / 2, most / 2 + 1, most - 1, most};
  std::erase(out, right);
  return out;
}

TEST(RecordedQuotes, LengthsAtTheirExtremes) {
  std::size_t tried = 0;
  const auto put = [](bytes& in, const length_field& f, std::uint32_t value) {
    for (std::size_t i = f.octets; i-- > 0; value >>= 8)
      in.at(f.at + i) = static_cast<std::uint8_t>(value);
  };
  for (const auto& good : recorded_quotes()) {
    for (const auto& f : lengths_of_quote(good.attest))
      for (const auto value : extremes(f, number_at(good.attest, f))) {
        auto q = good;
        put(q.attest, f, value);
        EXPECT_EQ(refusal(q), "quote-malformed") << good.name << " " << f.what << " " << value;
        ++tried;
      }
    for (const auto& f : lengths_of_signature(good.signature))
      for (const auto value : extremes(f, number_at(good.signature, f))) {
        auto q = good;
        put(q.signature, f, value);
        EXPECT_EQ(refusal(q), "quote-signature") << good.name << " " << f.what << " " << value;
        ++tried;
      }
  }
  EXPECT_GT(tried, 250U);
}

// The recorded certification names the recorded key, by the Name that we compute of it.
TEST(RecordedQuotes, ACertificationNamesTheKeyItIsAbout) {
  const std::string dir = "attestation/quotes/veraison-parsec-tpm/";
  const auto certify = read_data(dir + "certify.attest.bin");
  const auto key = parse_public(read_data(dir + "key.tpmt_public.bin"));
  ASSERT_TRUE(key);
  // TPMS_CERTIFY_INFO: name, qualified name; behind clockInfo and firmwareVersion.
  const length_field signer{"qualifiedSigner", 6, 2};
  const length_field extra{"extraData", 8 + number_at(certify, signer), 2};
  const length_field name{"name", extra.at + 2 + number_at(certify, extra) + 17 + 8, 2};
  ASSERT_EQ(number_at(certify, name), key->name.size());
  EXPECT_EQ(to_bytes(byte_view(certify).subspan(name.at + 2, key->name.size())), key->name);
}

} // namespace
} // namespace custos::tpm
