// Key providers as documents: native ones, and the members that came after the first version.

#include "cluster/config_codec.hpp"
#include "cluster/data_key_rotation.hpp"
#include "cluster/sealing.hpp"
#include "tests/unit/cluster/backup/samples.hpp"
#include "tests/unit/cluster/test_certificates.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace custos::cluster {

namespace {

using test::json_text;
using testing::ElementsAre;

const std::string key_a(32, 'a');
const std::string key_b(32, 'b');
const std::string sealed_key = crypto::base64url(bytes(65, 2));
const std::string sealed_other = crypto::base64url(bytes(34, 2));

const std::string native = R"({"access":{"hosts":[],"images":[]},"primary_key_id":")" + key_a +
                           R"(","primary_keys":[{"backed_up":true,"created":7,"id":")" + key_a +
                           R"(","sealed_key":")" + sealed_key + R"("},{"created":8,"id":")" +
                           key_b + R"(","sealed_key":")" + sealed_key + R"("}],"type":"native"})";

const std::string least = R"({"servers":[{"name":"a","host":"h"}]})";

std::string with(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

/// The smallest provider on key servers, with one member more.
std::string with_member(const std::string& member) {
  return with(least, "{\"servers\"", "{" + member + ",\"servers\"");
}

key_provider read(const std::string& document) {
  auto out = read_object(object_kind::key_provider, "x", document);
  EXPECT_TRUE(out.ok()) << (out.ok() ? "" : out.failure().field + ": " + out.failure().message);
  return out.ok() ? std::get<key_provider>(*out) : key_provider{};
}

std::string rewritten(const std::string& document) {
  return write_object(read(document));
}

void expect_refused(const std::string& document, const std::string& field,
                    errc code = errc::invalid_argument) {
  const auto out = read_object(object_kind::key_provider, "x", document);
  ASSERT_FALSE(out.ok()) << document;
  EXPECT_EQ(out.failure().field, field) << document << " -> " << out.failure().message;
  EXPECT_EQ(out.failure().code, code) << document << " -> " << out.failure().message;
  EXPECT_NE(out.failure().message.find("expected"), std::string::npos) << out.failure().message;
}

} // namespace

TEST(provider_documents, native) {
  const auto p = read(native);
  EXPECT_EQ(p.type, provider_type::native);
  EXPECT_EQ(p.mode, primary_key_mode::local);
  EXPECT_EQ(p.primary_key_id, key_a);
  EXPECT_TRUE(p.servers.empty());
  ASSERT_EQ(p.primary_keys.size(), 2U);
  EXPECT_EQ(p.primary_keys[0].id, key_a);
  EXPECT_EQ(p.primary_keys[0].key.sealed, bytes(65, 2));
  EXPECT_EQ(p.primary_keys[0].created, 7);
  EXPECT_TRUE(p.primary_keys[0].backed_up);
  EXPECT_FALSE(p.primary_keys[1].backed_up);
  EXPECT_EQ(rewritten(native), native);
  EXPECT_EQ(rewritten(with(native, "{\"access\"", R"({"mode":"local","access")")), native);
}

