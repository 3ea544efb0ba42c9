#include "cluster/link/hello.hpp"
#include "test_nodes.hpp"

#include <thread>

namespace custos::cluster::link {
namespace {

class Link : public ::testing::Test {
protected:
  test_cluster cluster_;
  http::io_pool pool_{2};
};

std::string check_of(const result<void>& r) {
  return r ? "accepted" : std::string(to_string(r.failure().code)) + " " + r.failure().field;
}

bytes write_number_of(std::uint32_t n) {
  return {static_cast<std::uint8_t>(n >> 24U), static_cast<std::uint8_t>(n >> 16U),
          static_cast<std::uint8_t>(n >> 8U), static_cast<std::uint8_t>(n)};
}

TEST_F(Link, CarriesFramesBothWaysInOrder) {
  test_node a(pool_, cluster_.node("a"));
  test_node b(pool_, cluster_.node("b"));
  join({&a, &b});
  ASSERT_TRUE(a.record.wait_up("b"));
  ASSERT_TRUE(b.record.wait_up("a"));
  std::vector<bytes> sent;
  for (std::size_t i = 0; i < 200; ++i)
    sent.push_back(crypto::random_bytes(i * i % 5000));
  sent.emplace_back(frame_bytes_max, std::uint8_t{0x5a});
  sent.emplace_back();
  for (const auto& frame : sent) {
    ASSERT_TRUE(a.link->send("b", frame).ok());
    ASSERT_TRUE(b.link->send("a", frame).ok());
  }
  ASSERT_TRUE(a.record.wait_frames("b", sent.size()));
  ASSERT_TRUE(b.record.wait_frames("a", sent.size()));
  EXPECT_EQ(a.record.look([&] { return a.record.frames["b"]; }), sent);
  EXPECT_EQ(b.record.look([&] { return b.record.frames["a"]; }), sent);
  EXPECT_EQ(check_of(a.link->send("b", bytes(frame_bytes_max + 1))), "too-large frame");
  EXPECT_EQ(check_of(a.link->send("c", {})), "unavailable ");
}

TEST_F(Link, TellsHowItStands) {
  const auto identity = cluster_.node("b");
  test_node a(pool_, cluster_.node("a"));
  test_node b(pool_, identity);
  ASSERT_TRUE(a.link->set_members({a.member(), b.member()}).ok());
  EXPECT_EQ(check_of(a.link->send("b", {})), "unavailable ");
  join({&a, &b});
  ASSERT_TRUE(a.record.wait_up("b"));
  ASSERT_TRUE(b.record.wait_up("a"));
  ASSERT_TRUE(a.link->send("b", bytes(3)).ok());
  ASSERT_TRUE(b.record.wait_frames("a", 1));
  const auto s = a.status_of("b");
  EXPECT_EQ(s.state, link_state::up);
  EXPECT_EQ(s.host, "127.0.0.1");
  EXPECT_EQ(s.port, b.link->port());
  EXPECT_EQ(s.peer.incarnation, b.link->incarnation());
  EXPECT_EQ(s.peer.incarnation.size(), 32U);
  EXPECT_EQ(s.peer.program_version, CUSTOS_VERSION);
  EXPECT_EQ(s.peer.protocol_version, protocol_version_max);
  EXPECT_EQ(s.peer.certificate_expires, identity.certificate.not_after());
  EXPECT_NEAR(static_cast<double>(s.up_since), static_cast<double>(wall_clock()), 60);
  EXPECT_EQ(s.frames_sent, 1U);
  EXPECT_EQ(b.status_of("a").frames_received, 1U);
  EXPECT_EQ(a.link->status().size(), 1U); // itself is no peer
}

TEST_F(Link, KeepsOneConnectionOfTwo) {
  auto options = test_options();
  options.second_dial_delay = 0ms; // they meet in the middle
  for (int round = 0; round < 10; ++round) {
    test_node a(pool_, cluster_.node("a"), options);
    test_node b(pool_, cluster_.node("b"), options);
    join({&a, &b});
    ASSERT_TRUE(a.record.wait_up("b"));
    ASSERT_TRUE(b.record.wait_up("a"));
    const auto end = std::chrono::steady_clock::now() + patience;
    while (a.link->counters().connections != 1 || b.link->counters().connections != 1) {
      ASSERT_LT(std::chrono::steady_clock::now(), end);
      std::this_thread::yield();
    }
    const auto n = b.record.look([&] { return b.record.frames["a"].size(); });
    while (!a.link->send("b", bytes(1)).ok())
      ASSERT_LT(std::chrono::steady_clock::now(), end);
    EXPECT_TRUE(b.record.wait_frames("a", n + 1));
  }
}

TEST_F(Link, TheLargerNameDialsWhereTheSmallerCannot) {
  test_node a(pool_, cluster_.node("a"));
  test_node b(pool_, cluster_.node("b"));
  ASSERT_TRUE(a.link->set_members({{"b", "127.0.0.1", 1}}).ok()); // nobody listens there
  ASSERT_TRUE(b.link->set_members({a.member()}).ok());
  a.link->start();
  b.link->start();
  EXPECT_TRUE(a.record.wait_up("b"));
  EXPECT_TRUE(b.record.wait_up("a"));
}

TEST_F(Link, ComesBackWhenThePeerDoes) {
  test_node a(pool_, cluster_.node("a"));
  const auto identity = cluster_.node("b");
  {
    test_node b(pool_, identity);
    join({&a, &b});
    ASSERT_TRUE(a.record.wait_up("b"));
  }
  ASSERT_TRUE(a.record.wait_down("b"));
  EXPECT_EQ(check_of(a.link->send("b", {})), "unavailable ");
  auto again = std::make_unique<test_node>(pool_, identity);
  join({&a, again.get()});
  EXPECT_TRUE(a.record.wait_up("b", 2));
  EXPECT_EQ(a.status_of("b").peer.incarnation, again->link->incarnation());
  EXPECT_TRUE(a.record.look([&] { return a.record.clashes.empty(); }));
}

// ---- who is refused -----------------------------------------------------------------------------

TEST_F(Link, RefusesAnotherCa) {
  const test_cluster other;
  auto identity = other.node("b");
  identity.cluster_id = cluster_.keys.cluster_id;
  test_node a(pool_, cluster_.node("a"));
  test_node b(pool_, identity);
  join({&a, &b});
  // Whoever dials does not believe the other, who may only learn that.
  EXPECT_NE(a.wait_check("b", "link-untrusted").find("not trusted"), std::string::npos);
  EXPECT_NE(b.wait_check("a", "link-untrusted").find("not trusted"), std::string::npos);
  EXPECT_TRUE(a.record.look([&] { return a.record.ups.empty(); }));
}

TEST_F(Link, RefusesAnotherCluster) {
  auto identity = cluster_.node("b");
  identity.cluster_id = std::string(32, '0');
  test_node a(pool_, cluster_.node("a"));
  test_node b(pool_, identity);
  join({&a, &b});
  EXPECT_NE(a.wait_check("b", "link-other-cluster").find("different clusters"), std::string::npos);
  EXPECT_NE(b.wait_check("a", "link-other-cluster").find("different clusters"), std::string::npos);
}

TEST_F(Link, RefusesWhoIsNotWhomItDialled) {
  test_node a(pool_, cluster_.node("a"));
  test_node c(pool_, cluster_.node("c"));
  ASSERT_TRUE(a.link->set_members({{"b", "127.0.0.1", c.link->port()}, c.member()}).ok());
  ASSERT_TRUE(c.link->set_members({a.member()}).ok());
  a.link->start();
  c.link->start();
  EXPECT_NE(a.wait_check("b", "link-name-differs").find("node c"), std::string::npos);
  EXPECT_TRUE(a.record.wait_up("c")); // and c is none the worse
  EXPECT_TRUE(a.record.look([&] { return a.record.ups["b"].empty(); }));
}

TEST_F(Link, KnowsItself) {
  test_node a(pool_, cluster_.node("a"));
  ASSERT_TRUE(a.link->set_members({{"b", "127.0.0.1", a.link->port()}}).ok());
  a.link->start();
  EXPECT_NE(a.wait_check("b", "link-ourselves").find("leads to the node"), std::string::npos);
  EXPECT_TRUE(a.record.look([&] { return a.record.clashes.empty(); }));
}

TEST_F(Link, RefusesCertificatesOutOfTheirTime) {
  const auto now = wall_clock();
  for (const auto& [from, until, why] :
       {std::tuple{now - 7200, now - 3600, "expired"}, {now + 3600, now + 7200, "not yet valid"}}) {
    test_node a(pool_, cluster_.node("a"));
    test_node b(pool_, cluster_.odd("node:b", from, until));
    join({&a, &b});
    EXPECT_NE(a.wait_check("b", "link-untrusted").find(why), std::string::npos);
    // b finds a good; that a does not like b reaches it as an alert.
    EXPECT_NE(b.wait_check("a", "link-certificate-refused").find("our certificate"),
              std::string::npos);
    EXPECT_TRUE(b.record.look([&] { return b.record.ups.empty(); }));
  }
}

TEST_F(Link, RefusesWhoIsNoMember) {
  test_node a(pool_, cluster_.node("a"));
  test_node b(pool_, cluster_.node("b"));
  ASSERT_TRUE(b.link->set_members({a.member()}).ok());
  a.link->start();
  b.link->start();
  EXPECT_NE(b.wait_check("a", "link-not-a-member").find("refused by node a"), std::string::npos);
  EXPECT_GE(a.link->counters().refused, 1U);
  EXPECT_NE(a.link->counters().last_refusal.find("node b is refused"), std::string::npos);
  // Made a member, it gets in with its next try.
  ASSERT_TRUE(a.link->set_members({b.member()}).ok());
  EXPECT_TRUE(a.record.wait_up("b"));
}

TEST_F(Link, RefusesACertificateThatTheMembershipDoesNotName) {
  const auto identity = cluster_.node("b");
  test_node a(pool_, cluster_.node("a"));
  test_node b(pool_, identity);
  auto member = b.member();
  member.certificates = {cluster_.node("b").certificate.fingerprint()};
  ASSERT_TRUE(a.link->set_members({member}).ok());
  ASSERT_TRUE(b.link->set_members({a.member()}).ok());
  a.link->start();
  b.link->start();
  EXPECT_NE(b.wait_check("a", "link-certificate").find("refused by node a"), std::string::npos);
  member.certificates.push_back(identity.certificate.fingerprint());
  ASSERT_TRUE(a.link->set_members({member}).ok());
  EXPECT_TRUE(b.record.wait_up("a"));
}

TEST_F(Link, TakesNoIdentityThatDoesNotFit) {
  const auto listen = [this](link_identity identity) {
    const auto r = node_link::listen(pool_, std::move(identity), test_options(), {}, wall_clock);
    return r ? "accepted" : r.failure().field;
  };
  const auto good = cluster_.node("a");
  EXPECT_EQ(listen(good), "accepted");
  auto bad = good;
  bad.node = "b";
  EXPECT_EQ(listen(bad), "certificate");
  bad.node = "a b";
  EXPECT_EQ(listen(bad), "node");
  bad = good;
  bad.cluster_id = "1234";
  EXPECT_EQ(listen(bad), "cluster_id");
  bad = good;
  bad.key = crypto::generate_p256().value();
  EXPECT_EQ(listen(bad), "key");
  bad = good;
  bad.authorities.clear();
  EXPECT_EQ(listen(bad), "identity");
  const auto now = wall_clock();
  EXPECT_EQ(listen(cluster_.odd("alice", now - 10, now + 3600)), "certificate");
}

TEST_F(Link, TakesNoMembershipThatCannotBe) {
  test_node a(pool_, cluster_.node("a"));
  const auto set = [&a](std::vector<link_member> m) { return check_of(a.link->set_members(m)); };
  EXPECT_EQ(set({{"b", "127.0.0.1", 1}, {"b", "127.0.0.1", 2}}), "invalid-argument name");
  EXPECT_EQ(set({{"", "127.0.0.1", 1}}), "invalid-argument name");
  EXPECT_EQ(set({{"b", "", 1}}), "invalid-argument host");
  EXPECT_EQ(set({{"b", "127.0.0.1", 0}}), "invalid-argument host");
  std::vector<link_member> many;
  for (std::size_t i = 0; i <= members_max; ++i)
    many.push_back({"n" + std::to_string(i), "127.0.0.1", 1});
  EXPECT_EQ(set(many), "too-large members");
}

// ---- changes while it runs ----------------------------------------------------------------------

TEST_F(Link, EndsTheLinkOfARemovedMember) {
  test_node a(pool_, cluster_.node("a"));
  test_node b(pool_, cluster_.node("b"));
  test_node c(pool_, cluster_.node("c"));
  join({&a, &b, &c});
  for (auto* const n : {&b, &c})
    ASSERT_TRUE(a.record.wait_up(n->name));
  ASSERT_TRUE(b.record.wait_up("a"));
  ASSERT_TRUE(a.link->set_members({a.member(), c.member()}).ok());
  ASSERT_TRUE(a.record.wait_down("b"));
  ASSERT_TRUE(b.record.wait_down("a"));
  EXPECT_EQ(b.record.look([&] { return b.record.downs["a"][0].check; }), "link-not-a-member");
  EXPECT_EQ(check_of(a.link->send("b", {})), "unavailable ");
  EXPECT_TRUE(a.link->send("c", {}).ok());
  EXPECT_TRUE(a.record.look([&] { return a.record.downs["c"].empty(); }));
}

TEST_F(Link, EndsTheLinkOfACertificateThatIsNoLongerPermitted) {
  const auto old = cluster_.node("b");
  const auto fresh = cluster_.node("b");
  test_node a(pool_, cluster_.node("a"));
  test_node b(pool_, old);
  join({&a, &b});
  ASSERT_TRUE(a.record.wait_up("b"));
  auto member = b.member();
  member.certificates = {old.certificate.fingerprint(), fresh.certificate.fingerprint()};
  ASSERT_TRUE(a.link->set_members({member}).ok());
  ASSERT_TRUE(b.link->set_identity(fresh).ok());
  member.certificates.erase(member.certificates.begin());
  ASSERT_TRUE(a.link->set_members({member}).ok());
  ASSERT_TRUE(a.record.wait_down("b"));
  EXPECT_EQ(a.record.look([&] { return a.record.downs["b"].size(); }), 1U); // not by the first
  EXPECT_TRUE(a.record.wait_up("b", 2));                                    // with the new one
}

TEST_F(Link, TakesNewCertificatesWithoutARestart) {
  const auto now = wall_clock();
  test_node a(pool_, cluster_.node("a"));
  test_node b(pool_, cluster_.node("b"));
  test_node c(pool_, cluster_.node("c"));
  join({&a, &b});
  ASSERT_TRUE(a.record.wait_up("b"));
  const auto renewed = cluster_.odd("node:a", now - 10, now + 1234);
  ASSERT_TRUE(a.link->set_identity(renewed).ok());
  ASSERT_TRUE(a.link->set_members({b.member(), c.member()}).ok());
  ASSERT_TRUE(c.link->set_members({a.member()}).ok());
  c.link->start();
  ASSERT_TRUE(c.record.wait_up("a"));
  EXPECT_EQ(c.status_of("a").peer.certificate_expires, renewed.certificate.not_after());
  // The link that was up goes on.
  ASSERT_TRUE(a.link->send("b", bytes(1)).ok());
  EXPECT_TRUE(b.record.wait_frames("a", 1));
  EXPECT_NE(b.status_of("a").peer.certificate_expires, renewed.certificate.not_after());
  EXPECT_TRUE(b.record.look([&] { return b.record.downs.empty(); }));
  auto stranger = cluster_.node("z");
  EXPECT_EQ(check_of(a.link->set_identity(stranger)), "invalid-argument identity");
}

TEST_F(Link, TakesANewCaWithoutARestart) {
  const test_cluster next;
  test_node a(pool_, cluster_.node("a"));
  test_node b(pool_, cluster_.node("b"));
  join({&a, &b});
  ASSERT_TRUE(a.record.wait_up("b"));
  ASSERT_TRUE(b.record.wait_up("a"));
  const auto moved = [&](const std::string& name) {
    auto identity = next.node(name);
    identity.cluster_id = cluster_.keys.cluster_id;
    identity.authorities = {cluster_.keys.ca_certificate, next.keys.ca_certificate};
    return identity;
  };
  // First everybody believes both, then one after the other shows a certificate of the new one.
  auto both = cluster_.node("b");
  both.authorities = moved("b").authorities;
  ASSERT_TRUE(b.link->set_identity(both).ok());
  ASSERT_TRUE(a.link->set_identity(moved("a")).ok());
  test_node c(pool_, moved("c"));
  ASSERT_TRUE(a.link->set_members({b.member(), c.member()}).ok());
  ASSERT_TRUE(b.link->set_members({a.member(), c.member()}).ok());
  ASSERT_TRUE(c.link->set_members({a.member(), b.member()}).ok());
  c.link->start();
  EXPECT_TRUE(c.record.wait_up("a"));
  EXPECT_TRUE(c.record.wait_up("b"));
  EXPECT_TRUE(a.record.look([&] { return a.record.downs.empty(); }));
}

TEST_F(Link, TellsPeersWhenItStops) {
  test_node a(pool_, cluster_.node("a"));
  test_node b(pool_, cluster_.node("b"));
  join({&a, &b});
  ASSERT_TRUE(a.record.wait_up("b"));
  ASSERT_TRUE(b.record.wait_up("a"));
  b.link->stop();
  ASSERT_TRUE(a.record.wait_down("b"));
  EXPECT_EQ(a.record.look([&] { return a.record.downs["b"][0].check; }), "link-stopping");
  EXPECT_TRUE(b.record.look([&] { return b.record.downs.empty(); })); // silent from then on
}

// ---- two with one identity ----------------------------------------------------------------------

TEST_F(Link, TwoNodesWithOneIdentityAreNoticedByAll) {
  for (const std::string witness : {"0-first", "z-last"}) { // arbiter, and not
    const auto identity = cluster_.node("a");
    test_node a(pool_, identity);
    test_node copy(pool_, identity);
    test_node b(pool_, cluster_.node(witness));
    join({&a, &b});
    ASSERT_TRUE(b.record.wait_up("a"));
    ASSERT_TRUE(a.record.wait_up(witness));
    ASSERT_TRUE(copy.link->set_members({b.member()}).ok());
    copy.link->start();
    for (auto* const n : {&a, &copy, &b})
      ASSERT_TRUE(n->record.wait([n] { return !n->record.clashes.empty(); })) << n->name;
    for (auto* const n : {&a, &copy}) {
      const auto clash = n->record.look([n] { return n->record.clashes[0]; });
      EXPECT_TRUE(clash.ours);
      EXPECT_EQ(clash.node, "a");
      EXPECT_EQ(clash.seen_by, witness);
    }
    const auto seen = b.record.look([&] { return b.record.clashes[0]; });
    EXPECT_FALSE(seen.ours);
    EXPECT_EQ(seen.node, "a");
    EXPECT_NE(copy.wait_check(witness, "link-identity-in-use").find("copied data directory"),
              std::string::npos);
    // The first one keeps its link.
    EXPECT_TRUE(a.record.look([&] { return a.record.downs.empty(); }));
    EXPECT_EQ(b.status_of("a").peer.incarnation, a.link->incarnation());
    EXPECT_TRUE(copy.record.look([&] { return copy.record.ups.empty(); }));
  }
}

TEST_F(Link, ACopyThatMeetsItsOriginalIsNoticedByBoth) {
  const auto identity = cluster_.node("a");
  test_node a(pool_, identity);
  test_node copy(pool_, identity);
  ASSERT_TRUE(copy.link->set_members({{"b", "127.0.0.1", a.link->port()}}).ok());
  a.link->start();
  copy.link->start();
  for (auto* const n : {&a, &copy})
    EXPECT_TRUE(n->record.wait([n] { return !n->record.clashes.empty(); }));
}

// ---- slow consumers -----------------------------------------------------------------------------

TEST_F(Link, APeerThatStopsTakingStallsNobodyElse) {
  auto options = test_options();
  options.send_queue_bytes_max = 1U << 20U;
  options.receive_window_bytes = 1U << 20U;
  options.receive_window_frames = 64;
  test_node a(pool_, cluster_.node("a"), options);
  test_node b(pool_, cluster_.node("b"), options);
  test_node c(pool_, cluster_.node("c"), options);
  b.record.hold_receipts = true;
  join({&a, &b, &c});
  ASSERT_TRUE(a.record.wait_up("b"));
  ASSERT_TRUE(a.record.wait_up("c"));
  ASSERT_TRUE(c.record.wait_up("a"));
  // Until every buffer on the way is full: ours, the kernels', the window of b.
  std::uint32_t sent = 0;
  const auto next = [&sent] {
    auto frame = bytes(32U << 10U);
    const auto number = write_number_of(sent);
    std::copy(number.begin(), number.end(), frame.begin());
    return frame;
  };
  auto full_since = std::chrono::steady_clock::now();
  const auto end = full_since + patience;
  while (std::chrono::steady_clock::now() - full_since < 300ms) {
    ASSERT_LT(std::chrono::steady_clock::now(), end);
    if (const auto r = a.link->send("b", next()); r.ok()) {
      ++sent;
      full_since = std::chrono::steady_clock::now();
    } else {
      ASSERT_EQ(check_of(r), "overloaded ");
      std::this_thread::yield();
    }
  }
  EXPECT_LE(b.record.look([&] { return b.record.frames["a"].size(); }), 64U);
  EXPECT_LE(a.status_of("b").queued_bytes, options.send_queue_bytes_max);
  EXPECT_GT(a.status_of("b").frames_refused, 0U);
  // Meanwhile everybody else goes on.
  for (std::size_t i = 1; i <= 50; ++i) {
    ASSERT_TRUE(a.link->send("c", bytes(1000)).ok());
    ASSERT_TRUE(c.record.wait_frames("a", i));
    ASSERT_TRUE(b.link->send("a", bytes(10)).ok()); // even from b
    ASSERT_TRUE(a.record.wait_frames("b", i));
  }
  EXPECT_TRUE(a.record.look([&] { return a.record.downs.empty(); }));
  // It takes again: nothing was lost, nothing out of order.
  b.record.look([&] {
    b.record.hold_receipts = false;
    b.record.receipts.clear();
  });
  ASSERT_TRUE(b.record.wait_frames("a", sent));
  b.record.look([&] {
    for (std::uint32_t i = 0; i < sent; ++i)
      ASSERT_EQ(bytes(b.record.frames["a"][i].begin(), b.record.frames["a"][i].begin() + 4),
                write_number_of(i));
  });
}

TEST_F(Link, ReceiptsMayOutliveTheLink) {
  std::vector<receipt> kept;
  {
    test_node a(pool_, cluster_.node("a"));
    test_node b(pool_, cluster_.node("b"));
    b.record.hold_receipts = true;
    join({&a, &b});
    ASSERT_TRUE(a.record.wait_up("b"));
    ASSERT_TRUE(a.link->send("b", bytes(10)).ok());
    ASSERT_TRUE(b.record.wait_frames("a", 1));
    kept = b.record.look([&] { return b.record.receipts; });
  }
  pool_.stop();
  EXPECT_EQ(kept.size(), 1U);
  kept.clear();
}

} // namespace
} // namespace custos::cluster::link
