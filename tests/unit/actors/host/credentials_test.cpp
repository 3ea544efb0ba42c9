#include "actors/host/credentials.hpp"

#include <gtest/gtest.h>

namespace custos::host {

namespace {

using namespace std::string_literals;

TEST(credentials_test, reads_the_address_that_the_service_manager_binds) {
  // systemd.exec(5): "\0" + random + "/unit/" + unit + "/" + credential
  const auto name = credential_of_peer("\0adf9d86b6eda275e/unit/foobar.service/credx"s);
  ASSERT_TRUE(name.has_value());
  EXPECT_EQ(name->unit, "foobar.service");
  EXPECT_EQ(name->credential, "credx");
  const auto escaped = credential_of_peer("\0001/unit/dev-disk\\x2duuid@1.service/a_b.key"s);
  ASSERT_TRUE(escaped.has_value());
  EXPECT_EQ(escaped->unit, "dev-disk\\x2duuid@1.service");
  EXPECT_EQ(credential_file("/etc/custos/credentials", *escaped),
            "/etc/custos/credentials/dev-disk\\x2duuid@1.service/a_b.key.ckek");
}

TEST(credentials_test, takes_no_other_address) {
  for (const auto& address :
       {""s, "1/unit/a.service/key"s, "\0"s, "\0001/unit/"s, "\0001/unit/a.service"s,
        "\0001/unit/a.service/"s, "\0001/unit//key"s, "\0001/unit/a.service/b/c"s,
        "\0001/unit/../key"s, "\0001/unit/a.service/.."s, "\0001/unit/.a/key"s,
        "\0001/unit/a.service/ke\0y"s, "\0001/unit/a.service/k\ny"s, "\0001/user/a.service/key"s,
        "\0001/unit/a.service/"s + std::string(256, 'a')})
    EXPECT_FALSE(credential_of_peer(address).has_value()) << address;
}

} // namespace

} // namespace custos::host
