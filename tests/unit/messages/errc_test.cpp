#include "messages/errc.hpp"

#include "messages/config_commands.hpp"

#include <array>
#include <gtest/gtest.h>
#include <set>
#include <string>

namespace custos {
namespace {

struct expected {
  errc code;
  unsigned number;       ///< stored in audit records
  std::string_view name; ///< part of the problem type URI
  unsigned status;
};

constexpr std::array<expected, 25> table{{
    {errc::invalid_argument, 1, "invalid-argument", 400},
    {errc::malformed, 2, "malformed", 400},
    {errc::too_large, 3, "too-large", 413},
    {errc::unsupported, 4, "unsupported", 422},
    {errc::unauthenticated, 5, "unauthenticated", 401},
    {errc::forbidden, 6, "forbidden", 403},
    {errc::not_found, 7, "not-found", 404},
    {errc::already_exists, 8, "already-exists", 409},
    {errc::revision_conflict, 9, "revision-conflict", 412},
    {errc::method_not_allowed, 10, "method-not-allowed", 405},
    {errc::unsupported_media_type, 11, "unsupported-media-type", 415},
    {errc::rate_limited, 12, "rate-limited", 429},
    {errc::overloaded, 13, "overloaded", 503},
    {errc::unavailable, 14, "unavailable", 503},
    {errc::timeout, 15, "timeout", 504},
    {errc::cancelled, 16, "cancelled", 503},
    {errc::attestation_failed, 17, "attestation-failed", 403},
    {errc::token_invalid, 18, "token-invalid", 401},
    {errc::crypto_failure, 19, "crypto-failure", 422},
    {errc::storage_failure, 20, "storage-failure", 500},
    {errc::corrupted, 21, "corrupted", 500},
    {errc::io_failure, 22, "io-failure", 502},
    {errc::tpm_failure, 23, "tpm-failure", 503},
    {errc::kmip_failure, 24, "kmip-failure", 502},
    {errc::internal, 25, "internal", 500},
}};

TEST(Errc, NumbersNamesAndStatusesStayWhatTheyAre) {
  ASSERT_EQ(table.size(), static_cast<std::size_t>(errc::internal)) << "append new codes here";
  for (const auto& e : table) {
    EXPECT_EQ(static_cast<unsigned>(e.code), e.number) << e.name;
    EXPECT_EQ(to_string(e.code), e.name);
    EXPECT_EQ(http_status_of(e.code), e.status) << e.name;
  }
}

TEST(Errc, WhatIsNoCodeIsADefect) {
  for (const unsigned number : {0U, 26U, 255U}) {
    const auto code = static_cast<errc>(number);
    EXPECT_EQ(to_string(code), "internal");
    EXPECT_EQ(http_status_of(code), 500U);
    EXPECT_FALSE(title_of(code).empty());
  }
}

TEST(Errc, EveryCodeHasItsOwnNameAndAnHttpError) {
  std::set<std::string_view> names;
  for (unsigned i = 1; i <= static_cast<unsigned>(errc::internal); ++i) {
    const auto code = static_cast<errc>(i);
    EXPECT_TRUE(names.insert(to_string(code)).second) << to_string(code);
    EXPECT_GE(http_status_of(code), 400U);
    EXPECT_LT(http_status_of(code), 600U);
    EXPECT_FALSE(title_of(code).empty());
  }
}

TEST(ObjectKind, NamesReadBack) {
  for (unsigned i = 1; i <= static_cast<unsigned>(last_object_kind); ++i) {
    const auto kind = static_cast<object_kind>(i);
    EXPECT_EQ(object_kind_of(to_string(kind)), kind);
  }
  EXPECT_EQ(object_kind_of("nonsense"), std::nullopt);
}

} // namespace
} // namespace custos
