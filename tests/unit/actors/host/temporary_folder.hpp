#pragma once
// A folder of one test's own.

#include "adapters/crypto/crypto.hpp"

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace custos::host::test {

class temporary_folder {
public:
  temporary_folder()
      : path_(std::filesystem::temp_directory_path() /
              ("custos-host-" + crypto::hex(crypto::random_bytes(8)))) {
    std::filesystem::create_directories(path_);
  }
  temporary_folder(const temporary_folder&) = delete;
  temporary_folder& operator=(const temporary_folder&) = delete;
  ~temporary_folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::filesystem::path operator/(std::string_view name) const {
    return path_ / name;
  }
  [[nodiscard]] std::filesystem::path write(std::string_view name, std::string_view content) const {
    auto file = path_ / name;
    std::ofstream(file, std::ios::binary) << content;
    return file;
  }

private:
  std::filesystem::path path_;
};

} // namespace custos::host::test
