#include "actors/host/enrolment.hpp"

#include "adapters/crypto/x509.hpp"

#include <gtest/gtest.h>

namespace custos::host {

namespace {

constexpr std::int64_t now = 1'800'000'000;

bytes certificate(std::int64_t life_s) {
  const auto key = crypto::generate_p256().value();
  crypto::certificate_request r;
  r.common_name = "host-7";
  r.not_before = now;
  r.not_after = now + life_s;
  return crypto::issue_certificate(r, key, key, nullptr).value().der();
}

} // namespace

TEST(enrolment, is_kept_and_found_again) {
  auto store = rocksdb::make_memory_store();
  EXPECT_FALSE(load_enrolment(*store));
  const auto made =
      read_enrolment(certificate(86'400), bytes(34, 7), authority_of("PEM", "host-7")).value();
  EXPECT_EQ(made.not_before, now);
  EXPECT_EQ(made.not_after, now + 86'400);
  ASSERT_TRUE(save_enrolment(*store, made).ok());
  const auto found = load_enrolment(*store);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->certificate, made.certificate);
  EXPECT_EQ(found->ak_name, made.ak_name);
  EXPECT_EQ(found->authority, made.authority);
  EXPECT_EQ(found->not_after, made.not_after);
  ASSERT_TRUE(erase_enrolment(*store).ok());
  EXPECT_FALSE(load_enrolment(*store));
}

TEST(enrolment, that_does_not_read_is_none) {
  auto store = rocksdb::make_memory_store();
  const auto good =
      read_enrolment(certificate(86'400), bytes(34, 7), authority_of("PEM", "host-7")).value();
  ASSERT_TRUE(save_enrolment(*store, good).ok());
  const auto text = std::string(as_text(**store->get("enrolment")));
  for (std::size_t n = 0; n < text.size(); n += 13) {
    rocksdb::write_batch batch;
    batch.put("enrolment", std::string_view(text).substr(0, n));
    ASSERT_TRUE(store->write(batch).ok());
    EXPECT_FALSE(load_enrolment(*store)) << n;
  }
  EXPECT_EQ(read_enrolment(bytes{4, 2}, {}, "").failure().code, errc::malformed);
}

TEST(enrolment, belongs_to_one_authority_and_one_host) {
  EXPECT_EQ(authority_of("a", "h"), authority_of("a", "h"));
  EXPECT_NE(authority_of("a", "h"), authority_of("b", "h"));
  EXPECT_NE(authority_of("a", "h"), authority_of("a", "g"));
}

TEST(enrolment, is_renewed_well_before_its_end_and_not_by_all_at_once) {
  const auto e = read_enrolment(certificate(1000), {}, "").value();
  EXPECT_EQ(renew_at(e, 0), now + 750);
  EXPECT_LT(renew_at(e, 255), now + 700);
  EXPECT_GT(renew_at(e, 255), now + 600);
}

} // namespace custos::host
