#include "actors/attestation/verifier_core.hpp"
#include "tests/unit/actors/attestation/log_surgery.hpp"
#include "tests/unit/actors/attestation/refusals.hpp"

#include <gtest/gtest.h>

// The quote is genuine throughout; what is wrong is the boot, or what the host says of it.
namespace custos::attestation {
namespace {

using namespace test;
using crypto::hash_alg;
namespace et = eventlog::event_type;

class Boot : public testing::Test {
protected:
  scene s{recorded("eventlogs/rhel8-uefi.bin")};
  verifier_core core{s.keys};
  log_surgery log{s.log};

  Boot() { s.freeze(); } // the TPM keeps the values of the boot that happened

  evidence with_log(bytes forged) {
    auto d = s.begin();
    d.e.event_log = std::move(forged);
    return s.sign(d);
  }
  error refused(const evidence& e, const std::string& check) {
    auto why = refusal_of(core, s, e, check);
    EXPECT_EQ(why.field, "/event_log");
    return why;
  }
  void affirmed(const evidence& e) { expect_affirmed(core, s, e); }
  static bool judged(const eventlog::event& e) {
    return e.type != et::no_action && (default_pcrs >> e.pcr & 1U) != 0;
  }
  pcr_policy& policy(std::uint32_t pcr) {
    auto& image = s.config->base_images.at("good");
    const auto at = std::find_if(image.pcrs.begin(), image.pcrs.end(),
                                 [&](const pcr_policy& p) { return p.pcr == pcr; });
    EXPECT_NE(at, image.pcrs.end());
    return *at;
  }
};

// ---- 12 -----------------------------------------------------------------------------------------

TEST_F(Boot, ALogOfAnotherKindIsMalformed) {
  refused(with_log({}), "event-log-malformed");
  refused(with_log(bytes(100, 0)), "event-log-malformed");
  refused(with_log(to_bytes(std::string_view("not a log at all, not even by chance"))),
          "event-log-malformed");
}

TEST_F(Boot, MoreEventsThanAllowed) {
  const auto events = static_cast<std::uint32_t>(log.events().size());
  s.config->settings.events_max = events - 1;
  EXPECT_EQ(refused(s.good(), "event-log-size").code, errc::too_large);
  s.config->settings.events_max = events;
  affirmed(s.good());
}

TEST_F(Boot, ALogPaddedByTheKernelIsRead) {
  auto padded = s.log;
  padded.resize(padded.size() + 4096, 0);
  affirmed(with_log(padded));
}

// ---- 13 -----------------------------------------------------------------------------------------

TEST_F(Boot, AnEventMissingTwiceOrOfAnotherPcr) {
  std::size_t judged_events = 0;
  for (const auto& e : log.events()) {
    if (!judged(e))
      continue;
    ++judged_events;
    EXPECT_EQ(refused(with_log(log.without(e)), "event-log-replay").pcr, e.pcr) << e.index;
    EXPECT_EQ(refused(with_log(log.doubled(e)), "event-log-replay").pcr, e.pcr) << e.index;
    // Moved to a PCR that nobody judges, it is missing from its own.
    EXPECT_EQ(refused(with_log(log.with_pcr(e, 13)), "event-log-replay").pcr, e.pcr) << e.index;
  }
  EXPECT_GT(judged_events, 70U);
}

TEST_F(Boot, AnEventSaidToBeUnmeasured) {
  for (const auto& e : log.events())
    if (judged(e)) {
      EXPECT_EQ(refused(with_log(log.with_type(e, et::no_action)), "event-log-replay").pcr, e.pcr)
          << e.index;
    }
}

TEST_F(Boot, TwoEventsOfOnePcrInAnotherOrder) {
  std::size_t swaps = 0;
  const auto& events = log.events();
  for (std::size_t i = 0; i + 1 < events.size(); ++i) {
    const auto& a = events[i];
    const auto& b = events[i + 1];
    if (!judged(a) || a.pcr != b.pcr ||
        to_bytes(log.parsed().digest(a, hash_alg::sha256)) ==
            to_bytes(log.parsed().digest(b, hash_alg::sha256)))
      continue;
    EXPECT_EQ(refused(with_log(log.swapped(a, b)), "event-log-replay").pcr, a.pcr) << i;
    ++swaps;
  }
  EXPECT_GT(swaps, 20U);
}

TEST_F(Boot, APcrWithoutEventsHasItsResetValue) {
  s.config->base_images.at("good").pcrs.push_back({15, pcr_form::ignored, {}, {}});
  affirmed(s.good());
  auto d = s.begin();
  for (auto& v : d.e.pcrs)
    if (v.pcr == 15)
      v.value.back() = 1;
  d.requote();
  EXPECT_EQ(refused(s.sign(d), "event-log-replay").pcr, 15U);
}

TEST_F(Boot, ADynamicRootOfTrustThatNoEventExplains) {
  s.config->base_images.at("good").pcrs.push_back({17, pcr_form::ignored, {}, {}});
  affirmed(s.good()); // all ones: no dynamic launch took place
  auto d = s.begin();
  for (auto& v : d.e.pcrs)
    if (v.pcr == 17)
      v.value.assign(v.value.size(), 0);
  d.requote();
  EXPECT_EQ(refused(s.sign(d), "event-log-replay").pcr, 17U);
}

// ---- 14 -----------------------------------------------------------------------------------------

TEST_F(Boot, DataThatItsDigestDoesNotVouchFor) {
  std::size_t changed = 0;
  for (const auto& e : log.events()) {
    if (!judged(e) || !eventlog::data_is_hashed(e.type) || e.data.empty())
      continue;
    const auto why = refused(with_log(log.with_other_data(e)), "event-data");
    EXPECT_EQ(why.pcr, e.pcr);
    EXPECT_EQ(why.event, e.index);
    ++changed;
  }
  EXPECT_GT(changed, 15U);
}

// ---- 15 -----------------------------------------------------------------------------------------

// Replay holds, for types are not measured: the image knows what each event was.
TEST_F(Boot, AnEventUnderAnotherType) {
  for (const auto& e : log.events()) {
    if (!judged(e))
      continue;
    const bool separator = e.type == et::separator; // then its PCR has none
    const auto why = refused(with_log(log.with_type(e, et::nonhost_code)),
                             separator ? "separator" : "base-image");
    EXPECT_EQ(why.pcr, e.pcr);
    if (!separator) {
      EXPECT_EQ(why.event, e.index);
    }
  }
}

TEST_F(Boot, AnUnknownBinaryAmongKnownOnes) {
  for (const auto& p : std::vector<pcr_policy>(s.config->base_images.at("good").pcrs)) {
    std::size_t n = 0;
    for (const auto& e : log.events()) {
      if (e.pcr != p.pcr || !judged(e))
        continue;
      auto& expected = policy(p.pcr).events.at(n++);
      expected.digest.back() ^= 1;
      const auto why = refused(s.good(), "base-image");
      EXPECT_EQ(why.pcr, e.pcr);
      EXPECT_EQ(why.event, e.index);
      EXPECT_NE(why.message.find("good 1, PCR " + std::to_string(e.pcr)), std::string::npos)
          << why.message;
      EXPECT_NE(why.message.find(crypto::hex(expected.digest)), std::string::npos);
      EXPECT_NE(why.message.find(crypto::hex(log.parsed().digest(e, hash_alg::sha256))),
                std::string::npos);
      policy(p.pcr).events.at(n - 1).digest.back() ^= 1; // the verifier holds what it judged by
    }
  }
  affirmed(s.good());
}

TEST_F(Boot, MoreThanTheImageHas) {
  policy(4).events.pop_back();
  const auto why = refused(s.good(), "base-image");
  EXPECT_EQ(why.pcr, 4U);
  ASSERT_TRUE(why.event);
  EXPECT_NE(why.message.find("no further event"), std::string::npos) << why.message;
}

TEST_F(Boot, LessThanTheImageHas) {
  auto& events = policy(4).events;
  events.push_back(events.back());
  const auto why = refused(s.good(), "base-image");
  EXPECT_EQ(why.pcr, 4U);
  EXPECT_FALSE(why.event);
}

TEST_F(Boot, NoImageMatchesNothing) {
  s.config->base_images.clear();
  const auto verdict = core.appraise(s.good(), s.config, now);
  ASSERT_FALSE(verdict);
  EXPECT_EQ(verdict.failure().check, "base-image");
}

TEST_F(Boot, AnImageWithoutPcrsMatchesNothing) {
  s.config->base_images.clear();
  s.config->base_images["empty"] = {"empty", "1", "sha256", {}};
  const auto verdict = core.appraise(s.good(), s.config, now);
  ASSERT_FALSE(verdict);
  EXPECT_EQ(verdict.failure().check, "base-image");
}

TEST_F(Boot, AnyOneImageIsEnough) {
  auto other = s.config->base_images.at("good");
  other.pcrs.front().events.front().digest.back() ^= 1;
  s.config->base_images["a-first"] = other;
  s.config->base_images["z-last"] = other;
  const auto verdict = core.appraise(s.good(), s.config, now);
  ASSERT_TRUE(verdict);
  EXPECT_EQ(verdict->image.get(), &std::as_const(s.config->base_images).at("good"));
}

TEST_F(Boot, TheNearestImageExplainsTheRefusal) {
  auto& good = s.config->base_images.at("good");
  base_image far = good;
  far.name = "far";
  for (auto& p : far.pcrs)
    for (auto& e : p.events)
      e.digest.back() ^= 1;
  s.config->base_images["a-far"] = far;
  s.config->base_images["z-far"] = far;
  policy(4).events.back().digest.back() ^= 1;
  EXPECT_NE(refused(s.good(), "base-image").message.find("base image good"), std::string::npos);
}

TEST_F(Boot, AnImageThatNeedsAnUnquotedPcrIsPassedOver) {
  auto d = s.begin();
  std::erase_if(d.e.pcrs, [](const pcr_value& v) { return v.pcr == 15; });
  d.requote();
  s.config->base_images["a-more"] = s.config->base_images.at("good");
  s.config->base_images["a-more"].pcrs.push_back({15, pcr_form::ignored, {}, {}});
  const auto verdict = core.appraise(s.sign(d), s.config, now);
  ASSERT_TRUE(verdict) << verdict.failure().message;
  EXPECT_EQ(verdict->image.get(), &std::as_const(s.config->base_images).at("good"));
}

} // namespace
} // namespace custos::attestation
