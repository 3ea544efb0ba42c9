#pragma once
// Reads files below tests/data. A missing file fails the test that asked for it.

#include "messages/bytes.hpp"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <string>

namespace custos::test {

inline std::filesystem::path data_path(const std::string& relative) {
  return std::filesystem::path(CUSTOS_TEST_DATA) / relative;
}

inline bytes read_data(const std::string& relative) {
  std::ifstream in(data_path(relative), std::ios::binary);
  EXPECT_TRUE(in.good()) << relative;
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

inline std::string read_text(const std::string& relative) {
  const auto content = read_data(relative);
  return std::string(as_text(content));
}

} // namespace custos::test
