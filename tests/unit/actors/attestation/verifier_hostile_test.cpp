#include "actors/attestation/verifier_core.hpp"
#include "adapters/eventlog/writer.hpp"
#include "tests/unit/actors/attestation/log_surgery.hpp"

#include <gtest/gtest.h>
#include <random>
#include <set>

// Evidence cut off and garbled: nothing crashes, nothing passes, and the answer names the field.
namespace custos::attestation {
namespace {

using namespace test;
namespace et = eventlog::event_type;

/// Small, so that every octet can be tried.
bytes small_boot() {
  constexpr std::array<crypto::hash_alg, 1> banks{crypto::hash_alg::sha256};
  eventlog::writer log(banks);
  log.add_startup_locality(3);
  log.add_hashed(0, et::s_crtm_version, as_bytes("1.2.3"));
  for (std::uint32_t pcr = 0; pcr < 8; ++pcr)
    log.add_hashed(pcr, et::separator, bytes(4, 0));
  return log.log();
}

class Hostile : public testing::Test {
protected:
  scene s{small_boot(), ak_kind::p256, {crypto::hash_alg::sha256}};
  verifier_core core{s.keys};

  Hostile() { s.freeze(); }

  void refused(const evidence& e, const std::string& field, const std::string& what) {
    const auto verdict = core.appraise(e, s.config, now);
    ASSERT_FALSE(verdict) << what;
    EXPECT_EQ(verdict.failure().field, field) << what << ": " << verdict.failure().message;
    EXPECT_FALSE(verdict.failure().message.empty()) << what;
  }
  /// Every prefix of one field, the rest being good; the quote is always one for this challenge.
  template <class Field>
  void refuse_prefixes(Field evidence::*part, const std::string& field, std::size_t step = 1) {
    const auto size = (s.good().*part).size();
    ASSERT_GT(size, 0U);
    for (std::size_t n = 0; n < size; n += step) {
      auto e = s.good();
      (e.*part).resize(std::min(n, (e.*part).size() - 1)); // signatures vary in length
      refused(e, field, field + " cut to " + std::to_string(n));
    }
  }
  /// Every bit of one field.
  void refuse_flips(bytes evidence::*part, const std::set<std::string>& fields) {
    const auto size = (s.good().*part).size();
    for (std::size_t bit = 0; bit < size * 8; ++bit) {
      auto e = s.good();
      if (bit / 8 >= (e.*part).size())
        continue;
      (e.*part)[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
      const auto verdict = core.appraise(e, s.config, now);
      ASSERT_FALSE(verdict) << *fields.begin() << " bit " << bit;
      EXPECT_EQ(fields.count(verdict.failure().field), 1U)
          << verdict.failure().field << " bit " << bit << ": " << verdict.failure().message;
    }
  }
};

TEST_F(Hostile, TheScenesOwnEvidenceIsGood) {
  const auto verdict = core.appraise(s.good(), s.config, now);
  EXPECT_TRUE(verdict) << verdict.failure().message;
}

TEST_F(Hostile, PrefixesOfTheTicket) {
  refuse_prefixes(&evidence::ticket, "/ticket");
}
TEST_F(Hostile, PrefixesOfTheAkCertificate) {
  refuse_prefixes(&evidence::ak_certificate, "/ak_certificate");
}
TEST_F(Hostile, PrefixesOfTheQuote) {
  refuse_prefixes(&evidence::quote, "/quote");
}
TEST_F(Hostile, PrefixesOfTheSignature) {
  refuse_prefixes(&evidence::signature, "/signature");
}
TEST_F(Hostile, PrefixesOfTheEventLog) {
  refuse_prefixes(&evidence::event_log, "/event_log");
}
TEST_F(Hostile, PrefixesOfTheTransportKey) {
  refuse_prefixes(&evidence::transport_key, "/transport_key");
}
TEST_F(Hostile, PrefixesOfTheValues) {
  refuse_prefixes(&evidence::pcrs, "/pcrs");
}

TEST_F(Hostile, PrefixesOfAQuoteThatTheKeySigned) {
  const auto whole = s.good().quote;
  for (std::size_t n = 0; n < whole.size(); ++n) {
    auto e = s.good();
    e.quote.resize(n);
    e.signature = s.device.sign(e.quote);
    refused(e, "/quote", "quote of " + std::to_string(n));
  }
}

TEST_F(Hostile, PrefixesOfARecordedLog) {
  scene big(recorded("eventlogs/rhel8-uefi.bin"));
  big.freeze();
  verifier_core verifier(big.keys);
  for (std::size_t n = 0; n < big.log.size(); n += 61) {
    auto e = big.good();
    e.event_log.resize(n);
    const auto verdict = verifier.appraise(e, big.config, now);
    ASSERT_FALSE(verdict) << n;
    EXPECT_EQ(verdict.failure().field, "/event_log") << n << ": " << verdict.failure().message;
  }
}

TEST_F(Hostile, EveryBitOfTheAkCertificateCounts) {
  refuse_flips(&evidence::ak_certificate, {"/ak_certificate"});
}
TEST_F(Hostile, EveryBitOfTheQuoteCounts) {
  refuse_flips(&evidence::quote, {"/quote", "/signature"});
}
TEST_F(Hostile, EveryBitOfTheSignatureCounts) {
  refuse_flips(&evidence::signature, {"/signature"});
}
TEST_F(Hostile, EveryBitOfTheTransportKeyCounts) {
  const auto good = s.transport.spki_der();
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    auto e = s.good();
    e.transport_key[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
    // OpenSSL reads some sloppy encodings; one of the same key relays nothing to anybody.
    if (const auto key = crypto::public_key_from_spki(e.transport_key);
        key && key->same_public(s.transport))
      continue;
    const auto verdict = core.appraise(e, s.config, now);
    ASSERT_FALSE(verdict) << bit;
    EXPECT_TRUE(verdict.failure().field == "/transport_key" ||
                verdict.failure().check == "quote-binding")
        << bit << ": " << verdict.failure().message;
  }
}

TEST_F(Hostile, Noise) {
  std::mt19937 random(20260801); // NOLINT: the same noise each time
  const auto noise = [&](std::size_t size_max) {
    bytes out(random() % (size_max + 1));
    for (auto& b : out)
      b = static_cast<std::uint8_t>(random());
    return out;
  };
  for (int i = 0; i < 2000; ++i) {
    auto e = s.good();
    std::string field;
    switch (i % 6) {
    case 0:
      e.ticket = std::string(as_text(noise(200)));
      field = "/ticket";
      break;
    case 1:
      e.ak_certificate = noise(2000);
      field = "/ak_certificate";
      break;
    case 2:
      e.quote = noise(400);
      field = "/quote";
      break;
    case 3:
      e.signature = noise(400);
      field = "/signature";
      break;
    case 4:
      e.event_log = noise(4000);
      field = "/event_log";
      break;
    default:
      e.pcrs.push_back(
          {static_cast<std::uint16_t>(random()), static_cast<std::uint32_t>(random()), noise(70)});
      field = "/pcrs";
    }
    refused(e, field, "round " + std::to_string(i));
  }
}

// Numbers in the quote that would make a careless verifier read or allocate beyond its input.
TEST_F(Hostile, CountsInASignedQuote) {
  for (const std::uint32_t count : {2U, 17U, 0x10000U, 0xFFFFFFFFU}) {
    auto d = s.begin();
    d.quote.selection_count = count;
    refused(s.sign(d), "/quote", "count " + std::to_string(count));
  }
  auto d = s.begin();
  d.quote.selection.assign(100, {0x000B, bytes(3, 0xFF)});
  refused(s.sign(d), "/quote", "100 selections");
}

TEST_F(Hostile, ValuesCountAgainstTheSizeLimit) {
  auto e = s.good();
  e.pcrs.assign(200'000, {0x000B, 0, bytes(32, 0)});
  refused(e, "", "6.4 MB of values");
}

} // namespace
} // namespace custos::attestation
