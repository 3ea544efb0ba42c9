#include "messages/errc.hpp"

#include "messages/config_commands.hpp"

#include <gtest/gtest.h>
#include <set>
#include <string>

namespace custos {
namespace {

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
  for (unsigned i = 1; i <= static_cast<unsigned>(object_kind::host); ++i) {
    const auto kind = static_cast<object_kind>(i);
    EXPECT_EQ(object_kind_of(to_string(kind)), kind);
  }
  EXPECT_EQ(object_kind_of("nonsense"), std::nullopt);
}

} // namespace
} // namespace custos
