// Stored endorsement keys are read without OpenSSL: what comes out must be what OpenSSL would say.

#include "cluster/config_state.hpp"
#include "tests/unit/cluster/test_certificates.hpp"

#include <gtest/gtest.h>

namespace custos::cluster {

namespace {

config_command put_key(const std::string& name, const std::string& document) {
  config_command out;
  out.kind = object_kind::endorsement_key;
  out.name = name;
  out.document = document;
  return out;
}

std::string certificate_document(const crypto::key& subject) {
  crypto::certificate_request request;
  request.common_name = "EK";
  request.not_after = test::now;
  const auto issuer = crypto::generate_p256().value();
  const auto cert = crypto::issue_certificate(request, subject, issuer, nullptr).value();
  return "{\"certificate\":" + test::json_text(cert.pem()) + "}";
}

result<config_state> loaded(const config_state& from, const std::string& name,
                            const std::string& document) {
  config_state_loader loader;
  for (const auto& object : from.all(object_kind::settings))
    CUSTOS_CHECK(loader.add_object(object_kind::settings, object->name, object->document));
  CUSTOS_CHECK(loader.add_object(object_kind::endorsement_key, name, document));
  return loader.finish(head_of(from));
}

void expect_same_after_loading(const std::string& document) {
  config_state state;
  state.commit(state.plan(put_key("ek", document)).value());
  const auto* const judged = state.find(object_kind::endorsement_key, "ek");
  const auto again = loaded(state, "ek", judged->document);
  ASSERT_TRUE(again.ok()) << again.failure().message;
  const auto& a = std::get<endorsement_key>(judged->value);
  const auto& b = std::get<endorsement_key>(again->find(object_kind::endorsement_key, "ek")->value);
  EXPECT_EQ(a.name, b.name);
  EXPECT_EQ(a.spki_sha256, b.spki_sha256);
  EXPECT_EQ(a.certificate, b.certificate);
  EXPECT_EQ(a.public_key, b.public_key);
}

} // namespace

TEST(config_loader, reads_keys_as_they_were_judged) {
  for (const auto& key : {crypto::generate_p256().value(), crypto::generate_p384().value(),
                          crypto::generate_rsa(2048).value(), crypto::generate_rsa(3072).value()}) {
    expect_same_after_loading(certificate_document(key));
    expect_same_after_loading("{\"public_key\":" + test::json_text(key.public_pem()) + "}");
  }
  expect_same_after_loading(R"({"spki_sha256":")" + std::string(64, 'a') + "\"}");
}

TEST(config_loader, refuses_any_other_form_of_a_key) {
  const auto document = certificate_document(crypto::generate_p256().value());
  config_state state;
  state.commit(state.plan(put_key("ek", document)).value());
  const auto& canonical = state.find(object_kind::endorsement_key, "ek")->document;
  ASSERT_EQ(canonical, document);
  for (std::size_t i = 0; i < canonical.size(); ++i) {
    auto other = canonical;
    other.erase(i, 1);
    EXPECT_FALSE(loaded(state, "ek", other).ok()) << i;
    other = canonical;
    other.insert(i, 1, '\\');
    EXPECT_FALSE(loaded(state, "ek", other).ok()) << i;
  }
  // The same certificate with other line ends, or with space before it.
  const auto line = canonical.find("\\n", 60);
  auto joined = canonical;
  joined.erase(line, 2);
  EXPECT_FALSE(loaded(state, "ek", joined).ok());
  auto split = canonical;
  split.insert(line - 8, "\\n");
  EXPECT_FALSE(loaded(state, "ek", split).ok());
  EXPECT_FALSE(loaded(state, "ek", " " + canonical).ok());
  EXPECT_FALSE(loaded(state, "../ek", canonical).ok());
}

TEST(config_loader, takes_no_text_for_a_key_that_is_none) {
  // Strict Base64 of octets that are no certificate: OpenSSL has the last word.
  const config_state state;
  const auto read =
      loaded(state, "ek",
             R"({"certificate":"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"})");
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.failure().code, errc::corrupted);
}

} // namespace custos::cluster
