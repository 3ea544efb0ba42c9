#include "adapters/ima/signature.hpp"
#include "tests/unit/adapters/ima/lists.hpp"

#include <gtest/gtest.h>

namespace custos::ima {
namespace {

using namespace test;
using crypto::hash_alg;

/// Three files, a violation, a buffer, an old entry.
void run_a_while(kernel& k) {
  k.boot_aggregate(bytes(32, 7));
  k.file("/usr/bin/a", as_bytes("a"));
  k.extend(k.log.add_violation("/var/log/x", hash_alg::sha256));
  k.extend(k.log.add_buf("kexec-cmdline", hash_alg::sha256, as_bytes("quiet")));
  k.extend(k.log.add_ima("/old", bytes(20, 9)));
  k.file("/usr/bin/b", as_bytes("b"));
}

std::optional<std::size_t> replayed(byte_view log, hash_alg alg, byte_view value,
                                    extend_form form = extend_form::native) {
  const auto parsed = parse(log);
  EXPECT_TRUE(parsed);
  std::vector<aggregate> aggregates{{.alg = alg, .form = form}};
  const std::array<goal, 1> goals{{{.alg = alg, .value = value}}};
  const auto reached = replay_until(*parsed, goals, aggregates);
  EXPECT_TRUE(reached) << reached.failure().message;
  return *reached;
}

TEST(ImaReplay, LeadsToPcr10InEveryBankFromBothForms) {
  for (const auto bank : {hash_alg::sha1, hash_alg::sha256, hash_alg::sha384, hash_alg::sha512}) {
    kernel k(bank);
    run_a_while(k);
    EXPECT_EQ(replayed(k.log.binary(), bank, k.value()), 6U) << crypto::to_string(bank);
    EXPECT_EQ(replayed(as_bytes(k.log.ascii()), bank, k.value()), 6U);
  }
}

// Kernels before 5.8 put the SHA-1 hash and zeros into every bank.
TEST(ImaReplay, PaddedBanksOfOldKernels) {
  kernel k(hash_alg::sha256, true);
  run_a_while(k);
  EXPECT_EQ(replayed(k.log.binary(), hash_alg::sha256, k.value()), std::nullopt);
  EXPECT_EQ(replayed(k.log.binary(), hash_alg::sha256, k.value(), extend_form::padded_sha1), 6U);
}

TEST(ImaReplay, FindsTheEntryThatTheQuoteSaw) {
  kernel k;
  run_a_while(k);
  const auto quoted = k.value();
  k.file("/usr/bin/later", as_bytes("later"));
  EXPECT_EQ(replayed(k.log.binary(), hash_alg::sha256, quoted), 6U);
  EXPECT_EQ(replayed(k.log.binary(), hash_alg::sha256, bytes(32, 0)), 0U);
  EXPECT_EQ(replayed(k.log.binary(), hash_alg::sha256, bytes(32, 1)), std::nullopt);
}

TEST(ImaReplay, AllBanksMustBeReachedAtOnce) {
  kernel k;
  kernel other(hash_alg::sha384);
  k.boot_aggregate(bytes(32, 7));
  other.boot_aggregate(bytes(32, 7));
  const auto early = other.value();
  k.file("/a", as_bytes("a"));
  other.file("/a", as_bytes("a"));
  const auto parsed = parse(k.log.binary());
  ASSERT_TRUE(parsed);
  for (const bool together : {true, false}) {
    std::vector<aggregate> aggregates{{.alg = hash_alg::sha256},
                                      {.alg = hash_alg::sha256, .form = extend_form::padded_sha1},
                                      {.alg = hash_alg::sha384}};
    const std::array<goal, 2> goals{
        {{.alg = hash_alg::sha256, .value = k.value()},
         {.alg = hash_alg::sha384, .value = together ? other.value() : early}}};
    const auto reached = replay_until(*parsed, goals, aggregates);
    ASSERT_TRUE(reached);
    EXPECT_EQ(reached->has_value(), together);
    // The form that a bank does not have is dropped once that is known.
    EXPECT_EQ(aggregates.size(), together ? 2U : 3U);
  }
}

TEST(ImaReplay, GoesOnFromARememberedValue) {
  kernel k;
  run_a_while(k);
  const auto first = k.log.binary().size();
  std::vector<aggregate> aggregates{{.alg = hash_alg::sha256}};
  const auto before = k.value();
  const std::array<goal, 1> goal_before{{{.alg = hash_alg::sha256, .value = before}}};
  ASSERT_EQ(*replay_until(*parse(k.log.binary()), goal_before, aggregates), 6U);
  k.file("/c", as_bytes("c"));
  const auto rest = parse(byte_view(k.log.binary()).subspan(first), {}, 6);
  const std::array<goal, 1> goal_after{{{.alg = hash_alg::sha256, .value = k.value()}}};
  EXPECT_EQ(*replay_until(*rest, goal_after, aggregates), 1U);
}

TEST(ImaReplay, AWrongTemplateHashIsAnErrorThatNamesTheEntry) {
  kernel k;
  run_a_while(k);
  auto log = k.log.binary();
  const auto whole = parse(log);
  ASSERT_TRUE(whole);
  log[whole->entries[5].offset + 4] ^= 1;
  const auto parsed = parse(log);
  ASSERT_TRUE(parsed);
  std::vector<aggregate> aggregates{{.alg = hash_alg::sha256}};
  const std::array<goal, 1> goals{{{.alg = hash_alg::sha256, .value = k.value()}}};
  const auto reached = replay_until(*parsed, goals, aggregates);
  ASSERT_FALSE(reached);
  EXPECT_EQ(reached.failure().event, 5U);
  EXPECT_NE(reached.failure().message.find("/usr/bin/b"), std::string::npos);
}

TEST(ImaSignature, ReadsWhatTheWriterMakes) {
  for (const auto alg : {hash_alg::sha1, hash_alg::sha256, hash_alg::sha384, hash_alg::sha512}) {
    const auto xattr = make_signature(alg, 0xA1B2C3D4, bytes(256, 5));
    const auto parsed = parse_signature(xattr);
    ASSERT_TRUE(parsed) << parsed.failure().message;
    EXPECT_EQ(parsed->alg, alg);
    EXPECT_EQ(parsed->key_id, 0xA1B2C3D4U);
    EXPECT_EQ(parsed->octets.size(), 256U);
    for (std::size_t n = 0; n < xattr.size(); ++n)
      EXPECT_FALSE(parse_signature(byte_view(xattr).first(n))) << n;
  }
}

TEST(ImaSignature, OtherKindsAreRefusedByName) {
  const auto changed = [](std::size_t at, std::uint8_t value) {
    auto xattr = make_signature(hash_alg::sha256, 1, bytes(64, 5));
    xattr.at(at) = value;
    return parse_signature(xattr);
  };
  for (const auto& r : {changed(0, 6), changed(1, 3)}) {
    ASSERT_FALSE(r);
    EXPECT_EQ(r.failure().code, errc::unsupported);
    EXPECT_NE(r.failure().message.find("version 3"), std::string::npos);
  }
  EXPECT_NE(changed(0, 5).failure().message.find("EVM"), std::string::npos);
  EXPECT_EQ(changed(0, 1).failure().code, errc::unsupported);
  EXPECT_EQ(changed(1, 1).failure().code, errc::unsupported);
  EXPECT_EQ(changed(2, 1).failure().code, errc::unsupported); // MD5
  EXPECT_EQ(changed(7, 0xFF).failure().code, errc::malformed);
  EXPECT_EQ(changed(8, 0).failure().code, errc::malformed);
}

// The id is the end of the subject key identifier, as OpenSSL puts it into certificates.
TEST(ImaSignature, KeyIdIsTheEndOfTheKeysIdentifier) {
  const auto key = crypto::generate_p256();
  ASSERT_TRUE(key);
  const auto point = crypto::ec_point_of(*key);
  ASSERT_TRUE(point);
  const std::array<std::uint8_t, 1> uncompressed{4};
  const auto sha1 = crypto::digest(hash_alg::sha1, {uncompressed, point->x, point->y});
  std::uint32_t expected = 0;
  for (std::size_t i = 16; i < 20; ++i)
    expected = expected << 8 | sha1[i];
  EXPECT_EQ(key_id_of(*key), expected);
}

} // namespace
} // namespace custos::ima