TEST(provider_documents, native_refusals) {
  for (const auto* member :
       {R"("servers":[])", R"("client_certificate":"")", R"("sealed_client_private_key":"")",
        R"("next_client_certificate":"")", R"("sealed_next_client_private_key":"")",
        R"("trusted_peer_certificates":[])", R"("username":"")", R"("sealed_password":"")",
        R"("timeout_ms":5000)", R"("legacy_ciphers":false)", R"("cache":{})"}) {
    const std::string text(member);
    expect_refused(with(native, "{\"access\"", "{" + text + ",\"access\""),
                   "/" + text.substr(1, text.find('"', 1) - 1));
  }
  expect_refused(R"({"type":"native"})", "/primary_keys");
  expect_refused(R"({"type":"native","primary_keys":[],"primary_key_id":""})", "/primary_keys");
  expect_refused(with(native, "\"native\"", "\"soft\""), "/type");
  expect_refused(with(native, "{\"access\"", R"({"mode":"remote","access")"), "/mode");
  expect_refused(with(native, R"("primary_key_id":")" + key_a, R"("primary_key_id":")"),
                 "/primary_key_id");
  expect_refused(with(native, R"("id":")" + key_b, R"("id":")" + key_a), "/primary_keys/1/id");
  expect_refused(with(native, R"("id":")" + key_b, R"("id":"B)" + key_b.substr(1)),
                 "/primary_keys/1/id");
  expect_refused(with(native, R"("id":")" + key_b, R"("id":")" + key_b.substr(1)),
                 "/primary_keys/1/id");
  expect_refused(with(native, sealed_key, sealed_other), "/primary_keys/0/sealed_key");
  expect_refused(with(native, sealed_key, crypto::base64url(bytes(65, 1))),
                 "/primary_keys/0/sealed_key");
  expect_refused(with(native, R"(,"sealed_key":")" + sealed_key + "\"", ""),
                 "/primary_keys/0/sealed_key");
  expect_refused(with(native, R"("created":7)", R"("created":0)"), "/primary_keys/0/created");
  expect_refused(with(native, "true", "1"), "/primary_keys/0/backed_up");
  expect_refused(with(native, R"("created":7)", R"("created":7,"x":1)"), "/primary_keys/0/x");
  std::string many;
  for (std::size_t i = 0; i <= native_keys_max; ++i)
    many += i == 0 ? "{}" : ",{}";
  expect_refused(R"({"type":"native","primary_keys":[)" + many + "]}", "/primary_keys",
                 errc::too_large);
  expect_refused(with_member(R"("primary_keys":[])"), "/primary_keys");
}

TEST(provider_documents, of_older_versions_stay_canonical) {
  const std::string old =
      R"({"access":{"hosts":[],"images":[]},"legacy_ciphers":false,"mode":"auto",)"
      R"("primary_key_id":"","servers":[{"host":"h","name":"a","port":5696}],"timeout_ms":5000})";
  EXPECT_EQ(rewritten(least), old);
  EXPECT_EQ(rewritten(old), old);
  EXPECT_EQ(rewritten(with_member(R"("type":"kmip","limits":{},"cache":{},"rotation":{})")), old);
}

