#include "actors/attestation/token.hpp"
#include "actors/attestation/verifier_actor.hpp"
#include "tests/actors/deterministic.hpp"
#include "tests/unit/actors/attestation/software_tpm.hpp"

#include <functional>
#include <set>
#include <stdexcept>

namespace custos::attestation {
namespace {

using namespace test;

class VerifierActor : public custos::test::deterministic {
protected:
  scene s{recorded("eventlogs/rhel8-uefi.bin")};
  std::shared_ptr<config_cell> cell = std::make_shared<config_cell>();
  std::shared_ptr<std::int64_t> clock = std::make_shared<std::int64_t>(now);
  std::shared_ptr<verdict_counters> counters = std::make_shared<verdict_counters>();
  std::vector<verifier_api> verifiers = spawn(1);

  VerifierActor() {
    s.freeze();
    s.bind();
    cell->publish(s.config);
  }
  std::vector<verifier_api> spawn(std::size_t n) {
    auto out = spawn_verifiers(system, n, {s.keys, cell, [c = clock] { return *c; }, counters});
    for (const auto& v : out)
      own(v);
    return out;
  }
  void reconfigure(const std::function<void(config_snapshot&)>& change) {
    auto next = std::make_shared<config_snapshot>(*cell->load());
    change(*next);
    cell->publish(next);
  }
  /// What a host does with a challenge.
  evidence answer_to(const challenge& given) const {
    auto d = s.begin();
    d.e.ticket = given.ticket;
    const auto binding = quote_binding(given.nonce, must(jose::thumbprint_digest(s.transport)));
    d.quote.extra.assign(binding.begin(), binding.end());
    return s.sign(d);
  }
  evidence fresh() { return answer_to(must(ask<challenge>(verifiers[0], make_challenge{}))); }
  result<attestation_granted> attest(const evidence& e) {
    return ask<attestation_granted>(verifiers[0], e);
  }
};

TEST_F(VerifierActor, FromChallengeToToken) {
  const auto given = ask<challenge>(verifiers[0], make_challenge{});
  ASSERT_TRUE(given);
  EXPECT_EQ(given->expires, now + 60);
  *clock += 30;
  const auto granted = attest(answer_to(*given));
  ASSERT_TRUE(granted) << granted.failure().message;
  EXPECT_EQ(granted->image, "good");
  EXPECT_EQ(granted->expires, now + 30 + s.config->settings.token_life_s);
  const auto keys = trusted_keys(*s.keys, s.config);
  const auto claims = read_token(granted->token, {keys, s.keys->issuer}, *clock);
  ASSERT_TRUE(claims) << claims.failure().message;
  EXPECT_EQ(claims->host, host);
  EXPECT_EQ(counters->read(), (std::map<std::string, std::uint64_t>{{"ok", 1}}));
}

TEST_F(VerifierActor, ARefusalArrivesWhole) {
  auto e = fresh();
  e.event_log.pop_back();
  const auto granted = attest(e);
  ASSERT_FALSE(granted);
  EXPECT_EQ(granted.failure().code, errc::malformed);
  EXPECT_EQ(granted.failure().check, "event-log-malformed");
  EXPECT_EQ(granted.failure().field, "/event_log");
  EXPECT_TRUE(granted.failure().event);
  EXPECT_FALSE(granted.failure().message.empty());

  reconfigure([](config_snapshot& c) {
    c.base_images.at("good").pcrs.at(4).events.back().digest.back() ^= 1;
  });
  const auto other = attest(fresh());
  ASSERT_FALSE(other);
  EXPECT_EQ(other.failure().code, errc::attestation_failed);
  EXPECT_EQ(other.failure().check, "base-image");
  EXPECT_EQ(other.failure().pcr, 4U);
  EXPECT_TRUE(other.failure().event);
}

TEST_F(VerifierActor, VerdictsAreCountedByCheck) {
  const auto e = fresh();
  EXPECT_TRUE(attest(e));
  EXPECT_FALSE(attest(e));
  EXPECT_FALSE(attest(e));
  auto without_key = fresh();
  without_key.transport_key.clear();
  EXPECT_FALSE(attest(without_key));
  EXPECT_EQ(counters->read(), (std::map<std::string, std::uint64_t>{
                                  {"ok", 1}, {"ticket-replayed", 2}, {"invalid-argument", 1}}));
}

TEST_F(VerifierActor, TimeIsTheClocks) {
  const auto e = fresh();
  *clock += 60;
  EXPECT_EQ(attest(e).failure().check, "ticket-expired");
}

TEST_F(VerifierActor, TheNextSnapshotCountsForTheNextMessage) {
  EXPECT_TRUE(attest(fresh()));
  reconfigure([](config_snapshot& c) { c.endorsement_keys.clear(); });
  EXPECT_EQ(attest(fresh()).failure().check, "ek-not-trusted");
  cell->publish(s.config);
  EXPECT_TRUE(attest(fresh()));
  reconfigure([](config_snapshot& c) { c.base_images.clear(); });
  EXPECT_EQ(attest(fresh()).failure().check, "base-image");
  reconfigure([](config_snapshot& c) { c.settings.challenge_life_s = 7; });
  EXPECT_EQ(must(ask<challenge>(verifiers[0], make_challenge{})).expires, now + 7);
}

TEST_F(VerifierActor, EnrolsAndRefusesToEnrol) {
  attestation_key_request r;
  r.host = host;
  r.ek_public = s.device.ek_public;
  r.ak_public = s.device.ak_public;
  const auto issued = ask<attestation_key_issued>(verifiers[0], r);
  ASSERT_TRUE(issued) << issued.failure().message;
  EXPECT_FALSE(issued->credential_blob.empty());
  EXPECT_FALSE(issued->encrypted_secret.empty());
  EXPECT_FALSE(issued->encrypted_certificate.empty());
  r.ak_public = s.device.ek_public;
  const auto refused = ask<attestation_key_issued>(verifiers[0], r);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.failure().check, "attestation-key");
  EXPECT_TRUE(counters->read().empty()) << "verdicts are those of evidence";
}

/// A verifier that ended with an exception would leave hosts unjudged, and nobody would know.
TEST_F(VerifierActor, Cve2022_3500_AnExceptionIsAnsweredAndCounted) {
  const auto broken = std::make_shared<bool>(false);
  const auto one = spawn_verifiers(system, 1,
                                   {s.keys, cell,
                                    [c = clock, broken] {
                                      if (*broken)
                                        throw std::runtime_error("no clock");
                                      return *c;
                                    },
                                    counters})
                       .front();
  own(one);
  const auto e = fresh();
  attestation_key_request enrolment;
  enrolment.host = host;
  *broken = true;
  for (int i = 0; i < 3; ++i) {
    const auto verdict = ask<attestation_granted>(one, e);
    ASSERT_FALSE(verdict);
    EXPECT_EQ(verdict.failure().code, errc::internal);
    EXPECT_NE(verdict.failure().message.find("no clock"), std::string::npos);
    EXPECT_EQ(ask<attestation_key_issued>(one, enrolment).failure().code, errc::internal);
  }
  EXPECT_EQ(counters->read(), (std::map<std::string, std::uint64_t>{{"internal", 3}}));
  *broken = false;
  EXPECT_TRUE(ask<attestation_granted>(one, e)) << "and it goes on";
}

TEST_F(VerifierActor, EveryMessageInTheMailboxIsAnswered) {
  std::vector<answer<attestation_granted>> answers;
  std::vector<evidence> sent;
  for (int i = 0; i < 200; ++i) {
    auto e = s.good();
    if (i % 4 == 1)
      e.signature.back() ^= 1;
    if (i % 4 == 2)
      e = sent.front(); // the same evidence again
    sent.push_back(e);
    answers.push_back(post<attestation_granted>(verifiers[0], std::move(e)));
  }
  run();
  for (std::size_t i = 0; i < answers.size(); ++i) {
    ASSERT_TRUE(answers[i]->has_value()) << i;
    const auto& verdict = **answers[i];
    if (i % 4 == 1)
      EXPECT_EQ(verdict.failure().check, "quote-signature") << i;
    else if (i % 4 == 2)
      EXPECT_EQ(verdict.failure().check, "ticket-replayed") << i;
    else
      EXPECT_TRUE(verdict) << i << ": " << verdict.failure().message;
  }
  EXPECT_EQ(counters->read(), (std::map<std::string, std::uint64_t>{
                                  {"ok", 100}, {"quote-signature", 50}, {"ticket-replayed", 50}}));
}

TEST_F(VerifierActor, AnyVerifierTakesAnyTicketAndItsOwnerTakesItOnce) {
  const auto many = spawn(4);
  std::set<std::size_t> owners;
  for (int i = 0; i < 40; ++i) {
    const auto given = must(ask<challenge>(many[0], make_challenge{}));
    const auto owner = verifier_of(given.ticket, many.size());
    owners.insert(owner);
    const auto e = answer_to(given);
    EXPECT_TRUE(ask<attestation_granted>(many[owner], e));
    EXPECT_EQ(ask<attestation_granted>(many[owner], e).failure().check, "ticket-replayed");
  }
  EXPECT_EQ(owners.size(), many.size());
}

TEST_F(VerifierActor, HasNoOpinionOnOtherMessages) {
  caf::anon_send(caf::actor_cast<caf::actor>(verifiers[0]), std::string("what is this"));
  run();
  EXPECT_TRUE(attest(fresh())) << "still alive";
}

} // namespace
} // namespace custos::attestation
