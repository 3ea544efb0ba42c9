#pragma once
// Reads the KMIP test data: hexadecimal messages and tables with tabs.

#include "messages/bytes.hpp"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace custos::kmip::testing {

inline bytes unhex(std::string_view text) {
  const auto digit = [](char c) {
    return static_cast<unsigned>(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
  };
  bytes out;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2)
    out.push_back(static_cast<std::uint8_t>(digit(text[i]) << 4U | digit(text[i + 1])));
  return out;
}

inline std::string data_path(const std::string& name) {
  return std::string(CUSTOS_TEST_DATA "/kmip/").append(name);
}

/// Rows of a table without its heading.
inline std::vector<std::vector<std::string>> table(const std::string& name) {
  std::vector<std::vector<std::string>> rows;
  std::ifstream in(data_path(name));
  std::string line;
  std::getline(in, line);
  while (std::getline(in, line)) {
    std::vector<std::string> row;
    std::stringstream fields(line);
    for (std::string field; std::getline(fields, field, '\t');)
      row.push_back(field);
    rows.push_back(std::move(row));
  }
  return rows;
}

struct recorded {
  bool is_request = false;
  std::string label; ///< the comment before it
  bytes message;
};

/// Messages of a .ttlv file: "> request", "< response", "# comment".
inline std::vector<recorded> messages(const std::filesystem::path& file) {
  std::vector<recorded> out;
  std::ifstream in(file);
  std::string label;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("#"))
      label = line.substr(2);
    else if (line.size() > 2)
      out.push_back({line[0] == '>', label, unhex(std::string_view(line).substr(2))});
  }
  return out;
}

inline std::vector<std::filesystem::path> message_files(const std::string& folder) {
  std::vector<std::filesystem::path> out;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(data_path(folder)))
    if (entry.path().extension() == ".ttlv")
      out.push_back(entry.path());
  return out;
}

} // namespace custos::kmip::testing
