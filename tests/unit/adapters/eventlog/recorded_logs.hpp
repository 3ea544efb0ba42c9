#pragma once
// The recorded boot logs of tests/data/attestation, and what their sources say they replay to.

#include "adapters/crypto/crypto.hpp"
#include "adapters/eventlog/eventlog.hpp"
#include "tests/unit/test_data.hpp"

#include <boost/json.hpp>
#include <map>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

namespace custos::eventlog::test {

using custos::test::read_data;
using custos::test::read_text;

/// bank name -> PCR -> value in hex.
using expected_pcrs = std::map<std::string, std::map<std::uint32_t, std::string>>;

inline const std::string logs_dir = "attestation/eventlogs/";

/// With PCR values stated by the tests of the source repository.
inline const std::vector<std::string> independent_logs{"rhel8-uefi",
                                                       "ubuntu-1804-amd-sev",
                                                       "ubuntu-2104-no-dbx",
                                                       "glinux-alex",
                                                       "ubuntu-2104-no-secure-boot",
                                                       "debian-10",
                                                       "cos-85-amd-sev",
                                                       "cos-93-amd-sev",
                                                       "eventlogwithsp800155",
                                                       "go-attestation/option_rom_eventlog",
                                                       "confidential-gke-debug-251000_eventlog"};

/// With PCR values computed by tpm2-tools.
inline const std::vector<std::string> tool_logs{
    "tpm2-tools/event-sd-boot-fedora37", "tpm2-tools/event-postcode", "tpm2-tools/event-bootorder",
    "tpm2-tools/event-uefi-sha1-log",    "tpm2-tools/event-uefivar",  "tpm2-tools/event"};

inline const std::vector<std::string> plain_logs{
    "go-attestation/crypto_agile_eventlog", "go-attestation/short_no_action_eventlog",
    "keylime/binary_bios_measurements", "keylime/binary_bios_measurements-secureboot"};

inline std::vector<std::string> all_logs() {
  std::vector<std::string> out;
  for (const auto* part : {&independent_logs, &tool_logs, &plain_logs})
    for (const auto& name : *part)
      out.push_back(logs_dir + name + ".bin");
  out.emplace_back("attestation/quotes/gce-cos-85-nonce9009/eventlog.bin");
  return out;
}

inline expected_pcrs pcrs_of_json(const std::string& file) {
  expected_pcrs out;
  const auto document = boost::json::parse(read_text(file));
  for (const auto& [bank, values] : document.at("banks").as_object())
    for (const auto& [pcr, value] : values.as_object())
      out[std::string(bank)][static_cast<std::uint32_t>(std::stoul(std::string(pcr)))] =
          std::string(value.as_string());
  return out;
}

/// The `pcrs:` tail of tpm2_eventlog.
inline expected_pcrs pcrs_of_yaml(const std::string& file) {
  static const std::regex bank_line(R"(^  (sha\d+):$)");
  static const std::regex pcr_line(R"(^    (\d+)\s*: 0x([0-9a-f]+)$)");
  expected_pcrs out;
  std::istringstream in(read_text(file));
  std::string line;
  std::string bank;
  std::smatch match;
  while (std::getline(in, line)) {
    if (std::regex_match(line, match, bank_line))
      bank = match[1];
    else if (std::regex_match(line, match, pcr_line))
      out[bank][static_cast<std::uint32_t>(std::stoul(match[1]))] = match[2];
  }
  return out;
}

} // namespace custos::eventlog::test
