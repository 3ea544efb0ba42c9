#include "actors/host/services.hpp"

#include "adapters/crypto/x509.hpp"

#include <boost/json.hpp>
#include <gtest/gtest.h>

namespace custos::host {

namespace {

namespace bj = boost::json;

constexpr std::int64_t now = 1'800'000'000;
constexpr std::int64_t day_s = 86'400;

std::string some_ca() {
  static const std::string pem = [] {
    const auto key = crypto::generate_p256().value();
    crypto::certificate_request r;
    r.common_name = "ca";
    r.is_ca = true;
    r.not_before = now - 60;
    r.not_after = now + 3600;
    return crypto::issue_certificate(r, key, key, nullptr).value().pem();
  }();
  return pem;
}

host_services some_services() {
  return {{"https://n1.example:443", "https://[2001:db8::1]:8443"},
          {"https://n2.example"},
          some_ca(),
          7};
}

/// The document with one member replaced or, without a value, removed.
std::string changed(const char* name, std::optional<bj::value> v) {
  auto o = bj::parse(services_document(some_services())).as_object();
  if (v)
    o[name] = *std::move(v);
  else
    o.erase(name);
  return bj::serialize(o);
}

/// A store whose disk is gone.
class broken_store final : public rocksdb::kv_store {
public:
  result<std::optional<bytes>> get(std::string_view) const override { return failure(); }
  result<std::vector<rocksdb::kv_entry>> scan(std::string_view) const override { return failure(); }
  result<void> write(const rocksdb::write_batch&, rocksdb::durability) override {
    return failure();
  }

private:
  static error failure() { return make_error(errc::storage_failure, "the disk is gone"); }
};

} // namespace

TEST(host_services_document, reads_back) {
  const auto sent = some_services();
  const auto read = read_services(services_document(sent));
  ASSERT_TRUE(read.ok()) << read.failure().field << read.failure().message;
  EXPECT_EQ(read->attestation, sent.attestation);
  EXPECT_EQ(read->keys, sent.keys);
  EXPECT_EQ(read->trusted_ca, sent.trusted_ca);
  EXPECT_EQ(read->revision, 7U);
}

TEST(host_services_document, has_one_form) {
  const auto document = services_document(some_services());
  auto o = bj::parse(document).as_object();
  bj::object reversed;
  for (const auto* name : {"trusted_ca", "revision", "keys", "attestation"})
    reversed[name] = o[name];
  const auto read = read_services("  " + bj::serialize(reversed) + "\n");
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(services_document(*read), document);
  EXPECT_EQ(services_fingerprint(*read), services_fingerprint(some_services()));
  EXPECT_EQ(services_fingerprint(*read).size(), 64U);
}

TEST(host_services_document, has_another_fingerprint_for_every_other_content) {
  const auto before = services_fingerprint(some_services());
  auto s = some_services();
  s.revision = 8;
  EXPECT_NE(services_fingerprint(s), before);
  s = some_services();
  s.keys.push_back(s.attestation.back());
  s.attestation.pop_back();
  EXPECT_NE(services_fingerprint(s), before);
  s = some_services();
  s.trusted_ca += s.trusted_ca;
  EXPECT_NE(services_fingerprint(s), before);
}

TEST(host_services_document, may_leave_one_family_out) {
  auto s = some_services();
  s.keys.clear();
  EXPECT_TRUE(read_services(services_document(s)).ok());
  s = some_services();
  s.attestation.clear();
  EXPECT_TRUE(read_services(services_document(s)).ok());
}

TEST(host_services_document, names_the_field_that_is_wrong) {
  struct bad {
    std::string document, field;
    errc code = errc::invalid_argument;
  };
  const auto urls = [](const char* url) {
    return changed("attestation", bj::array{"https://n1", url});
  };
  bj::array many;
  for (int i = 0; i < 65; ++i)
    many.emplace_back("https://n" + std::to_string(i));
  std::string cut = some_ca();
  cut.resize(cut.size() / 2);
  std::string spoiled = some_ca();
  spoiled[spoiled.size() / 2] = '!';
  const std::string key_pem = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
  for (const auto& c : std::vector<bad>{
           {changed("attestation", std::nullopt), "/attestation"},
           {changed("keys", std::nullopt), "/keys"},
           {changed("keys", bj::object{}), "/keys"},
           {changed("keys", bj::array{7}), "/keys/0"},
           {changed("keys", many), "/keys", errc::too_large},
           {urls("http://n2"), "/attestation/1"},
           {urls("n2:443"), "/attestation/1"},
           {urls("https://"), "/attestation/1"},
           {urls("https://n2/path"), "/attestation/1"},
           {urls("https://n2:0"), "/attestation/1"},
           {urls("https://n2:65536"), "/attestation/1"},
           {urls("https://n2:443x"), "/attestation/1"},
           {urls("https://n 2"), "/attestation/1"},
           {urls("https://user@n2"), "/attestation/1"},
           {urls("https://n2\r\nHost: other"), "/attestation/1"},
           {urls("https://[2001:db8::1"), "/attestation/1"},
           {changed("trusted_ca", std::nullopt), "/trusted_ca"},
           {changed("trusted_ca", ""), "/trusted_ca"},
           {changed("trusted_ca", "certificate"), "/trusted_ca"},
           {changed("trusted_ca", bj::string(cut)), "/trusted_ca"},
           {changed("trusted_ca", bj::string(spoiled)), "/trusted_ca"},
           {changed("trusted_ca", bj::string(some_ca() + cut)), "/trusted_ca"},
           {changed("trusted_ca", bj::string(key_pem)), "/trusted_ca"},
           {changed("trusted_ca", bj::string(std::string(257U << 10U, 'A'))), "/trusted_ca"},
           {changed("trusted_ca", bj::array{}), "/trusted_ca"},
           {changed("revision", std::nullopt), "/revision"},
           {changed("revision", -1), "/revision"},
           {changed("revision", 1.5), "/revision"},
           {changed("revision", "7"), "/revision"},
           {changed("revision", UINT64_MAX), "/revision"},
           {changed("proxy", "x"), "/proxy"},
       }) {
    const auto read = read_services(c.document);
    ASSERT_FALSE(read.ok()) << c.document.substr(0, 200);
    EXPECT_EQ(read.failure().field, c.field) << read.failure().message;
    EXPECT_EQ(read.failure().code, c.code) << c.field << read.failure().message;
    EXPECT_FALSE(read.failure().message.empty());
  }
}

TEST(host_services_document, is_refused_when_it_is_cut_or_huge) {
  const auto good = services_document(some_services());
  for (std::size_t n = 0; n < good.size(); n += 7)
    EXPECT_EQ(read_services(std::string_view(good).substr(0, n)).failure().code, errc::malformed);
  EXPECT_EQ(read_services(good + std::string(513U << 10U, ' ')).failure().code, errc::too_large);
}

TEST(host_services_store, keeps_what_was_applied_until_it_is_cleared) {
  const auto store = rocksdb::make_memory_store();
  EXPECT_FALSE(load_services(*store).value().has_value()) << "a host begins unconfigured";
  ASSERT_TRUE(save_services(*store, some_services()).ok());
  auto next = some_services();
  next.revision = 8;
  ASSERT_TRUE(save_services(*store, next).ok());
  const auto loaded = load_services(*store);
  ASSERT_TRUE(loaded.ok() && loaded->has_value());
  EXPECT_EQ(services_fingerprint(**loaded), services_fingerprint(next));
  ASSERT_TRUE(erase_services(*store).ok());
  EXPECT_FALSE(load_services(*store).value().has_value());
  EXPECT_TRUE(erase_services(*store).ok()) << "clearing twice is clearing";
}

TEST(host_services_store, says_when_what_it_kept_is_damaged) {
  const auto store = rocksdb::make_memory_store();
  for (const auto* damaged : {"", "{", "[]", "{\"attestation\":[]}"}) {
    rocksdb::write_batch batch;
    batch.put("services", std::string_view(damaged));
    ASSERT_TRUE(store->write(batch).ok());
    const auto loaded = load_services(*store);
    ASSERT_FALSE(loaded.ok()) << damaged;
    EXPECT_EQ(loaded.failure().code, errc::corrupted);
  }
}

TEST(host_services_store, passes_the_failure_of_the_disk_on) {
  broken_store store;
  EXPECT_EQ(load_services(store).failure().code, errc::storage_failure);
  EXPECT_EQ(save_services(store, some_services()).failure().code, errc::storage_failure);
  EXPECT_EQ(erase_services(store).failure().code, errc::storage_failure);
}

TEST(refresh, comes_well_before_the_token_ends_and_not_for_all_hosts_at_once) {
  const std::int64_t life = 8 * 3600;
  EXPECT_EQ(refresh_at(now, now + life, 0), now + life * 3 / 4);
  std::int64_t previous = now + life;
  for (unsigned jitter = 0; jitter < 256; ++jitter) {
    const auto at = refresh_at(now, now + life, static_cast<std::uint8_t>(jitter));
    EXPECT_LE(at, now + life * 3 / 4);
    EXPECT_GE(at, now + life * 3 / 4 - life / 10);
    EXPECT_LE(at, previous);
    previous = at;
  }
  EXPECT_LT(previous, now + life * 3 / 4 - life / 11);
}

TEST(refresh, is_never_now_and_never_in_the_past) {
  for (const auto expires : {now - day_s, now - 1, now, now + 1, now + 2, std::int64_t{0}})
    for (const std::uint8_t jitter : {std::uint8_t{0}, std::uint8_t{255}})
      EXPECT_GT(refresh_at(now, expires, jitter), now) << expires;
}

TEST(refresh, does_not_believe_in_tokens_that_live_for_ever) {
  for (const auto expires : {INT64_MAX, INT64_MAX / 3, now + 400 * day_s})
    for (const std::uint8_t jitter : {std::uint8_t{0}, std::uint8_t{255}}) {
      const auto at = refresh_at(now, expires, jitter);
      EXPECT_GT(at, now) << expires;
      EXPECT_LE(at, now + 30 * day_s) << expires;
    }
}

TEST(back_off, doubles_up_to_five_minutes) {
  const std::vector<std::uint32_t> waits{1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300};
  for (std::uint32_t i = 0; i < waits.size(); ++i)
    EXPECT_EQ(back_off_s(i + 1, 0), waits[i]) << i + 1;
  EXPECT_EQ(back_off_s(0, 0), 1U);
  EXPECT_EQ(back_off_s(UINT32_MAX, 0), 300U);
}

TEST(back_off, is_spread_over_half_of_the_wait) {
  for (std::uint32_t failures = 1; failures < 40; ++failures) {
    const auto full = back_off_s(failures, 0);
    for (unsigned jitter = 0; jitter < 256; ++jitter) {
      const auto wait = back_off_s(failures, static_cast<std::uint8_t>(jitter));
      EXPECT_GE(wait, 1U);
      EXPECT_LE(wait, full);
      EXPECT_GE(wait, full / 2);
    }
  }
  EXPECT_LE(back_off_s(20, 255), 152U);
}

} // namespace custos::host
