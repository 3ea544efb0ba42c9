#include "adapters/jose/detached.hpp"

#include <gtest/gtest.h>

namespace custos::jose {
namespace {

const std::string typ = "thing+jws";

crypto::key p384() {
  // RFC 6979, A.2.6, as PKCS#8 without its optional parts.
  static const auto der = crypto::from_hex("304e020100301006072a8648ce3d020106052b81040022043730"
                                           "3502010104306b9d3dad2e1b8c1c05b19875b6659f4de23c3b66"
                                           "7bf297ba9aa47740787137d896d5724e4c70a825f872c9ea60d2"
                                           "edf5")
                              .value();
  return crypto::private_key_from_pkcs8(der).value();
}

std::vector<crypto::key> all_keys() {
  return {crypto::generate_p256().value(), p384(), crypto::generate_rsa(2048).value()};
}

std::string failed(const result<crypto::key>& r) {
  return r.ok() ? "verified" : r.failure().check;
}

/// The header, as JSON.
std::string header_of(const std::string& jws) {
  return std::string(as_text(crypto::from_base64url(jws.substr(0, jws.find('.'))).value()));
}

TEST(detached, signs_with_the_algorithm_of_the_key) {
  const auto content = bytes(100'000, 'x'); // larger than any token
  const std::vector<std::string> algorithms{"ES256", "ES384", "RS256"};
  const auto keys = all_keys();
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const auto jws = sign_detached(keys[i], typ, content).value();
    EXPECT_NE(header_of(jws).find("\"alg\":\"" + algorithms[i] + "\""), std::string::npos);
    EXPECT_NE(jws.find(".."), std::string::npos);
    const auto by = verify_detached(jws, content, keys, typ);
    ASSERT_TRUE(by.ok()) << by.failure().message;
    EXPECT_TRUE(by->same_public(keys[i]));
  }
}

TEST(detached, verifies_only_what_was_signed) {
  const auto keys = all_keys();
  for (const auto& key : keys) {
    const auto jws = sign_detached(key, typ, as_bytes("content")).value();
    EXPECT_EQ(failed(verify_detached(jws, as_bytes("contents"), keys, typ)), "jws-signature");
    EXPECT_EQ(failed(verify_detached(jws, as_bytes("content"), keys, "other+jws")), "jws-type");
    EXPECT_EQ(failed(verify_detached(jws, as_bytes("content"), {}, typ)), "jws-kid");
    const std::vector<crypto::key> others{crypto::generate_p256().value()};
    EXPECT_EQ(failed(verify_detached(jws, as_bytes("content"), others, typ)), "jws-kid");
    for (std::size_t i = 0; i < jws.size(); i += 7) {
      auto changed = jws;
      changed[i] = changed[i] == 'A' ? 'B' : 'A';
      EXPECT_NE(failed(verify_detached(changed, as_bytes("content"), keys, typ)), "verified") << i;
    }
  }
}

TEST(detached, refuses_other_forms) {
  const std::vector<crypto::key> keys{crypto::generate_p256().value()};
  const auto jws = sign_detached(keys[0], typ, as_bytes("content")).value();
  const auto header = jws.substr(0, jws.find('.'));
  const auto signature = jws.substr(jws.rfind('.') + 1);
  const auto check = [&](const std::string& text) {
    return failed(verify_detached(text, as_bytes("content"), keys, typ));
  };
  EXPECT_EQ(check(header + "." + crypto::base64url(as_bytes("content")) + "." + signature),
            "jws-detached");
  EXPECT_EQ(check(header + "." + signature), "jws-form");
  EXPECT_EQ(check(header + "..!"), "jws-form");
  EXPECT_EQ(check(jws + std::string(20'000, 'A')), "jws-size");
  const auto with_header = [&](std::string text) {
    return crypto::base64url(as_bytes(text)) + ".." + signature;
  };
  auto text = header_of(jws);
  EXPECT_EQ(check(with_header(text)), "verified");
  const auto put = [&](const std::string& from, const std::string& to) {
    auto out = text;
    return with_header(out.replace(out.find(from), from.size(), to));
  };
  EXPECT_EQ(check(put("ES256", "none")), "jws-algorithm");
  EXPECT_EQ(check(put("ES256", "RS256")), "jws-algorithm");
  EXPECT_EQ(check(put("{", R"({"b64":false,)")), "jws-critical");
  EXPECT_EQ(check(put("{", R"({"jwk":{},)")), "jws-embedded-key");
  EXPECT_EQ(check(put("\"kid\"", "\"k\"")), "jws-kid");
  EXPECT_EQ(check(put("\"alg\"", "\"a\"")), "jws-algorithm");
  EXPECT_EQ(check(put("\"typ\"", "\"t\"")), "jws-type");
}

} // namespace
} // namespace custos::jose
