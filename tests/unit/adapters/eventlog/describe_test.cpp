#include "adapters/eventlog/device_path.hpp"
#include "adapters/eventlog/event_types.hpp"
#include "adapters/eventlog/writer.hpp"
#include "tests/unit/adapters/eventlog/recorded_logs.hpp"

#include <gtest/gtest.h>

namespace custos::eventlog {
namespace {

using namespace test;
namespace et = event_type;

/// EFI_GLOBAL_VARIABLE.
constexpr std::array<std::uint8_t, 16> global_guid{0x61, 0xDF, 0xE4, 0x8B, 0xCA, 0x93, 0xD2, 0x11,
                                                   0xAA, 0x0D, 0x00, 0xE0, 0x98, 0x03, 0x2B, 0x8C};

bytes ucs2(std::string_view text) {
  bytes out;
  for (const char c : text) {
    out.push_back(static_cast<std::uint8_t>(c));
    out.push_back(0);
  }
  return out;
}

std::string hint(std::uint32_t type, byte_view data) {
  event e;
  e.type = type;
  e.data = data;
  return describe(e);
}

TEST(Describe, TellsWhatPeopleLookFor) {
  EXPECT_EQ(
      hint(et::efi_variable_driver_config, make_uefi_variable(global_guid, "SecureBoot", bytes{1})),
      "SecureBoot (8be4df61-93ca-11d2-aa0d-00e098032b8c), 1 byte: 01");
  EXPECT_EQ(hint(et::separator, bytes(4, 0)), "00000000");
  EXPECT_EQ(hint(et::efi_action, as_bytes("Exit Boot Services Invocation")),
            "Exit Boot Services Invocation");
  EXPECT_EQ(hint(et::ipl, as_bytes(std::string_view("kernel_cmdline: quiet\0", 22))),
            "kernel_cmdline: quiet");
  EXPECT_EQ(hint(et::s_crtm_version, bytes{'1', 0, '.', 0, '0', 0, 0, 0}), "1.0");
  EXPECT_EQ(hint(et::efi_gpt_event, bytes(92, 0)), "GUID partition table, 92 bytes");
  EXPECT_EQ(hint(et::no_action, as_bytes(std::string_view("StartupLocality\0\3", 17))),
            "StartupLocality 3");
  EXPECT_EQ(hint(et::no_action, as_bytes(std::string_view("StartupLocality\0", 16))),
            "StartupLocality");
  EXPECT_EQ(hint(et::efi_hcrtm_event, as_bytes("HCRTM")), "HCRTM");
  EXPECT_EQ(hint(et::platform_config_flags, as_bytes("ACPI DATA")), "ACPI DATA");
  EXPECT_EQ(hint(et::platform_config_flags, bytes{0x01, 0x80, 0x00, 0xFF}), "4 bytes");
}

TEST(Describe, NamesBootOptionsAndCountsSignatures) {
  bytes option{1, 0, 0, 0, 4, 0};
  for (const char c : std::string("Fedora")) {
    option.push_back(static_cast<std::uint8_t>(c));
    option.push_back(0);
  }
  option.insert(option.end(), {0, 0, 0x7F, 0xFF, 4, 0});
  EXPECT_EQ(hint(et::efi_variable_boot2, make_uefi_variable(global_guid, "Boot0001", option)),
            "Boot0001 (8be4df61-93ca-11d2-aa0d-00e098032b8c), 24 bytes: Fedora");
  option.resize(9); // cut within its text
  EXPECT_EQ(hint(et::efi_variable_boot2, make_uefi_variable(global_guid, "Boot0001", option)),
            "Boot0001 (8be4df61-93ca-11d2-aa0d-00e098032b8c), 9 bytes: F");
  const auto db =
      make_signature_list(signature_kind::sha256, global_guid, std::vector<bytes>(3, bytes(32, 1)));
  EXPECT_EQ(hint(et::efi_variable_driver_config, make_uefi_variable(global_guid, "db", db)),
            "db (8be4df61-93ca-11d2-aa0d-00e098032b8c), 172 bytes: signatures 3");
}

TEST(Describe, TagsAreCutToTheirSize) {
  const auto tagged = [](std::uint8_t size, std::string_view text) {
    bytes out{0x2A, 0x58, 0xBC, 0xF5, size, 0, 0, 0};
    out.insert(out.end(), text.begin(), text.end());
    return hint(et::event_tag, out);
  };
  EXPECT_EQ(tagged(6, "loader"), "tag 0xf5bc582a: loader");
  EXPECT_EQ(tagged(4, "loader"), "tag 0xf5bc582a: load");
  EXPECT_EQ(tagged(200, "loader"), "tag 0xf5bc582a: loader");
  EXPECT_EQ(tagged(3, "\x01\x02\x03"), "tag 0xf5bc582a: 3 bytes");
}

bytes node(std::uint8_t type, std::uint8_t subtype, const bytes& body) {
  const auto size = body.size() + 4;
  bytes out{type, subtype, static_cast<std::uint8_t>(size), static_cast<std::uint8_t>(size >> 8)};
  out.insert(out.end(), body.begin(), body.end());
  return out;
}

TEST(DevicePath, NamesTheNodesThatTellSomething) {
  const std::vector<std::pair<bytes, std::string>> known{
      {node(2, 1, {0xD0, 0x41, 0x03, 0x0A, 0, 0, 0, 0}), "PciRoot(0x0)"},
      {node(1, 1, {2, 0x1F}), "Pci(0x1f,0x2)"},
      {node(3, 23, {1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}), "NVMe(0x1)"},
      {node(3, 18, {2, 0, 0xFF, 0xFF, 0, 0}), "Sata(0x2)"},
      {node(3, 2, {1, 0, 3, 0}), "Scsi(0x1,0x3)"},
      {node(3, 5, {4, 0}), "USB(0x4,0x0)"},
      {node(3, 24, to_bytes(std::string_view("http://boot/x.efi"))), "Uri(http://boot/x.efi)"},
      {node(3, 12, {10, 0, 0, 1, 10, 0, 0, 2, 0, 0, 0, 0}), "IPv4(10.0.0.2)"},
      {node(4, 4, ucs2("\\EFI\\BOOT")), "\\EFI\\BOOT"},
      {node(4, 1, {5, 0, 0, 0}), "HD(5)"},
      {node(5, 9, {}), "Path(5,9)"}};
  bytes whole;
  std::string text;
  for (const auto& [octets, name] : known) {
    EXPECT_EQ(device_path_text(octets), name);
    // Cut anywhere: no more than it has.
    for (std::size_t size = 0; size < octets.size(); ++size)
      EXPECT_EQ(device_path_text(byte_view(octets).first(size)), "") << name << " " << size;
    whole.insert(whole.end(), octets.begin(), octets.end());
    text += (text.empty() ? "" : "/") + name;
  }
  whole.insert(whole.end(), {0x7F, 0xFF, 4, 0, 1, 1});
  EXPECT_EQ(device_path_text(whole), text);
}

TEST(DevicePath, IsBounded) {
  bytes path;
  for (int i = 0; i < 1000; ++i)
    for (const auto octet : node(4, 4, ucs2("long")))
      path.push_back(octet);
  EXPECT_LE(device_path_text(path).size(), device_path_chars_max);
  const auto one = node(4, 4, bytes(60000, 'x'));
  EXPECT_LE(device_path_text(one).size(), device_path_chars_max);
  const bytes empty_nodes(4096, 0); // of no length: they would never end
  EXPECT_EQ(device_path_text(empty_nodes), "");
}

TEST(DevicePath, TakesAnyNode) {
  for (std::uint32_t type = 0; type < 0x100; ++type)
    for (std::uint32_t subtype = 0; subtype < 32; ++subtype)
      for (const std::size_t size : {0U, 1U, 2U, 4U, 6U, 8U, 12U, 16U, 33U, 38U, 60U})
        EXPECT_FALSE(device_path_text(node(static_cast<std::uint8_t>(type),
                                           static_cast<std::uint8_t>(subtype), bytes(size, 0x41)))
                         .empty() &&
                     type != 0x7F)
            << type << " " << subtype << " " << size;
}

TEST(Describe, NamesTheBootLoaderOfARecordedLog) {
  const auto log = read_data(logs_dir + "ubuntu-2104-no-secure-boot.bin");
  const auto parsed = parse(log);
  ASSERT_TRUE(parsed);
  bool found = false;
  for (const auto& e : parsed->events)
    found = found || (e.type == et::efi_boot_services_application &&
                      describe(e).find("\\EFI\\") != std::string::npos);
  EXPECT_TRUE(found);
}

TEST(Describe, CannotSteerATerminalOrForgeALogLine) {
  EXPECT_EQ(hint(et::ipl, as_bytes("a\x1b[2J\r\nb\x7f")), "a\\x1b[2J\\x0d\\x0ab\\x7f");
  EXPECT_LE(hint(et::ipl, bytes(10000, 'x')).size(), hint_chars_max);
  EXPECT_LE(hint(et::ipl, bytes(10000, 0x01)).size(), hint_chars_max);
}

TEST(Describe, EveryTypeTakesAnyData) {
  for (std::uint32_t low = 0; low <= 0xE4; ++low)
    for (const std::uint32_t type : {low, 0x80000000U | low})
      for (const std::size_t size : {0U, 1U, 3U, 4U, 7U, 8U, 15U, 16U, 31U, 32U, 33U, 64U})
        for (const auto fill : bytes{0x00, 0x04, 0x41, 0xFF})
          EXPECT_LE(hint(type, bytes(size, fill)).size(), hint_chars_max);
}

TEST(Describe, EveryEventOfEveryRecordedLogIsOneLineOfText) {
  for (const auto& file : all_logs()) {
    const auto log = read_data(file);
    const auto parsed = parse(log);
    ASSERT_TRUE(parsed);
    for (const auto& e : parsed->events)
      for (const char c : describe(e))
        ASSERT_TRUE(c >= 0x20 && c <= 0x7E) << file << " event " << e.index;
  }
}

} // namespace
} // namespace custos::eventlog
