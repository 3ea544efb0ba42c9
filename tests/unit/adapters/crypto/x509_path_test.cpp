#include "adapters/crypto/x509_path.hpp"

#include "tests/unit/adapters/crypto/crl_maker.hpp"
#include "tests/unit/adapters/tpm/ek_certificate_maker.hpp"

#include <algorithm>
#include <atomic>
#include <gtest/gtest.h>
#include <thread>

// Certification paths and revocation (RFC 5280, 5 and 6), on certificates made for it.
namespace custos::crypto {
namespace {

using custos::crypto::test::crl_of;
using custos::crypto::test::make_crl;
using custos::tpm::test::ca_certificate;
using custos::tpm::test::ek_certificate_of;
using custos::tpm::test::make_ek_certificate;
using custos::tpm::test::vendor;

constexpr unix_seconds now = 1'800'000'000;

key fresh() {
  auto made = generate_p256();
  EXPECT_TRUE(made);
  return *made;
}

verify_options at(unix_seconds time) {
  verify_options o;
  o.now = time;
  return o;
}

class Path : public testing::Test {
protected:
  vendor maker;
  key ek = fresh();
  anchor_set anchors{{maker.root}};

  bool holds(const certificate& leaf, const std::vector<certificate>& between,
             const verify_options& o = at(now)) {
    const auto path = anchors.path(leaf, between, o);
    if (!path)
      why = path.failure().message;
    return path.ok();
  }
  std::string why;
};

TEST_F(Path, IsToldFromLeafToAnchor) {
  const auto leaf = maker.issue(ek);
  const auto path = anchors.path(leaf, {maker.root, maker.issuing}, at(now));
  ASSERT_TRUE(path) << path.failure().message;
  ASSERT_EQ(path->size(), 3U);
  EXPECT_EQ((*path)[0].handle(), leaf.handle());
  EXPECT_EQ((*path)[1].handle(), maker.issuing.handle());
  EXPECT_EQ((*path)[2].handle(), maker.root.handle());
}

TEST_F(Path, EndsAtTheFirstAnchor) {
  anchors = anchor_set({maker.root, maker.issuing});
  const auto path = anchors.path(maker.issue(ek), {}, at(now));
  ASSERT_TRUE(path) << path.failure().message;
  EXPECT_EQ(path->size(), 2U);
  EXPECT_EQ(path->back().handle(), maker.issuing.handle());
}

TEST_F(Path, WithoutAnchorsThereIsNone) {
  for (const auto& none : {anchor_set(), anchor_set({certificate()})}) {
    EXPECT_TRUE(none.certificates().empty());
    EXPECT_FALSE(none.path(maker.issue(ek), {maker.issuing}, at(now)));
  }
  EXPECT_FALSE(anchors.path(certificate(), {maker.issuing}, at(now)));
}

TEST_F(Path, DatesByPolicy) {
  struct row {
    may_expire expired;
    bool old_leaf, old_issuer, old_root;
  };
  for (const auto& [expired, old_leaf, old_issuer, old_root] :
       {row{may_expire::none, false, false, false}, row{may_expire::leaf, true, false, false},
        row{may_expire::any, true, true, true}}) {
    auto o = at(now);
    o.expired = expired;
    EXPECT_TRUE(holds(maker.issue(ek), {maker.issuing}, o));
    EXPECT_EQ(holds(maker.issue(ek, {.not_after = now - 1}), {maker.issuing}, o), old_leaf);
    const vendor old_middle(4'000'000'000, now - 1);
    anchors = anchor_set({old_middle.root});
    EXPECT_EQ(holds(old_middle.issue(ek), {old_middle.issuing}, o), old_issuer);
    const vendor old_anchor(now - 1, 4'000'000'000);
    anchors = anchor_set({old_anchor.root});
    EXPECT_EQ(holds(old_anchor.issue(ek), {old_anchor.issuing}, o), old_root);
    anchors = anchor_set({maker.root});
    // Whatever the policy, what is not valid yet is not valid.
    EXPECT_FALSE(holds(maker.issue(ek, {.not_before = now + 1}), {maker.issuing}, o));
    EXPECT_NE(why.find("not yet valid"), std::string::npos) << why;
    auto ca = ca_certificate("Later CA");
    ca.not_before = now + 1;
    const auto issuer_key = fresh();
    const auto later = make_ek_certificate(issuer_key, maker.root_key, maker.root, ca);
    EXPECT_FALSE(holds(make_ek_certificate(ek, issuer_key, later), {later}, o));
  }
}

TEST_F(Path, AnExpiredCertificateIsRefusedForOtherReasonsStill) {
  auto o = at(now);
  o.expired = may_expire::any;
  EXPECT_FALSE(holds(maker.issue(ek, {.not_after = now - 1}), {}, o));
  anchors = anchor_set({vendor().root});
  EXPECT_FALSE(holds(maker.issue(ek, {.not_after = now - 1}), {maker.issuing}, o));
}

TEST_F(Path, Sha1OnlyWhereItIsAllowedAndMd5Never) {
  auto allowed = at(now);
  allowed.allow_sha1 = true;
  const auto sha1 = maker.issue(ek, {.digest = "SHA1"});
  EXPECT_FALSE(holds(sha1, {maker.issuing}));
  EXPECT_TRUE(holds(sha1, {maker.issuing}, allowed)) << why;
  // There is no ECDSA with MD5.
  const auto rsa = generate_rsa(2048);
  ASSERT_TRUE(rsa);
  const auto rsa_ca =
      make_ek_certificate(*rsa, maker.root_key, maker.root, ca_certificate("RSA CA"));
  EXPECT_TRUE(holds(make_ek_certificate(ek, *rsa, rsa_ca), {rsa_ca})) << why;
  const auto md5 = make_ek_certificate(ek, *rsa, rsa_ca, {.digest = "MD5"});
  EXPECT_FALSE(holds(md5, {rsa_ca}));
  EXPECT_FALSE(holds(md5, {rsa_ca}, allowed));
  EXPECT_NE(why.find("too weak"), std::string::npos) << why;
  auto ca = ca_certificate("Old CA");
  ca.digest = "SHA1";
  const auto issuer_key = fresh();
  const auto issuer = make_ek_certificate(issuer_key, maker.root_key, maker.root, ca);
  const auto leaf = make_ek_certificate(ek, issuer_key, issuer);
  EXPECT_FALSE(holds(leaf, {issuer}));
  EXPECT_TRUE(holds(leaf, {issuer}, allowed)) << why;
  // As an anchor it vouches by itself: its own signature is not looked at.
  anchors = anchor_set({issuer});
  EXPECT_TRUE(holds(leaf, {})) << why;
}

TEST_F(Path, WeakKeysAreRefusedWithSha1AllowedToo) {
  const auto small = generate_rsa(768);
  ASSERT_TRUE(small);
  const auto issuer =
      make_ek_certificate(*small, maker.root_key, maker.root, ca_certificate("Small CA"));
  const auto leaf = make_ek_certificate(ek, *small, issuer);
  auto o = at(now);
  EXPECT_FALSE(holds(leaf, {issuer}, o));
  o.allow_sha1 = true;
  EXPECT_FALSE(holds(leaf, {issuer}, o));
  EXPECT_NE(why.find("weak"), std::string::npos) << why;
}

/// A CA below the vendor's root, and an EK certificate of it.
struct below {
  certificate issuer, leaf;
  below(const vendor& maker, const key& ek, const ek_certificate_of& ca,
        const ek_certificate_of& what = {}) {
    const auto issuer_key = fresh();
    issuer = make_ek_certificate(issuer_key, maker.root_key, maker.root, ca);
    leaf = make_ek_certificate(ek, issuer_key, issuer, what);
  }
};

TEST_F(Path, EveryIssuerIsACaThatMaySign) {
  auto ca = ca_certificate("CA");
  const below good(maker, ek, ca);
  EXPECT_TRUE(holds(good.leaf, {good.issuer})) << why;
  ca.basic_constraints = "critical,CA:FALSE";
  const below no_ca(maker, ek, ca);
  EXPECT_FALSE(holds(no_ca.leaf, {no_ca.issuer}));
  ca.basic_constraints = ""; // keyCertSign alone makes no CA
  const below by_usage(maker, ek, ca);
  EXPECT_FALSE(holds(by_usage.leaf, {by_usage.issuer}));
  ca = ca_certificate("CA");
  ca.key_usage = "critical,digitalSignature,cRLSign";
  const below no_signer(maker, ek, ca);
  EXPECT_FALSE(holds(no_signer.leaf, {no_signer.issuer}));
}

TEST_F(Path, UnknownCriticalExtensionsOfAnIssuer) {
  auto ca = ca_certificate("CA");
  ca.extra = "1.2.3.4.5=DER:0500";
  const below good(maker, ek, ca);
  EXPECT_TRUE(holds(good.leaf, {good.issuer})) << why;
  ca.extra = "1.2.3.4.5=critical,DER:0500";
  const below bad(maker, ek, ca);
  EXPECT_FALSE(holds(bad.leaf, {bad.issuer}));
  EXPECT_NE(why.find("critical"), std::string::npos) << why;
}

TEST_F(Path, LengthOfThePath) {
  const auto outer_key = fresh();
  for (const bool long_enough : {true, false}) {
    auto ca = ca_certificate("Outer CA");
    ca.basic_constraints =
        long_enough ? "critical,CA:TRUE,pathlen:1" : "critical,CA:TRUE,pathlen:0";
    const auto outer = make_ek_certificate(outer_key, maker.root_key, maker.root, ca);
    const auto inner_key = fresh();
    const auto inner = make_ek_certificate(inner_key, outer_key, outer, ca_certificate("Inner CA"));
    EXPECT_EQ(holds(make_ek_certificate(ek, inner_key, inner), {outer, inner}), long_enough);
  }
  // Without any constraint there is a longest path all the same.
  std::vector<certificate> chain{maker.issuing};
  auto last = maker.issuing_key;
  for (int i = 0; i < 8; ++i) {
    const auto next = fresh();
    chain.push_back(
        make_ek_certificate(next, last, chain.back(), ca_certificate("CA " + std::to_string(i))));
    last = next;
    const auto good = holds(make_ek_certificate(ek, last, chain.back()), chain);
    EXPECT_EQ(good, chain.size() <= 6) << chain.size() << why;
  }
}

TEST_F(Path, NameConstraints) {
  auto ca = ca_certificate("CA");
  ca.extra = "nameConstraints=critical,excluded;DNS:evil.example";
  const below constrained(maker, ek, ca);
  EXPECT_TRUE(holds(constrained.leaf, {constrained.issuer})) << why;
  const below evil(maker, ek, ca, {.alternative_name = "DNS:tpm.evil.example"});
  EXPECT_FALSE(holds(evil.leaf, {evil.issuer}));
  EXPECT_NE(why.find("excluded"), std::string::npos) << why;
  ca.extra = "nameConstraints=critical,permitted;DNS:good.example";
  const below permitted(maker, ek, ca, {.alternative_name = "DNS:tpm.good.example"});
  EXPECT_TRUE(holds(permitted.leaf, {permitted.issuer})) << why;
  const below other(maker, ek, ca, {.alternative_name = "DNS:tpm.example"});
  EXPECT_FALSE(holds(other.leaf, {other.issuer}));
}

TEST_F(Path, ManyThreadsShareTheAnchors) {
  const auto leaf = maker.issue(ek);
  std::atomic<int> good{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) {
        const auto path = anchors.path(leaf, {maker.issuing}, at(now));
        good += path.ok() ? 1 : 0;
      }
    });
  for (auto& t : threads)
    t.join();
  EXPECT_EQ(good, 200);
}

// ---- revocation ---------------------------------------------------------------------------------

class Revocation : public Path {
protected:
  certificate leaf = maker.issue(ek, {.serial = 77});
  std::vector<certificate> path{leaf, maker.issuing, maker.root};

