#include "adapters/crypto/crypto.hpp"

#include <gtest/gtest.h>
#include <utility>

namespace custos::crypto {
namespace {

TEST(encoding, base64_examples_of_rfc4648) {
  const std::pair<std::string_view, std::string_view> examples[] = {{"", ""},
                                                                    {"f", "Zg=="},
                                                                    {"fo", "Zm8="},
                                                                    {"foo", "Zm9v"},
                                                                    {"foob", "Zm9vYg=="},
                                                                    {"fooba", "Zm9vYmE="},
                                                                    {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, encoded] : examples) {
    EXPECT_EQ(base64(as_bytes(plain)), encoded);
    EXPECT_EQ(as_text(*from_base64(encoded)), plain);
    const auto unpadded = encoded.substr(0, encoded.find('='));
    EXPECT_EQ(base64url(as_bytes(plain)), unpadded);
    EXPECT_EQ(as_text(*from_base64url(unpadded)), plain);
  }
}

TEST(encoding, alphabets_differ_in_two_characters) {
  const bytes data{0xFB, 0xFF, 0xBF};
  EXPECT_EQ(base64(data), "+/+/");
  EXPECT_EQ(base64url(data), "-_-_");
  EXPECT_FALSE(from_base64("-_-_").ok());
  EXPECT_FALSE(from_base64url("+/+/").ok());
}

TEST(encoding, every_octet_comes_back) {
  bytes data;
  for (unsigned i = 0; i < 256; ++i) {
    data.push_back(static_cast<std::uint8_t>(i));
    EXPECT_EQ(*from_base64url(base64url(data)), data);
    EXPECT_EQ(*from_base64(base64(data)), data);
    EXPECT_EQ(*from_hex(hex(data)), data);
    std::string appended = "before ";
    append_base64url(appended, data);
    append_hex(appended, data);
    EXPECT_EQ(appended, "before " + base64url(data) + hex(data));
  }
}

TEST(encoding, base64url_is_strict) {
  for (const auto* const bad : {"A", "AAAAA", "Zg==", "Zg=", "Zm 9v", "Zm9v\n", " Zm9v", "Zm9v!",
                                "Zh",  // stray bits behind "f"
                                "Zm9", // stray bits behind "fo"
                                "Z\xC3\xA4m9"})
    EXPECT_EQ(from_base64url(bad).failure().code, errc::malformed) << bad;
  EXPECT_FALSE(from_base64url(std::string_view("Zm9\0", 4)).ok());
}

TEST(encoding, base64_is_strict) {
  for (const auto* const bad :
       {"Zg", "Zg=", "Zh==", "Zm9=", "====", "=", "Zg==Zg==", "Zm9v=", "Z===", "Zm9v\n", "Zm=v"})
    EXPECT_EQ(from_base64(bad).failure().code, errc::malformed) << bad;
}

TEST(encoding, hex_takes_both_cases) {
  EXPECT_EQ(hex(bytes{0xDE, 0xAD, 0x00}), "dead00");
  EXPECT_EQ(*from_hex("dEAd00"), (bytes{0xDE, 0xAD, 0x00}));
  for (const auto* const bad : {"a", "0g", "0x", "0 ", " 00"})
    EXPECT_EQ(from_hex(bad).failure().code, errc::malformed) << bad;
}

} // namespace
} // namespace custos::crypto