TEST(provider_documents, limits_and_cache_policy) {
  const auto p = read(with_member(R"("limits":{"burst":100000,"calls_per_second":1},
                                     "cache":{"grace_s":0,"primary_key_age_s":86400})"));
  EXPECT_EQ(p.limits.calls_per_second, 1U);
  EXPECT_EQ(p.limits.burst, 100000U);
  EXPECT_EQ(p.cache.grace_s, 0U);
  EXPECT_EQ(p.cache.primary_key_age_s, 86400U);
  const auto written = write_object(p);
  EXPECT_NE(written.find(R"("cache":{"grace_s":0,"primary_key_age_s":86400})"), std::string::npos);
  EXPECT_NE(written.find(R"("limits":{"burst":100000,"calls_per_second":1})"), std::string::npos);
  EXPECT_EQ(rewritten(written), written);
  EXPECT_FALSE(read(least).limits.burst.has_value());
  EXPECT_FALSE(read(least).cache.grace_s.has_value());

  expect_refused(with_member(R"("limits":[])"), "/limits");
  expect_refused(with_member(R"("limits":{"calls":1})"), "/limits/calls");
  expect_refused(with_member(R"("limits":{"calls_per_second":0})"), "/limits/calls_per_second");
  expect_refused(with_member(R"("limits":{"calls_per_second":10001})"), "/limits/calls_per_second");
  expect_refused(with_member(R"("limits":{"burst":0})"), "/limits/burst");
  expect_refused(with_member(R"("limits":{"burst":100001})"), "/limits/burst");
  expect_refused(with_member(R"("cache":{"primary_key_age_s":-1})"), "/cache/primary_key_age_s");
  expect_refused(with_member(R"("cache":{"primary_key_age_s":86401})"), "/cache/primary_key_age_s");
  expect_refused(with_member(R"("cache":{"grace_s":604801})"), "/cache/grace_s");
  expect_refused(with_member(R"("cache":{"uses":1})"), "/cache/uses");
}

TEST(provider_documents, rotation) {
  const auto p = read(with_member(R"("rotation":{"interval_days":90,"key":"k","since":9})"));
  EXPECT_EQ(p.rotation.interval_days, 90U);
  EXPECT_EQ(p.rotation.key, "k");
  EXPECT_EQ(p.rotation.since, 9);
  EXPECT_EQ(rewritten(write_object(p)), write_object(p));
  EXPECT_NE(write_object(p).find(R"("rotation":{"interval_days":90,"key":"k","since":9})"),
            std::string::npos);
  expect_refused(with_member(R"("rotation":{"interval_days":-1})"), "/rotation/interval_days");
  expect_refused(with_member(R"("rotation":{"interval_days":3651})"), "/rotation/interval_days");
  expect_refused(with_member(R"("rotation":{"key":"k"})"), "/rotation/since");
  expect_refused(with_member(R"("rotation":{"since":9})"), "/rotation/since");
  expect_refused(with_member(R"("rotation":{"weeks":9})"), "/rotation/weeks");
}

TEST(provider_documents, access_by_pattern_and_claim) {
  const auto p = read(with_member(
      R"("access":{"host_patterns":["web-*","*"],"claims":{"secure_boot":["true"],
         "image_version":["12.7","12.8"],"ima":["true"],"status":["affirming"]}})"));
  EXPECT_THAT(p.access.host_patterns, ElementsAre("web-*", "*"));
  EXPECT_THAT(p.access.claims.at("image_version"), ElementsAre("12.7", "12.8"));
  EXPECT_EQ(p.access.claims.size(), 4U);
  EXPECT_EQ(rewritten(write_object(p)), write_object(p));

  expect_refused(with_member(R"("access":{"host_patterns":["web"]})"), "/access/host_patterns/0");
  expect_refused(with_member(R"("access":{"host_patterns":["w/*"]})"), "/access/host_patterns/0");
  expect_refused(with_member(R"("access":{"host_patterns":["*","*"]})"), "/access/host_patterns/1");
  expect_refused(with_member(R"("access":{"claims":[]})"), "/access/claims");
  expect_refused(with_member(R"("access":{"claims":{"colour":["red"]}})"), "/access/claims/colour");
  expect_refused(with_member(R"("access":{"claims":{"status":[]}})"), "/access/claims/status");
  expect_refused(with_member(R"("access":{"claims":{"status":["good"]}})"),
                 "/access/claims/status/0");
  expect_refused(with_member(R"("access":{"claims":{"secure_boot":["true","true"]}})"),
                 "/access/claims/secure_boot/1");
  expect_refused(with_member(R"("access":{"claims":{"image_version":[""]}})"),
                 "/access/claims/image_version/0");
}

TEST(provider_documents, a_certificate_that_follows_another) {
  const auto cert = json_text(test::self_signed("client", false).cert.pem());
  const auto next = json_text(test::self_signed("next", false).cert.pem());
  const auto first =
      R"("client_certificate":)" + cert + R"(,"sealed_client_private_key":")" + sealed_other + "\"";
  const auto both = first + R"(,"next_client_certificate":)" + next +
                    R"(,"sealed_next_client_private_key":")" + sealed_other + "\"";
  const auto p = read(with_member(both));
  EXPECT_NE(p.next_client_certificate, p.client_certificate);
  EXPECT_EQ(p.next_client_private_key.sealed, bytes(34, 2));
  EXPECT_EQ(rewritten(write_object(p)), write_object(p));
  const auto requested =
      read(with_member(first + R"(,"sealed_next_client_private_key":")" + sealed_other + "\""));
  EXPECT_TRUE(requested.next_client_certificate.empty()) << "a signing request is on its way";

  expect_refused(with_member(first + R"(,"next_client_certificate":)" + next),
                 "/sealed_next_client_private_key");
  expect_refused(with_member(R"("sealed_next_client_private_key":")" + sealed_other + "\""),
                 "/client_certificate");
  expect_refused(with_member(first + R"(,"next_client_certificate":"x")"),
                 "/next_client_certificate");
}

// ---- where the secrets of a provider go
// -----------------------------------------------------------

namespace {

key_provider native_provider(const sealer& seals) {
  key_provider p;
  p.name = "n";
  p.type = provider_type::native;
  p.mode = primary_key_mode::local;
  p.primary_key_id = key_a;
  p.primary_keys = {{key_a, seals.seal(bytes(32, 1), primary_key_use("n", key_a)).value(), 7, true},
                    {key_b, seals.seal(bytes(32, 2), primary_key_use("n", key_b)).value(), 8}};
  return p;
}

} // namespace

TEST(native_provider_secrets, are_sealed_again_under_another_data_key) {
  const sealer before(first_data_key_ring());
  const auto p = native_provider(before);
  auto ring = before.ring();
  const auto more = first_data_key_ring();
  ring.keys.push_back(more.keys.front());
  ring.current = more.current;
  const sealer after(ring);
  config_snapshot present;
  present.key_providers["n"] = p;
  EXPECT_THAT(data_keys_in_use(present), ElementsAre(before.current()));
  const auto again = resealed(config_object(p), after);
  ASSERT_TRUE(again.ok() && *again);
  const auto& q = std::get<key_provider>(**again);
  ASSERT_EQ(q.primary_keys.size(), 2U);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(data_key_of(q.primary_keys[i].key.sealed), after.current()) << i;
    const auto opened =
        after.open(q.primary_keys[i].key, primary_key_use("n", q.primary_keys[i].id));
    ASSERT_TRUE(opened.ok()) << opened.failure().message;
    EXPECT_EQ(to_bytes(opened->reveal_secret()), bytes(32, static_cast<std::uint8_t>(i + 1)));
  }
  EXPECT_FALSE(after.open(q.primary_keys[0].key, primary_key_use("n", key_b)).ok())
      << "a key opens as the one it is only";
}

TEST(native_provider_secrets, are_in_a_backup_that_opens_them) {
  backup::test::sample_cluster cluster;
  const sealer seals(cluster.ring);
  auto p = native_provider(seals);
  backup::test::put(cluster.state, object_kind::key_provider, "n", p);
  EXPECT_TRUE(backup::holds_sealed_values(config_object(p)));
  const auto reader = crypto::generate_p256().value();
  const auto file = cluster.file({reader});
  const auto content = backup::test::read_all(as_bytes(file), reader);
  ASSERT_TRUE(content.ok()) << content.failure().message;
  const auto* const found = content->state.find(object_kind::key_provider, "n");
  ASSERT_NE(found, nullptr);
  const auto& held = std::get<key_provider>(found->value).primary_keys.front();
  EXPECT_TRUE(sealer(content->data_keys).open(held.key, primary_key_use("n", held.id)).ok());

  p.primary_keys[1].key =
      sealer(first_data_key_ring()).seal(bytes(32, 2), primary_key_use("n", key_b)).value();
  backup::test::put(cluster.state, object_kind::key_provider, "n", p);
  const auto unusable =
      backup::back_up_cluster(cluster.keys, seals, cluster.state, {reader}, test::now);
  ASSERT_FALSE(unusable.ok()) << "it is not even made";
  EXPECT_EQ(unusable.failure().code, errc::corrupted);
}

} // namespace custos::cluster
