#include "actors/attestation/secure_boot.hpp"

#include "tests/unit/actors/attestation/log_surgery.hpp"
#include "tests/unit/actors/attestation/pcr7_steps.hpp"
#include "tests/unit/adapters/eventlog/recorded_logs.hpp"

#include <gtest/gtest.h>
#include <set>

namespace custos::attestation {
namespace {

using namespace test;
using crypto::hash_alg;
namespace et = eventlog::event_type;

bytes id(byte_view data) {
  const auto digest = crypto::sha256(data);
  return {digest.begin(), digest.end()};
}

class SecureBoot : public testing::Test {
protected:
  pcr7_steps pcr7;
  secure_boot_demand enabled;

  static result<secure_boot_facts> read(const bytes& log, hash_alg bank = hash_alg::sha256) {
    const auto parsed = must(eventlog::parse(log));
    return read_secure_boot(parsed, bank);
  }
  secure_boot_facts facts() const {
    auto out = read(pcr7.log());
    EXPECT_TRUE(out) << out.failure().message;
    return out ? *out : secure_boot_facts{};
  }
  static void about_pcr7(const error& e, const std::string& why) {
    EXPECT_EQ(e.code, errc::attestation_failed);
    EXPECT_EQ(e.check, "secure-boot") << e.message;
    EXPECT_EQ(e.pcr, 7U);
    EXPECT_NE(e.message.find(why), std::string::npos) << e.message;
  }
  /// The log is no log of a firmware in order.
  void refused(const std::string& why, std::optional<std::uint32_t> event) const {
    const auto out = read(pcr7.log());
    ASSERT_FALSE(out) << "expected: " << why;
    about_pcr7(out.failure(), why);
    EXPECT_EQ(out.failure().event, event) << out.failure().message;
  }
  void refused(const std::string& why, const std::string& step) const {
    refused(why, pcr7.index(step));
  }
  /// It is in order, and not what is demanded.
  void unfit(const secure_boot_demand& demand, const std::string& why,
             const std::string& step) const {
    const auto out = check_secure_boot(demand, facts());
    ASSERT_FALSE(out) << "expected: " << why;
    about_pcr7(out.failure(), why);
    EXPECT_EQ(out.failure().event, pcr7.index(step)) << out.failure().message;
  }
  void fits(const secure_boot_demand& demand) const {
    const auto out = check_secure_boot(demand, facts());
    EXPECT_TRUE(out) << out.failure().message;
  }
};

// ---- recorded logs ------------------------------------------------------------------------------

TEST_F(SecureBoot, EveryRecordedMachineIsReadInEveryBank) {
  const std::set<std::string> on{"rhel8-uefi",
                                 "debian-10",
                                 "cos-85-amd-sev",
                                 "cos-93-amd-sev",
                                 "eventlogwithsp800155",
                                 "confidential-gke-debug-251000_eventlog",
                                 "go-attestation/option_rom_eventlog",
                                 "tpm2-tools/event-postcode",
                                 "keylime/binary_bios_measurements-secureboot"};
  const std::set<std::string> off{"ubuntu-1804-amd-sev",
                                  "ubuntu-2104-no-dbx",
                                  "ubuntu-2104-no-secure-boot",
                                  "glinux-alex",
                                  "go-attestation/crypto_agile_eventlog",
                                  "keylime/binary_bios_measurements",
                                  "tpm2-tools/event-bootorder",
                                  "tpm2-tools/event-sd-boot-fedora37",
                                  "tpm2-tools/event-uefi-sha1-log"};
  for (const auto* names : {&on, &off})
    for (const auto& name : *names) {
      const auto log = recorded("eventlogs/" + name + ".bin");
      for (const auto bank : must(eventlog::parse(log)).known_banks()) {
        const auto found = read(log, bank);
        ASSERT_TRUE(found) << name << ": " << found.failure().message;
        EXPECT_EQ(found->enabled, names == &on) << name;
        EXPECT_EQ(check_secure_boot({}, *found).ok(), names == &on) << name;
        secure_boot_demand disabled;
        disabled.enabled = false;
        EXPECT_EQ(check_secure_boot(disabled, *found).ok(), names == &off) << name;
      }
    }
}

TEST_F(SecureBoot, LogsWithoutTheStateOfSecureBootAreRefused) {
  for (const std::string name : {"tpm2-tools/event-uefivar", "tpm2-tools/event"}) {
    const auto log = recorded("eventlogs/" + name + ".bin");
    const auto found = read(log);
    ASSERT_FALSE(found) << name;
    about_pcr7(found.failure(), "no separator");
  }
}

TEST_F(SecureBoot, ARecordedMachineSaysWhoVouchedForWhat) {
  const auto found =
      must(read(recorded("eventlogs/keylime/binary_bios_measurements-secureboot.bin")));
  ASSERT_EQ(found.authorities.size(), 3U);
  EXPECT_EQ(found.authorities[0].origin, authority_origin::db);
  EXPECT_EQ(found.authorities[0].variable, "db");
  EXPECT_EQ(found.authorities[0].event, 27U);
  EXPECT_FALSE(found.authorities[0].before_separator);
  // Fedora's and RHEL's shim are signed by Microsoft's CA for others' loaders.
  const auto microsoft = recorded("secureboot/MicCorUEFCA2011_2011-06-27.crt");
  EXPECT_EQ(found.authorities[0].id, crypto::sha256(microsoft));
  EXPECT_EQ(found.authorities[1].origin, authority_origin::setting);
  EXPECT_EQ(found.authorities[1].variable, "SbatLevel");
  EXPECT_EQ(found.authorities[2].origin, authority_origin::shim);
  EXPECT_EQ(found.authorities[2].variable, "vendor_db");
  EXPECT_EQ(found.db_entries.size(), 4U);
  EXPECT_EQ(found.dbx_entries.size(), 371U);
  EXPECT_FALSE(found.dma_protection_disabled);

  enabled.authorities = {id(microsoft)};
  auto verdict = check_secure_boot(enabled, found);
  ASSERT_FALSE(verdict);
  EXPECT_EQ(verdict.failure().event, 34U);
  enabled.authorities.push_back({found.authorities[2].id.begin(), found.authorities[2].id.end()});
  EXPECT_TRUE(check_secure_boot(enabled, found));
}

// keylime#1725: variables of shim and MOK among the events of PCR 7 (and 14).
TEST_F(SecureBoot, Keylime1725VariablesOfShimAreRead) {
  for (const std::string name : {"eventlogwithsp800155", "confidential-gke-debug-251000_eventlog",
                                 "keylime/binary_bios_measurements-secureboot"}) {
    const auto log = recorded("eventlogs/" + name + ".bin");
    const auto found = must(read(log));
    EXPECT_TRUE(check_secure_boot({}, found)) << name;
    EXPECT_TRUE(std::any_of(found.authorities.begin(), found.authorities.end(), [](const auto& a) {
      return a.origin == authority_origin::setting && a.variable == "SbatLevel";
    })) << name;
  }
}

TEST_F(SecureBoot, OldShimLogsMoreThanItMeasures) {
  for (const std::string name : {"cos-85-amd-sev", "cos-93-amd-sev", "debian-10"}) {
    const auto log = recorded("eventlogs/" + name + ".bin");
    const auto parsed = must(eventlog::parse(log));
    const auto bank = parsed.known_banks().back();
    EXPECT_TRUE(read_secure_boot(parsed, bank)) << name;
    const auto strict = read_secure_boot(parsed, bank, {});
    ASSERT_FALSE(strict) << name;
    EXPECT_EQ(strict.failure().check, "event-data");
  }
}

TEST_F(SecureBoot, BootHoleADbxThatDoesNotForbidItsSigners) {
  // rhel8's dbx forbids the certificates of BootHole; that of the physical server does not.
  secure_boot_demand demand;
  for (const std::string name :
       {"canonical-boothole.crt", "cisco-boothole.crt", "debian-boothole.crt"})
    demand.revoked.push_back(id(recorded("secureboot/" + name)));
  EXPECT_TRUE(check_secure_boot(demand, must(read(recorded("eventlogs/rhel8-uefi.bin")))));
  const auto postcode = must(read(recorded("eventlogs/tpm2-tools/event-postcode.bin")));
  const auto verdict = check_secure_boot(demand, postcode);
  ASSERT_FALSE(verdict);
  about_pcr7(verdict.failure(), crypto::hex(demand.revoked.front()));
  EXPECT_EQ(verdict.failure().event, 7U); // dbx
}

// ---- the machine --------------------------------------------------------------------------------

TEST_F(SecureBoot, AFirmwareInOrder) {
  const auto found = facts();
  EXPECT_TRUE(found.enabled);
  EXPECT_EQ(found.setup_mode, std::nullopt);
  EXPECT_EQ(found.pk, crypto::sha256(list_of(certificate("owner"))));
  EXPECT_EQ(found.kek, crypto::sha256(list_of(certificate("vendor"))));
  EXPECT_EQ(found.db, crypto::sha256(list_of(certificate("loaders"))));
  EXPECT_EQ(found.dbx, crypto::sha256(list_of(bytes(32, 0xBB))));
  ASSERT_EQ(found.authorities.size(), 1U);
  EXPECT_EQ(found.authorities[0].id, crypto::sha256(certificate("loaders")));
  EXPECT_EQ(found.secure_boot_event, 1U);
  EXPECT_EQ(found.dbx_event, 5U);
  fits(enabled);
}

TEST_F(SecureBoot, EachVariableIsMeasured) {
  for (const std::string name : {"SecureBoot", "PK", "KEK", "db", "dbx"}) {
    pcr7 = {};
    pcr7.erase(name);
    refused("the variable " + name + " was not measured", std::nullopt);
  }
}

TEST_F(SecureBoot, EachVariableIsMeasuredOnce) {
  for (const std::string name : {"SecureBoot", "PK", "KEK", "db", "dbx"}) {
    pcr7 = {};
    auto again = pcr7.at(name);
    again.name = "again";
    pcr7.steps().insert(pcr7.steps().begin() + 5, again);
    refused("a second time", "again");
  }
}

TEST_F(SecureBoot, VariablesLieBeforeTheSeparator) {
  for (const std::string name : {"SecureBoot", "PK", "KEK", "db", "dbx"}) {
    pcr7 = {};
    pcr7.move_before(name, "loader");
    refused("behind the separator", name);
  }
  pcr7 = {};
  pcr7.variable("Of the maker's own", maker, {1});
  refused("behind the separator", "Of the maker's own");
}

TEST_F(SecureBoot, VariablesOfOthersAreTolerated) {
  pcr7.variable("Of the maker's own", maker, {1});
  pcr7.move_before("Of the maker's own", "separator");
  fits(enabled);
}

TEST_F(SecureBoot, AReservedNameOfAnotherVendor) {
  pcr7.set("SecureBoot", maker, {1});
  refused("another vendor", "SecureBoot");
  pcr7 = {};
  pcr7.set("db", global_variable, list_of(certificate("loaders")));
  refused("another vendor", "db");
}

TEST_F(SecureBoot, TheStateIsOneOctet) {
  pcr7.set("SecureBoot", global_variable, {0});
  EXPECT_FALSE(facts().enabled);
  pcr7.set("SecureBoot", global_variable, {});
  EXPECT_FALSE(facts().enabled) << "a firmware that knows no Secure Boot";
  unfit(enabled, "expected enabled", "SecureBoot");
  for (const auto& value : {bytes{2}, bytes{0xFF}, bytes{1, 0}, bytes{0, 1}, bytes{1, 0, 0, 0}}) {
    pcr7.set("SecureBoot", global_variable, value);
    refused("expected 00 or 01", "SecureBoot");
  }
}

TEST_F(SecureBoot, TheOtherStateThanDemanded) {
  secure_boot_demand disabled;
  disabled.enabled = false;
  unfit(disabled, "expected disabled", "SecureBoot");
  pcr7.set("SecureBoot", global_variable, {0});
  fits(disabled);
  unfit(enabled, "expected enabled, found disabled", "SecureBoot");
}

TEST_F(SecureBoot, ModesAreReadWhereTheyAreLogged) {
  for (const std::string name : {"SetupMode", "AuditMode", "DeployedMode"}) {
    pcr7 = {};
    pcr7.variable(name, global_variable, {1});
    pcr7.move_before(name, "separator");
    if (name == "DeployedMode") {
      EXPECT_EQ(facts().deployed_mode, true);
      fits(enabled);
    } else {
      unfit(enabled, name == "SetupMode" ? "setup mode" : "audit mode", "SecureBoot");
    }
    pcr7.set(name, global_variable, {0});
    fits(enabled);
    pcr7.set(name, global_variable, {});
    refused("expected 00 or 01", name);
  }
}

TEST_F(SecureBoot, EnabledNeedsKeys) {
  for (const std::string name : {"PK", "KEK", "db"}) {
    pcr7 = {};
    const auto& vendor = name == "db" ? image_security : global_variable;
    pcr7.set(name, vendor, {});
    refused("enabled, but " + name + " is empty", name);
    pcr7.set("SecureBoot", global_variable, {0});
    EXPECT_FALSE(facts().enabled);
  }
  pcr7 = {};
  pcr7.set("dbx", image_security, {});
  fits(enabled);
}

TEST_F(SecureBoot, VariablesAreSignatureLists) {
  for (const std::string name : {"PK", "KEK", "db", "dbx"}) {
    pcr7 = {};
    pcr7.set(name, name.front() == 'd' ? image_security : global_variable, bytes(20, 1));
    refused(name + ": signature list at offset 0", name);
  }
}

TEST_F(SecureBoot, ExactlyOneSeparatorThatSaysSuccess) {
  pcr7.erase("separator");
  refused("no separator", std::nullopt);
  pcr7 = {};
  pcr7.add("again", et::separator, bytes(4, 0));
  refused("a second separator", "again");
  for (const auto& value : {bytes{1, 0, 0, 0}, bytes{0, 0, 0, 1}, bytes(4, 0xFF)}) {
    pcr7 = {};
    pcr7.at("separator").measured = value;
    pcr7.at("separator").data = to_bytes(std::string_view("memory test failed"));
    refused("error separator", "separator");
    pcr7.at("separator").data = value;
    refused("error separator", "separator");
  }
  for (const auto& value :
       {bytes{}, bytes(3, 0), bytes(8, 0), bytes{2, 0, 0, 0}, to_bytes(std::string_view("WBCL"))}) {
    pcr7 = {};
    pcr7.at("separator").data = pcr7.at("separator").measured = value;
    refused("over something else", "separator");
  }
}

TEST_F(SecureBoot, DebugModeIsRefused) {
  for (const std::string_view text :
       {std::string_view("UEFI Debug Mode"), std::string_view("UEFI Debug Mode\0", 16)}) {
    pcr7 = {};
    pcr7.add("debug", et::efi_action, to_bytes(text));
    refused("debug mode", "debug");
    pcr7.move_before("debug", "SecureBoot");
    refused("debug mode", "debug");
  }
}

TEST_F(SecureBoot, DmaProtectionThatIsOffIsNoted) {
  EXPECT_FALSE(facts().dma_protection_disabled);
  pcr7.add("dma", et::efi_action, to_bytes(std::string_view("DMA Protection Disabled")));
  EXPECT_TRUE(facts().dma_protection_disabled);
  fits(enabled);
}

TEST_F(SecureBoot, ActionsThatDoNotBelongThere) {
  pcr7.add("action", et::efi_action, to_bytes(std::string_view("Exit Boot Services Invocation")));
  refused("does not belong into PCR 7", "action");
}

TEST_F(SecureBoot, TypesThatDoNotBelongThere) {
  for (const std::uint32_t type : {et::ipl, et::event_tag, et::action, et::efi_variable_boot,
                                   et::efi_boot_services_application, et::nonhost_code,
                                   std::uint32_t{0x800000FF}, std::uint32_t{0x42}}) {
    pcr7 = {};
    pcr7.add("strange", type, bytes(4, 1));
    refused("does not belong into PCR 7", "strange");
  }
}

TEST_F(SecureBoot, DataThatWasNotMeasured) {
  for (const std::string name : {"SecureBoot", "PK", "KEK", "db", "dbx", "loader"}) {
    pcr7 = {};
    pcr7.at(name).data.back() ^= 1;
    const auto out = read(pcr7.log());
    ASSERT_FALSE(out) << name;
    EXPECT_EQ(out.failure().check, "event-data");
    EXPECT_EQ(out.failure().pcr, 7U);
    EXPECT_EQ(out.failure().event, pcr7.index(name));
  }
}

TEST_F(SecureBoot, ALogWithoutTheBank) {
  EXPECT_FALSE(read(pcr7.log(), hash_alg::sha384));
}

TEST_F(SecureBoot, WhatIsNotMeasuredSaysNothing) {
  eventlog::writer forged(pcr7_steps::banks);
  for (const auto& s : pcr7.steps())
    forged.add(7, et::no_action, s.data, std::vector<bytes>{bytes(32, 0)});
  const auto out = read(forged.log());
  ASSERT_FALSE(out);
  about_pcr7(out.failure(), "no separator");
}

// ---- authorities --------------------------------------------------------------------------------

TEST_F(SecureBoot, EnabledNeedsAnAuthorityOfDb) {
  pcr7.erase("loader");
  refused("nothing was verified", std::nullopt);
  pcr7.authority("sbat", shim_lock, "SbatLevel", to_bytes(std::string_view("sbat,1,2021030218\n")));
  refused("nothing was verified", std::nullopt);
  pcr7.authority("mok", shim_lock, "MokList", eventlog::make_signature(maker, certificate("me")));
  refused("nothing was verified", std::nullopt);
  pcr7.set("SecureBoot", global_variable, {0});
  EXPECT_FALSE(facts().enabled);
}

TEST_F(SecureBoot, AnAuthorityIsListedByDb) {
  pcr7.authority("second", image_security, "db",
                 eventlog::make_signature(maker, certificate("somebody")));
  refused("an authority that db does not list", "second");
  pcr7.set("db", image_security, [] {
    auto lists = list_of(certificate("loaders"));
    const auto more = list_of(certificate("somebody"));
    lists.insert(lists.end(), more.begin(), more.end());
    return lists;
  }());
  fits(enabled);
}

TEST_F(SecureBoot, AnAuthorityThatDbxForbids) {
  pcr7.set("dbx", image_security, list_of(certificate("loaders")));
  refused("an authority that dbx forbids", "loader");
}

TEST_F(SecureBoot, AnImageMayBeListedByItsHash) {
  const bytes hash(32, 0x77);
  pcr7.set("db", image_security, list_of(hash));
  for (const auto& shown : {eventlog::make_signature(maker, hash), hash}) {
    pcr7.erase("loader");
    pcr7.authority("loader", image_security, "db", shown);
    EXPECT_EQ(to_bytes(facts().authorities.at(0).id), hash);
    enabled.authorities = {hash};
    fits(enabled);
  }
}

TEST_F(SecureBoot, OptionRomsAreVerifiedBeforeTheSeparator) {
  auto rom = pcr7.at("loader");
  rom.name = "rom";
  pcr7.steps().push_back(rom);
  pcr7.move_before("rom", "separator");
  const auto found = facts();
  ASSERT_EQ(found.authorities.size(), 2U);
  EXPECT_TRUE(found.authorities[0].before_separator);
  EXPECT_FALSE(found.authorities[1].before_separator);
  fits(enabled);
}

TEST_F(SecureBoot, WhereAuthoritiesComeFrom) {
  pcr7.authority("shim", shim_lock, "Shim", certificate("distributor"));
  pcr7.authority("vendor_db", image_security, "vendor_db",
                 eventlog::make_signature(maker, certificate("distributor")));
  pcr7.authority("mok", shim_lock, "MokList", eventlog::make_signature(maker, certificate("me")));
  pcr7.authority("trusted", shim_lock, "MokListTrusted", {1});
  const auto found = facts();
  ASSERT_EQ(found.authorities.size(), 5U);
  EXPECT_EQ(found.authorities[1].origin, authority_origin::shim);
  EXPECT_EQ(found.authorities[2].origin, authority_origin::shim);
  EXPECT_EQ(found.authorities[3].origin, authority_origin::mok);
  EXPECT_EQ(found.authorities[4].origin, authority_origin::setting);
  fits(enabled);
}

TEST_F(SecureBoot, OnlyAuthoritiesThatAreDemanded) {
  enabled.authorities = {id(certificate("somebody"))};
  unfit(enabled, "is none of those accepted", "loader");
  enabled.authorities.push_back(id(certificate("loaders")));
  fits(enabled);
  pcr7.authority("mok", shim_lock, "MokList", eventlog::make_signature(maker, certificate("me")));
  unfit(enabled, "(MokList) is none of those accepted", "mok");
  enabled.authorities.push_back(id(certificate("me")));
  fits(enabled);
  // Of a state that shim logs nobody can ask who vouched for it.
  pcr7.authority("trusted", shim_lock, "MokListTrusted", {1});
  fits(enabled);
}

TEST_F(SecureBoot, ADemandOfAnotherLengthIsNeverMet) {
  auto wanted = id(certificate("loaders"));
  wanted.push_back(0);
  enabled.authorities = {wanted, {}, bytes(wanted.begin(), wanted.begin() + 31)};
  unfit(enabled, "is none of those accepted", "loader");
  enabled.authorities.clear();
  enabled.revoked = {bytes(31, 0xBB)};
  unfit(enabled, "expected dbx to forbid", "dbx");
}

TEST_F(SecureBoot, AnAuthorityOfUnknownOriginHasToBeDemanded) {
  pcr7.authority("strange", maker, "X\x1B[2JY",
                 eventlog::make_signature(maker, certificate("stranger")));
  unfit(enabled, "an authority of unknown origin: X?[2JY", "strange");
  enabled.authorities = {id(certificate("loaders")), id(certificate("stranger"))};
  fits(enabled);
}

TEST_F(SecureBoot, AnAuthorityUnderAReservedName) {
  // "db" of somebody else is not the firmware's.
  pcr7.authority("fake", maker, "db", eventlog::make_signature(maker, certificate("loaders")));
  refused("a variable under the type of another event", "fake");
  pcr7 = {};
  pcr7.authority("fake", global_variable, "SecureBoot", {1});
  refused("a variable under the type of another event", "fake");
  pcr7 = {};
  pcr7.add("device", et::efi_spdm_device_policy,
           eventlog::make_uefi_variable(image_security, "devdb", list_of(certificate("device"))));
  fits(enabled);
  pcr7.add("fake", et::efi_spdm_device_authority,
           eventlog::make_uefi_variable(global_variable, "PK", list_of(certificate("me"))));
  refused("a variable under the type of another event", "fake");
}

TEST_F(SecureBoot, HashesThatDbxMustHold) {
  enabled.revoked = {bytes(32, 0xBB)};
  fits(enabled);
  enabled.revoked.emplace_back(32, 0xBC);
  unfit(enabled, "expected dbx to forbid bcbcbc", "dbx");
  // Certificates by the SHA-256 of their DER.
  pcr7.set("dbx", image_security, list_of(certificate("boot hole")));
  enabled.revoked = {id(certificate("boot hole"))};
  fits(enabled);
}

TEST_F(SecureBoot, ShimThatVerifiesNothing) {
  pcr7.authority("state", shim_lock, "MokSBState", {0});
  fits(enabled);
  pcr7.erase("state");
  pcr7.authority("state", shim_lock, "MokSBState", {1});
  EXPECT_TRUE(facts().shim_validation_disabled);
  unfit(enabled, "MokSBState", "SecureBoot");
}

TEST_F(SecureBoot, AuthoritiesHaveALimit) {
  for (std::size_t i = 1; i < authorities_max; ++i)
    pcr7.authority("more", shim_lock, "MokListTrusted", {1});
  EXPECT_EQ(facts().authorities.size(), authorities_max);
  pcr7.authority("last", shim_lock, "MokListTrusted", {1});
  refused("authorities_max", "last");
}

TEST_F(SecureBoot, LengthsInVariablesMustAddUp) {
  for (const std::string name : {"SecureBoot", "db", "loader"})
    for (const std::size_t at : {16U, 24U}) {
      pcr7 = {};
      auto& step = pcr7.at(name);
      std::fill_n(step.data.begin() + static_cast<long>(at), 8, std::uint8_t{0xFF});
      step.measured = step.data;
      refused("do not add up", name);
    }
}

// ---- forgeries that replay ----------------------------------------------------------------------

// Whoever controls the system after boot can extend PCR 7 and rewrite types and data in the log,
// and it still replays. What he cannot change are the digests of what the firmware measured.
TEST_F(SecureBoot, EventLogDisclosureASecondSetOfVariables) {
  pcr7.set("SecureBoot", global_variable, {0});
  const pcr7_steps genuine = pcr7;
  const auto forged = pcr7_steps().steps();
  const std::vector<std::uint32_t> types{et::no_action,
                                         et::efi_action,
                                         et::efi_variable_authority,
                                         et::efi_variable_driver_config,
                                         et::efi_variable_boot,
                                         et::efi_spdm_device_policy,
                                         et::efi_spdm_device_authority,
                                         et::separator,
                                         et::ipl,
                                         et::nonhost_config,
                                         et::post_code,
                                         0x800000FF};
  // The firmware's own events under any type, each the same or all alike but the separator.
  for (const auto type : types)
    for (const bool with_separator : {false, true}) {
      pcr7 = genuine;
      for (auto& s : pcr7.steps())
        if (s.name != "separator" || with_separator)
          s.type = type;
      for (const auto& s : forged)
        pcr7.steps().push_back(s);
      const auto out = read(pcr7.log());
      EXPECT_FALSE(out) << eventlog::type_text(type);
    }
  pcr7 = genuine;
  for (const auto& s : forged)
    pcr7.steps().push_back(s);
  refused("behind the separator", 8);
}

TEST_F(SecureBoot, EventLogDisclosureOneVariableUnderAnotherType) {
  for (const std::string name : {"SecureBoot", "PK", "KEK", "db", "dbx", "separator"})
    for (std::uint32_t low = 0; low <= 0xFF; ++low)
      for (const std::uint32_t type : {low, 0x80000000U | low}) {
        pcr7 = {};
        auto& step = pcr7.at(name);
        if (type == step.type)
          continue;
        step.type = type;
        EXPECT_FALSE(read(pcr7.log())) << name << " as " << eventlog::type_text(type);
      }
}

TEST_F(SecureBoot, ARecordedMachinesEventUnderAnotherType) {
  const log_surgery log(recorded("eventlogs/rhel8-uefi.bin"));
  for (const auto& e : log.events()) {
    if (e.pcr != 7)
      continue;
    for (const std::uint32_t type :
         {et::no_action, et::efi_action, et::separator, et::efi_variable_authority,
          et::efi_variable_driver_config, et::ipl, std::uint32_t{0x1234}})
      if (type != e.type) {
        EXPECT_FALSE(read(log.with_type(e, type))) << e.index << " " << eventlog::type_text(type);
      }
  }
}

} // namespace
} // namespace custos::attestation
