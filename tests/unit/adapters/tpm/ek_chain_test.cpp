#include "adapters/tpm/ek_chain.hpp"

#include <gtest/gtest.h>

namespace custos::tpm {

namespace {

/// A vendor's hierarchy: root, then as many CAs as wanted, then the EK.
class ek_chain : public ::testing::Test {
protected:
  struct signer {
    crypto::key key;
    crypto::certificate certificate;
  };

  static signer issue(const std::string& name, const signer* issuer, bool ca = true) {
    signer out;
    out.key = crypto::generate_p256().value();
    crypto::certificate_request r;
    r.common_name = name;
    r.is_ca = ca;
    r.not_after = 4'000'000'000;
    out.certificate =
        crypto::issue_certificate(r, out.key, issuer == nullptr ? out.key : issuer->key,
                                  issuer == nullptr ? nullptr : &issuer->certificate)
            .value();
    return out;
  }
  static void append(bytes& out, const bytes& more) {
    out.insert(out.end(), more.begin(), more.end());
  }

  signer root = issue("root", nullptr);
  signer first = issue("first", &root);
  signer second = issue("second", &first);
  signer ek = issue("ek", &second, false);
};

} // namespace

TEST_F(ek_chain, is_read_across_padding_of_both_kinds) {
  bytes all(7, 0xFF);
  append(all, second.certificate.der());
  append(all, bytes(100, 0x00));
  append(all, first.certificate.der());
  append(all, root.certificate.der());
  append(all, bytes(31, 0xFF));
  const auto found = split_chain(all);
  ASSERT_TRUE(found.ok()) << found.failure().message;
  ASSERT_EQ(found->size(), 3U);
  EXPECT_EQ((*found)[0].der(), second.certificate.der());
  EXPECT_EQ((*found)[1].der(), first.certificate.der());
  EXPECT_EQ((*found)[2].der(), root.certificate.der());
  EXPECT_TRUE(split_chain({})->empty());
  EXPECT_TRUE(split_chain(bytes(64, 0xFF))->empty());
}

TEST_F(ek_chain, is_refused_when_it_ends_anywhere_within_a_certificate) {
  bytes all = second.certificate.der();
  append(all, first.certificate.der());
  const auto boundary = second.certificate.der().size();
  for (std::size_t n = 1; n < all.size(); ++n) {
    const auto cut = split_chain(byte_view(all).first(n));
    EXPECT_EQ(cut.ok(), n == boundary) << n;
  }
}

TEST_F(ek_chain, is_refused_when_something_else_is_in_it) {
  for (const bytes& junk : {bytes{0x31, 0x00}, bytes{0x30, 0x80, 0x00, 0x00}, bytes{0x30, 0x03, 1},
                            bytes{0x30, 0x85, 1, 1, 1, 1, 1}, bytes{0x30, 0x82, 0xFF},
                            bytes{0x30, 0x82, 0xFF, 0xFF, 0x00}, bytes{'-', '-'}}) {
    bytes all = second.certificate.der();
    append(all, junk);
    EXPECT_FALSE(split_chain(all).ok()) << crypto::hex(junk);
  }
  EXPECT_EQ(split_chain(bytes(chain_bytes_max + 1, 0xFF)).failure().code, errc::too_large);
  bytes many;
  for (std::size_t i = 0; i <= chain_certificates_max; ++i)
    append(many, first.certificate.der());
  EXPECT_EQ(split_chain(many).failure().code, errc::too_large);
}

TEST_F(ek_chain, is_the_path_from_the_ek_upwards_without_the_root) {
  const auto stranger = issue("stranger", &root);
  const auto path = path_above(ek.certificate,
                               {root.certificate, stranger.certificate, first.certificate,
                                ek.certificate, second.certificate},
                               5);
  ASSERT_EQ(path.size(), 2U);
  EXPECT_EQ(path[0], second.certificate.der());
  EXPECT_EQ(path[1], first.certificate.der());
  EXPECT_EQ(path_above(ek.certificate, {first.certificate, second.certificate}, 1).size(), 1U);
  EXPECT_TRUE(path_above(ek.certificate, {first.certificate, root.certificate}, 5).empty())
      << "the EK's own issuer is missing";
}

TEST_F(ek_chain, ends_where_names_go_round_in_a_circle) {
  // Two CAs that certify each other, as in a bridge.
  const auto a = issue("a", nullptr);
  const auto b = issue("b", &a);
  crypto::certificate_request r;
  r.common_name = "a";
  r.is_ca = true;
  r.not_after = 4'000'000'000;
  const auto a_by_b = crypto::issue_certificate(r, a.key, b.key, &b.certificate).value();
  const auto leaf = issue("leaf", &b, false);
  EXPECT_EQ(path_above(leaf.certificate, {b.certificate, a_by_b}, 5).size(), 2U);
}

} // namespace custos::tpm
