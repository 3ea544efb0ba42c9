// custos kmip decode, through the program's own entry.

#include "adapters/kmip/ttlv.hpp"
#include "runtime/cli/session.hpp"
#include "runtime/exit_codes.hpp"
#include "tests/unit/adapters/kmip/vectors.hpp"

#include <boost/json.hpp>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iostream>
#include <sstream>
#include <unistd.h>

namespace custos::cli {
namespace {

namespace bj = boost::json;

const std::string data = std::string(CUSTOS_TEST_DATA) + "/kmip/";

class kmip_decode_test : public ::testing::Test {
protected:
  kmip_decode_test()
      : folder_(std::filesystem::temp_directory_path() /
                ("custos-decode-" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(folder_);
  }
  ~kmip_decode_test() override {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  int decode(std::vector<std::string> arguments) {
    std::vector<const char*> argv{"custos", "kmip", "decode"};
    for (const auto& a : arguments)
      argv.push_back(a.c_str());
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    const int code = run(static_cast<int>(argv.size()), argv.data());
    written = ::testing::internal::GetCapturedStdout();
    complained = ::testing::internal::GetCapturedStderr();
    return code;
  }
  std::string file(const std::string& name, byte_view content) {
    std::ofstream(folder_ / name, std::ios::binary) << as_text(content);
    return folder_ / name;
  }

  std::string written;
  std::string complained;

private:
  std::filesystem::path folder_;
};

bytes malformed(const std::string& name) {
  for (const auto& row : kmip::testing::table("malformed/malformed.tsv"))
    if (row.at(0) == name)
      return kmip::testing::unhex(row.at(3));
  ADD_FAILURE() << name;
  return {};
}

TEST_F(kmip_decode_test, shows_a_tree_with_names_and_no_key) {
  const auto get = file("get.bin", malformed("good-get"));
  ASSERT_EQ(decode({get}), runtime::exit_ok) << complained;
  EXPECT_EQ(written.rfind("# message 1, offset 0\nResponse Message (Structure)\n", 0), 0U);
  EXPECT_NE(written.find("    Operation (Enumeration): Get (0x0000000A)\n"), std::string::npos);
  EXPECT_NE(written.find("Key Material (Byte String): not shown, 32 bytes\n"), std::string::npos);
  ASSERT_EQ(decode({get, "--show-secrets"}), runtime::exit_ok);
  EXPECT_EQ(written.find("not shown"), std::string::npos);
}

TEST_F(kmip_decode_test, writes_the_requests_of_a_vcenter_again) {
  const auto requests = data + "vsphere-7.0.3-client/requests.ttlv";
  ASSERT_EQ(decode({requests, "--reencode"}), runtime::exit_ok) << complained;
  std::string expected;
  std::ifstream in(requests);
  for (std::string line; std::getline(in, line);)
    if (line.size() > 2 && line[0] != '#')
      expected += line.substr(2) + "\n";
  EXPECT_EQ(written, expected);
}

TEST_F(kmip_decode_test, gives_json_for_programs) {
  ASSERT_EQ(decode({data + "pykmip-0.10.0-capture/kmip-2.0.ttlv", "--json"}), runtime::exit_ok);
  const auto answer = bj::parse(written);
  const auto& first = answer.as_array().at(0);
  EXPECT_EQ(first.at("mark"), ">");
  EXPECT_EQ(first.at("line"), 2);
  EXPECT_EQ(first.at("message").at("tag"), "Request Message");
}

TEST_F(kmip_decode_test, reads_standard_input) {
  const auto octets = malformed("good-get");
  std::istringstream input(std::string(as_text(octets)));
  auto* const before = std::cin.rdbuf(input.rdbuf());
  const int code = decode({"-"});
  std::cin.rdbuf(before);
  std::cin.clear();
  EXPECT_EQ(code, runtime::exit_ok) << complained;
  EXPECT_NE(written.find("Response Message"), std::string::npos);
}

TEST_F(kmip_decode_test, names_the_first_wrong_octet) {
  EXPECT_EQ(decode({file("wrong.bin", malformed("enum-len-3"))}), runtime::exit_bad_data);
  EXPECT_NE(complained.find("wrong.bin: offset 116: "), std::string::npos) << complained;
  EXPECT_NE(complained.find("expected length 4 for Enumeration, found 3"), std::string::npos);
  EXPECT_TRUE(written.empty());
  EXPECT_EQ(decode({file("text", as_bytes("> 42zz"))}), runtime::exit_bad_data);
  EXPECT_NE(complained.find("line 1, column 5"), std::string::npos) << complained;
  EXPECT_EQ(decode({file("empty", {})}), runtime::exit_bad_data);
  EXPECT_EQ(decode({"/no/such/file"}), runtime::exit_no_input);
  EXPECT_EQ(decode({}), runtime::exit_usage);
}

TEST_F(kmip_decode_test, every_framing_error_of_the_table_is_found) {
  for (const auto& row : kmip::testing::table("malformed/malformed.tsv")) {
    const auto octets = kmip::testing::unhex(row.at(3));
    // What is wrong only as an answer is a message all the same.
    const bool readable =
        kmip::parse_ttlv(octets, {kmip::message_bytes_max, kmip::items_max, kmip::depth_max}).ok();
    EXPECT_EQ(decode({file("row", octets)}), readable ? runtime::exit_ok : runtime::exit_bad_data)
        << row.at(0);
  }
}

} // namespace
} // namespace custos::cli