  result<void> judged(const std::vector<certificate_revocation_list>& lists,
                      bool require_current = false, bool allow_sha1 = false) {
    return check_revocation(path, lists, {now, require_current, allow_sha1});
  }
  certificate_revocation_list by_issuing(const crl_of& what = {}) {
    return make_crl(maker.issuing, maker.issuing_key, what);
  }
  certificate_revocation_list by_root(const crl_of& what = {}) {
    return make_crl(maker.root, maker.root_key, what);
  }
  void demanded(const certificate_revocation_list& of_issuing, bool good) {
    const auto r = judged({by_root(), of_issuing}, true);
    EXPECT_EQ(r.ok(), good) << (r ? "" : r.failure().message);
  }
};

TEST_F(Revocation, NothingIsRevokedWhereNoListSaysSo) {
  EXPECT_TRUE(judged({}));
  EXPECT_TRUE(judged({by_issuing(), by_root()}));
  EXPECT_TRUE(judged({by_issuing({.serials = {76, 78}})}));
  EXPECT_TRUE(judged({certificate_revocation_list()}));
}

TEST_F(Revocation, TheLeafIsRevoked) {
  const auto r = judged({by_root(), by_issuing({.serials = {1, 77, 900}})});
  ASSERT_FALSE(r);
  EXPECT_NE(r.failure().message.find("4d"), std::string::npos) << r.failure().message; // 77
  EXPECT_NE(r.failure().message.find("revoked"), std::string::npos) << r.failure().message;
}

TEST_F(Revocation, AnIntermediateIsRevoked) {
  auto ca = ca_certificate("Lost CA");
  ca.serial = 99;
  const below lost(maker, ek, ca);
  path = {lost.leaf, lost.issuer, maker.root};
  EXPECT_FALSE(judged({by_root({.serials = {99}})}));
  EXPECT_TRUE(judged({by_root({.serials = {98}})}));
}

TEST_F(Revocation, AListOfAnotherCaSaysNothing) {
  const vendor other; // the same names, other keys
  EXPECT_TRUE(judged({make_crl(other.issuing, other.issuing_key, {.serials = {77}})}));
  EXPECT_TRUE(judged({by_root({.serials = {77}})})) << "of the leaf's issuer's issuer";
  EXPECT_FALSE(judged({by_root(), make_crl(other.issuing, other.issuing_key)}, true));
}

TEST_F(Revocation, WhatAnOldListRevokesStaysRevoked) {
  EXPECT_FALSE(judged({by_issuing({.serials = {77}, .next_update = now - 1000})}));
  EXPECT_FALSE(judged({by_issuing({.serials = {77}, .digest = "SHA1"})}));
  EXPECT_FALSE(
      judged({by_issuing({.serials = {77}, .extensions = "deltaCRL=critical,DER:020101"})}));
}

TEST_F(Revocation, CurrentListsAreDemandedOfEveryIssuer) {
  EXPECT_FALSE(judged({}, true));
  EXPECT_FALSE(judged({by_issuing()}, true));
  EXPECT_FALSE(judged({by_root()}, true));
  EXPECT_TRUE(judged({by_issuing(), by_root()}, true));
  // The anchor itself is revoked by nobody: nothing is demanded of whoever issued it.
  path = {leaf, maker.issuing};
  EXPECT_TRUE(judged({by_issuing()}, true));
}

TEST_F(Revocation, AListIsCurrentBetweenItsDates) {
  demanded(by_issuing({.last_update = now, .next_update = now + 1}), true);
  demanded(by_issuing({.last_update = now - 10, .next_update = now}), false);
  demanded(by_issuing({.last_update = now + 1}), false);
  demanded(by_issuing({.next_update = 0}), false);
  // One that is current beside one that is not.
  EXPECT_TRUE(judged({by_root(), by_issuing({.next_update = now - 1}), by_issuing()}, true));
}

TEST_F(Revocation, ACurrentListIsSignedWithAGoodHash) {
  demanded(by_issuing({.digest = "SHA384"}), true);
  demanded(by_issuing({.digest = "SHA1"}), false);
  EXPECT_TRUE(judged({by_root(), by_issuing({.digest = "SHA1"})}, true, true));
  const auto rsa = generate_rsa(2048);
  ASSERT_TRUE(rsa);
  const auto rsa_ca =
      make_ek_certificate(*rsa, maker.root_key, maker.root, ca_certificate("RSA CA"));
  path = {make_ek_certificate(ek, *rsa, rsa_ca), rsa_ca, maker.root};
  EXPECT_TRUE(judged({by_root(), make_crl(rsa_ca, *rsa)}, true));
  EXPECT_FALSE(judged({by_root(), make_crl(rsa_ca, *rsa, {.digest = "MD5"})}, true, true));
}

TEST_F(Revocation, ACurrentListIsComplete) {
  demanded(by_issuing({.extensions = "1.2.3.4.5=DER:0500"}), true);
  demanded(by_issuing({.extensions = "1.2.3.4.5=critical,DER:0500"}), false);
  demanded(by_issuing({.extensions = "deltaCRL=critical,DER:020101"}), false);
  const auto scope = [&](const std::string& lines) {
    return by_issuing({.extensions = "issuingDistributionPoint=critical,@scope",
                       .sections = "[scope]\n" + lines + "\n"});
  };
  demanded(scope("onlyuser=TRUE"), true);
  demanded(scope("onlyCA=TRUE"), false);
  demanded(scope("onlyAA=TRUE"), false);
  demanded(scope("indirectCRL=TRUE"), false);
  demanded(scope("onlysomereasons=keyCompromise"), false);
  demanded(scope("fullname=URI:http://ca.example/1.crl"), false);
  leaf = maker.issue(
      ek, {.extra = "crlDistributionPoints=URI:http://ca.example/1.crl\n", .serial = 77});
  path.front() = leaf;
  demanded(scope("fullname=URI:http://ca.example/1.crl"), true);
  demanded(scope("fullname=URI:http://ca.example/2.crl"), false);
  // What is for CAs only covers the issuer.
  EXPECT_TRUE(
      judged({by_issuing(), make_crl(maker.root, maker.root_key,
                                     {.extensions = "issuingDistributionPoint=critical,@scope",
                                      .sections = "[scope]\nonlyCA=TRUE\n"})},
             true));
}

TEST_F(Revocation, AnIssuerWhoseKeyMayNotSignLists) {
  auto ca = ca_certificate("CA");
  ca.key_usage = "critical,keyCertSign";
  const auto issuer_key = fresh();
  const auto issuer = make_ek_certificate(issuer_key, maker.root_key, maker.root, ca);
  path = {make_ek_certificate(ek, issuer_key, issuer, {.serial = 77}), issuer, maker.root};
  EXPECT_TRUE(judged({make_crl(issuer, issuer_key, {.serials = {77}})}));
  EXPECT_FALSE(judged({by_root(), make_crl(issuer, issuer_key)}, true));
}

TEST_F(Revocation, ChangedListsAreNobodys) {
  auto der = by_issuing({.serials = {77}}).der();
  der[der.size() - 10] ^= 1; // in the signature
  const auto changed = crl_from_der(der);
  ASSERT_TRUE(changed) << changed.failure().message;
  EXPECT_TRUE(judged({*changed}));
  EXPECT_FALSE(judged({by_root(), *changed}, true));
}

// ---- lists as files -----------------------------------------------------------------------------

TEST_F(Revocation, ListsReadBack) {
  const auto list = by_issuing({.serials = {77}, .last_update = now, .next_update = now + 10});
  EXPECT_EQ(list.last_update(), now);
  EXPECT_EQ(list.next_update(), now + 10);
  EXPECT_EQ(list.issuer(), maker.issuing.subject());
  const auto again = crl_from_pem(as_bytes(list.pem()));
  ASSERT_TRUE(again) << again.failure().message;
  EXPECT_EQ(again->der(), list.der());
  EXPECT_FALSE(crl_from_pem(as_bytes(list.pem() + list.pem())));
  EXPECT_FALSE(crl_from_pem(as_bytes(maker.root.pem())));
}

TEST_F(Revocation, GarbageIsNoList) {
  const auto der = by_issuing({.serials = {77}}).der();
  for (std::size_t n = 0; n < der.size(); ++n)
    EXPECT_FALSE(crl_from_der(byte_view(der).first(n))) << n;
  auto longer = der;
  longer.push_back(0);
  EXPECT_FALSE(crl_from_der(longer));
  EXPECT_FALSE(crl_from_der(maker.root.der()));
  EXPECT_EQ(crl_from_der(bytes(crl_bytes_max + 1, 0x30)).failure().code, errc::too_large);
}

} // namespace
} // namespace custos::crypto
