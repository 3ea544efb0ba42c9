#include "actors/attestation/trust_index.hpp"

#include "tests/unit/actors/attestation/denial_of.hpp"
#include "tests/unit/actors/attestation/software_tpm.hpp"
#include "tests/unit/adapters/tpm/ek_certificate_maker.hpp"

#include <atomic>
#include <gtest/gtest.h>
#include <thread>

namespace custos::attestation {
namespace {

using namespace test;
using tpm::test::vendor;

crypto::sha256_digest digest_of(std::uint32_t n) {
  const bytes octets{static_cast<std::uint8_t>(n >> 16), static_cast<std::uint8_t>(n >> 8),
                     static_cast<std::uint8_t>(n)};
  return crypto::sha256(octets);
}

class TrustIndex : public testing::Test {
protected:
  vendor maker;
  std::shared_ptr<config_snapshot> config = std::make_shared<config_snapshot>();
  trust_source source;

  TrustIndex() {
    config->tpm_cas["vendor"] = {"vendor", {maker.root.der(), maker.issuing.der()}};
    const auto d = digest_of(1);
    config->endorsement_keys["one"] = {"one", bytes(d.begin(), d.end()), std::nullopt};
    config->denials["d"] = denial_of{.name = "d", .model = "old"};
    config->hosts["h"] = {"h", bytes(32, 1)};
  }
  /// The next snapshot, as the ConfigStore makes it: a copy that shares what did not change.
  void next() { config = std::make_shared<config_snapshot>(*config); }
};

TEST_F(TrustIndex, IsSharedByAllThatAsk) {
  const auto a = source.of(config);
  EXPECT_EQ(source.of(config), a);
  next();
  EXPECT_EQ(source.of(config), a);
}

TEST_F(TrustIndex, IsNotMadeAgainForWhatItIsNotAbout) {
  const auto a = source.of(config);
  next();
  config->hosts["h"].quarantined = true;
  config->base_images["i"].name = "i";
  config->settings.token_life_s = 77;
  config->settings.allow_sha1 = true;
  EXPECT_EQ(source.of(config), a);
}

TEST_F(TrustIndex, FollowsWhatItIsAbout) {
  auto last = source.of(config);
  const auto changed = [&] {
    const auto now_present = source.of(config);
    const bool is = now_present != last;
    last = now_present;
    next();
    return is;
  };
  next();
  config->settings.require_crls = true;
  EXPECT_TRUE(changed());
  EXPECT_TRUE(last->settings().require_crls);
  config->settings.ek_certificate_dates = certificate_dates::any_may_expire;
  EXPECT_TRUE(changed());
  config->tpm_cas.erase("vendor");
  EXPECT_TRUE(changed());
  EXPECT_TRUE(last->anchors().certificates().empty());
  EXPECT_NE(last->listed(digest_of(1)), nullptr);
  config->endorsement_keys.erase("one");
  EXPECT_TRUE(changed());
  EXPECT_EQ(last->listed(digest_of(1)), nullptr);
  EXPECT_NE(last->denies({.model = "OLD"}), nullptr);
  config->denials.erase("d");
  EXPECT_TRUE(changed());
  EXPECT_EQ(last->denies({.model = "OLD"}), nullptr);
  EXPECT_FALSE(changed());
}

TEST_F(TrustIndex, PartsThatStayAreShared) {
  const trust_index before(*config);
  next();
  config->settings.require_crls = true;
  config->denials.erase("d");
  const trust_index after(*config, &before);
  // The parsed anchors are the same objects.
  EXPECT_EQ(after.anchors().certificates().front().handle(),
            before.anchors().certificates().front().handle());
  EXPECT_EQ(after.listed(digest_of(1)), before.listed(digest_of(1)));
  EXPECT_NE(before.denies({.model = "old"}), nullptr) << "as it was";
}

TEST_F(TrustIndex, OutlivesItsSnapshot) {
  const auto index = source.of(config);
  const std::weak_ptr<const config_snapshot> was = config;
  config.reset();
  EXPECT_TRUE(was.expired()) << "hosts and images are not kept";
  ASSERT_NE(index->listed(digest_of(1)), nullptr);
  EXPECT_EQ(index->listed(digest_of(1))->name, "one");
}

TEST_F(TrustIndex, OfSeveralObjectsForOneKeyTheOneWithACertificate) {
  auto with = config->endorsement_keys.at("one");
  with.certificate = bytes{1};
  for (const std::string name : {"a", "z"}) {
    next();
    config->endorsement_keys = {};
    config->endorsement_keys["one"] = {"one", with.spki_sha256, std::nullopt};
    with.name = name;
    config->endorsement_keys[name] = with;
    EXPECT_EQ(source.of(config)->listed(digest_of(1))->name, name);
  }
}

TEST_F(TrustIndex, AHundredThousandListedKeysAreFoundByDigest) {
  constexpr std::uint32_t keys = 100'000;
  for (std::uint32_t i = 0; i < keys; ++i) {
    const auto d = digest_of(i);
    config->endorsement_keys["k" + std::to_string(i)] = {"", bytes(d.begin(), d.end()),
                                                         std::nullopt};
  }
  const auto index = source.of(config);
  next();
  for (std::uint32_t i = 0; i < 100'000; ++i) {
    config->hosts["h"].quarantined = i % 2 == 0;
    ASSERT_EQ(source.of(config), index); // neither copied nor hashed again
    ASSERT_NE(index->listed(digest_of(i)), nullptr);
  }
  EXPECT_EQ(index->listed(digest_of(keys)), nullptr);
}

TEST_F(TrustIndex, AReaderAsksOnceASnapshot) {
  const auto shared = std::make_shared<const trust_source>();
  trust_reader a(shared), b(shared);
  EXPECT_EQ(a.at(config), b.at(config));
  const auto first = a.at(config);
  next();
  config->denials.erase("d");
  EXPECT_NE(a.at(config), first);
  EXPECT_EQ(a.at(config), b.at(config));
}

TEST_F(TrustIndex, ManyThreadsAsk) {
  const auto other = std::make_shared<config_snapshot>(*config);
  other->denials.erase("d");
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) {
        const bool first = (i + t) % 2 == 0;
        const auto index = source.of(first ? config_ptr(config) : config_ptr(other));
        wrong += (index->denies({.model = "old"}) != nullptr) == first ? 0 : 1;
      }
    });
  for (auto& t : threads)
    t.join();
  EXPECT_EQ(wrong, 0);
}

} // namespace
} // namespace custos::attestation
