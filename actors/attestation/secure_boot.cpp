#include "actors/attestation/secure_boot.hpp"

#include "actors/attestation/separators.hpp"
#include "adapters/eventlog/signature_list.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace custos::attestation {

namespace {

namespace et = eventlog::event_type;
using eventlog::efi_guid;

constexpr std::size_t variable_name_chars_max = 64;
constexpr std::size_t sha256_bytes = 32;

constexpr efi_guid global_variable{0x61, 0xDF, 0xE4, 0x8B, 0xCA, 0x93, 0xD2, 0x11,
                                   0xAA, 0x0D, 0x00, 0xE0, 0x98, 0x03, 0x2B, 0x8C};
constexpr efi_guid image_security{0xCB, 0xB2, 0x19, 0xD7, 0x3A, 0x3D, 0x96, 0x45,
                                  0xA3, 0xBC, 0xDA, 0xD0, 0x0E, 0x67, 0x65, 0x6F};
constexpr efi_guid shim_lock{0x50, 0xAB, 0x5D, 0x60, 0x46, 0xE0, 0x00, 0x43,
                             0xAB, 0xB6, 0x3D, 0xD8, 0x10, 0xDD, 0x8B, 0x23};

enum variable_index : std::uint8_t {
  secure_boot,
  platform_key,
  key_exchange_keys,
  allowed,
  forbidden,
  setup_mode,
  audit_mode,
  deployed_mode,
  variables_end
};

struct known_variable {
  std::string_view name;
  const efi_guid& vendor;
};
constexpr std::array<known_variable, variables_end> variables{{{"SecureBoot", global_variable},
                                                               {"PK", global_variable},
                                                               {"KEK", global_variable},
                                                               {"db", image_security},
                                                               {"dbx", image_security},
                                                               {"SetupMode", global_variable},
                                                               {"AuditMode", global_variable},
                                                               {"DeployedMode", global_variable}}};
/// The variables that every firmware has to log; the others are logged by some.
constexpr std::uint8_t mandatory_end = setup_mode;

struct known_authority {
  std::string_view name;
  const efi_guid& vendor;
  authority_origin origin;
};
constexpr std::array<known_authority, 13> known_authorities{{
    {"db", image_security, authority_origin::db},
    {"Shim", shim_lock, authority_origin::shim},
    {"vendor_db", image_security, authority_origin::shim},
    {"MokList", shim_lock, authority_origin::mok},
    {"SbatLevel", shim_lock, authority_origin::setting},
    {"MokListTrusted", shim_lock, authority_origin::setting},
    {"MokListX", shim_lock, authority_origin::setting},
    {"MokSBState", shim_lock, authority_origin::setting},
    {"MokDBState", shim_lock, authority_origin::setting},
    {"MokIgnoreDB", shim_lock, authority_origin::setting},
    {"MokPolicy", shim_lock, authority_origin::setting},
    {"HSIStatus", shim_lock, authority_origin::setting},
    {"vendor_dbx", image_security, authority_origin::setting},
}};

error refused(std::optional<std::uint32_t> event, std::string message) {
  auto failure = make_error(errc::attestation_failed, "Secure Boot: " + std::move(message));
  failure.check = "secure-boot";
  failure.pcr = secure_boot_pcr;
  failure.event = event;
  return failure;
}

/// For messages and tokens: names come from whoever extended PCR 7.
std::string printable(std::string_view name) {
  std::string out(name.substr(0, variable_name_chars_max));
  std::replace_if(
      out.begin(), out.end(), [](char c) { return c < 0x20 || c > 0x7E; }, '?');
  return out;
}

crypto::sha256_digest id_of(byte_view certificate_or_hash) {
  if (certificate_or_hash.size() != sha256_bytes)
    return crypto::sha256(certificate_or_hash);
  crypto::sha256_digest out{};
  std::copy(certificate_or_hash.begin(), certificate_or_hash.end(), out.begin());
  return out;
}

/// One DER SEQUENCE (X.690, 8.1) and nothing behind it, with a length of two octets as every
/// certificate has it.
bool is_one_sequence(byte_view data) {
  return data.size() >= 4 && data[0] == 0x30 && data[1] == 0x82 &&
         static_cast<std::size_t>(data[2] << 8 | data[3]) == data.size() - 4;
}

/// EFI_SIGNATURE_DATA without its owner; shim logs some certificates and hashes without one.
byte_view payload_of(byte_view data) {
  if (data.size() <= eventlog::owner_bytes || data.size() == sha256_bytes || is_one_sequence(data))
    return data;
  return data.subspan(eventlog::owner_bytes);
}

bool is_among(const crypto::sha256_digest& id, const std::vector<crypto::sha256_digest>& sorted) {
  return std::binary_search(sorted.begin(), sorted.end(), id);
}

bool lists(const std::vector<bytes>& demanded, const crypto::sha256_digest& id) {
  return std::any_of(demanded.begin(), demanded.end(), [&](const bytes& d) {
    return std::equal(d.begin(), d.end(), id.begin(), id.end());
  });
}

/// The states that PCR 7 goes through: variables, then the separator, then authorities. Whatever
/// else is measured into it ends in a refusal.
class pcr7_machine {
public:
  pcr7_machine(const eventlog::parsed_log& log, crypto::hash_alg bank,
               const eventlog::data_rules& rules)
      : log_(log), bank_(bank), rules_(rules) {}

  result<void> take(const eventlog::event& e) {
    const auto digest = log_.digest(e, bank_);
    if (e.type == et::no_action) {
      if (std::any_of(digest.begin(), digest.end(), [](auto octet) { return octet != 0; }))
        return refused(e.index, "an event with a digest that claims not to be measured");
      return {};
    }
    if (e.type == et::separator)
      return take_separator(e, digest);
    CUSTOS_TRY(const auto data, eventlog::measured_data(log_, e, bank_, rules_));
    switch (e.type) {
    case et::efi_action:
      return take_action(e, data);
    case et::efi_variable_driver_config:
      return take_variable(e, data);
    case et::efi_variable_authority:
      return take_authority(e, data);
    case et::efi_spdm_device_policy:
    case et::efi_spdm_device_authority:
      return take_device(e, data);
    default:
      return refused(e.index, eventlog::type_text(e.type) + " does not belong into PCR 7");
    }
  }

  result<secure_boot_facts> finish() && {
    if (!separated_)
      return refused(std::nullopt, "PCR 7 has no separator");
    for (std::uint8_t v = 0; v < mandatory_end; ++v)
      if (!events_.at(v))
        return refused(std::nullopt,
                       "the variable " + std::string(variables.at(v).name) + " was not measured");
    CUSTOS_CHECK(read_states());
    CUSTOS_CHECK(read_databases());
    if (facts_.enabled)
      CUSTOS_CHECK(check_authorities());
    return std::move(facts_);
  }

private:
  result<void> take_separator(const eventlog::event& e, byte_view digest) {
    if (separated_)
      return refused(e.index, "a second separator");
    switch (kind_of_separator(digest, bank_)) {
    case separator_kind::success:
      separated_ = true;
      return {};
    case separator_kind::firmware_error:
      return refused(e.index, "the firmware ended PCR 7 with an error separator");
    case separator_kind::other:
      break;
    }
    return refused(e.index, "expected a separator over 00000000, found one over something else");
  }

  result<void> take_action(const eventlog::event& e, byte_view data) {
    auto text = as_text(data);
    if (!text.empty() && text.back() == '\0')
      text.remove_suffix(1);
    if (text == "DMA Protection Disabled") {
      facts_.dma_protection_disabled = true;
      return {};
    }
    if (text == "UEFI Debug Mode")
      return refused(e.index, "the firmware is in debug mode");
    return refused(e.index,
                   "the action '" + eventlog::describe(e) + "' does not belong into PCR 7");
  }

  result<void> take_variable(const eventlog::event& e, byte_view data) {
    if (separated_)
      return refused(e.index, "a variable behind the separator: " + eventlog::describe(e));
    CUSTOS_TRY(const auto variable, parse(e, data, 0));
    for (std::uint8_t v = 0; v < variables_end; ++v) {
      if (variable.name != variables.at(v).name)
        continue;
      if (variable.guid != variables.at(v).vendor)
        return refused(e.index, "a variable of another vendor under a reserved name: " +
                                    eventlog::describe(e));
      if (events_.at(v))
        return refused(e.index, "the variable " + variable.name + " a second time");
      events_.at(v) = e.index;
      values_.at(v) = variable.data;
    }
    return {}; // others are the maker's own
  }

  result<void> take_authority(const eventlog::event& e, byte_view data) {
    CUSTOS_TRY(const auto variable, parse(e, data, eventlog::surplus_bytes_max));
    const auto known = std::find_if(known_authorities.begin(), known_authorities.end(),
                                    [&](const known_authority& k) {
                                      return k.name == variable.name && k.vendor == variable.guid;
                                    });
    secure_boot_authority found;
    if (known != known_authorities.end())
      found.origin = known->origin;
    else
      CUSTOS_CHECK(check_not_reserved(e, variable.name));
    if (facts_.authorities.size() == authorities_max)
      return refused(e.index, "more authorities than authorities_max");
    found.event = e.index;
    found.before_separator = !separated_;
    found.variable = printable(variable.name);
    found.id = id_of(payload_of(variable.data));
    if (known != known_authorities.end() && known->name == "MokSBState")
      facts_.shim_validation_disabled |= !variable.data.empty() && variable.data[0] != 0;
    facts_.authorities.push_back(std::move(found));
    return {};
  }

  /// Devices that are trusted by SPDM (profile 1.06, 3.3.4.8): no part of Secure Boot's state.
  result<void> take_device(const eventlog::event& e, byte_view data) {
    CUSTOS_TRY(const auto variable, parse(e, data, 0));
    return check_not_reserved(e, variable.name);
  }

  /// An event of a variable that was given another type still shows the variable.
  static result<void> check_not_reserved(const eventlog::event& e, std::string_view name) {
    for (const auto& v : variables)
      if (v.name == name)
        return refused(e.index,
                       "a variable under the type of another event: " + eventlog::describe(e));
    return {};
  }

  static result<eventlog::uefi_variable> parse(const eventlog::event& e, byte_view data,
                                               std::size_t surplus) {
    auto variable = eventlog::parse_uefi_variable(data, surplus);
    if (!variable)
      return refused(e.index, variable.failure().message);
    return variable;
  }

  /// A state is one octet. Firmware that knows no Secure Boot logs SecureBoot without a value.
  result<bool> state_of(variable_index v) const {
    const auto value = values_.at(v);
    if (value.empty() && v == secure_boot)
      return false;
    if (value.size() != 1 || value[0] > 1)
      return refused(events_.at(v),
                     "expected 00 or 01 in the variable " + std::string(variables.at(v).name));
    return value[0] == 1;
  }

  result<void> read_states() {
    CUSTOS_TRY(facts_.enabled, state_of(secure_boot));
    facts_.secure_boot_event = *events_.at(secure_boot);
    for (const auto& [v, state] :
         {std::pair(setup_mode, &facts_.setup_mode), std::pair(audit_mode, &facts_.audit_mode),
          std::pair(deployed_mode, &facts_.deployed_mode)}) {
      if (!events_.at(v))
        continue;
      CUSTOS_TRY(*state, state_of(v));
    }
    return {};
  }

  /// Reads one variable's lists; `entries` may be null.
  result<void> read_database(variable_index v, crypto::sha256_digest& digest,
                             std::vector<crypto::sha256_digest>* entries) {
    const auto parsed = eventlog::parse_signature_lists(values_.at(v));
    const std::string name(variables.at(v).name);
    if (!parsed)
      return refused(events_.at(v), name + ": " + parsed.failure().message);
    if (facts_.enabled && v != forbidden && parsed->signatures.empty() && parsed->others == 0)
      return refused(events_.at(v), "enabled, but " + name + " is empty");
    digest = crypto::sha256(values_.at(v));
    if (entries == nullptr)
      return {};
    entries->reserve(parsed->signatures.size());
    for (const auto& s : parsed->signatures)
      entries->push_back(s.kind == eventlog::signature_kind::x509 ? crypto::sha256(s.data)
                                                                  : id_of(s.data));
    std::sort(entries->begin(), entries->end());
    return {};
  }

  result<void> read_databases() {
    CUSTOS_CHECK(read_database(platform_key, facts_.pk, nullptr));
    CUSTOS_CHECK(read_database(key_exchange_keys, facts_.kek, nullptr));
    CUSTOS_CHECK(read_database(allowed, facts_.db, &facts_.db_entries));
    facts_.dbx_event = *events_.at(forbidden);
    return read_database(forbidden, facts_.dbx, &facts_.dbx_entries);
  }

  /// Firmware that verifies says by which entry of db; what it forbids cannot have vouched.
  result<void> check_authorities() const {
    bool verified = false;
    for (const auto& a : facts_.authorities) {
      if (a.origin == authority_origin::setting)
        continue;
      if (a.origin == authority_origin::db && !is_among(a.id, facts_.db_entries))
        return refused(a.event, "an authority that db does not list");
      if (is_among(a.id, facts_.dbx_entries))
        return refused(a.event, "an authority that dbx forbids");
      verified |= a.origin == authority_origin::db;
    }
    if (!verified)
      return refused(std::nullopt,
                     "enabled, but nothing was verified: PCR 7 has no authority of db");
    return {};
  }

  const eventlog::parsed_log& log_;
  crypto::hash_alg bank_;
  eventlog::data_rules rules_;
  bool separated_ = false;
  std::array<std::optional<std::uint32_t>, variables_end> events_{};
  std::array<byte_view, variables_end> values_{};
  secure_boot_facts facts_;
};

} // namespace

result<secure_boot_facts> read_secure_boot(const eventlog::parsed_log& log, crypto::hash_alg bank,
                                           const eventlog::data_rules& rules) {
  pcr7_machine machine(log, bank, rules);
  for (const auto& e : log.events)
    if (e.pcr == secure_boot_pcr)
      CUSTOS_CHECK(machine.take(e));
  return std::move(machine).finish();
}

result<void> check_secure_boot(const secure_boot_demand& demand, const secure_boot_facts& facts) {
  if (facts.enabled != demand.enabled)
    return refused(facts.secure_boot_event,
                   demand.enabled ? "expected enabled, found disabled" : "expected disabled");
  for (const auto& hash : demand.revoked)
    if (std::none_of(facts.dbx_entries.begin(), facts.dbx_entries.end(), [&](const auto& id) {
          return std::equal(hash.begin(), hash.end(), id.begin(), id.end());
        }))
      return refused(facts.dbx_event, "expected dbx to forbid " + crypto::hex(hash));
  if (!demand.enabled)
    return {};
  if (facts.setup_mode.value_or(false))
    return refused(facts.secure_boot_event, "the firmware is in setup mode");
  if (facts.audit_mode.value_or(false))
    return refused(facts.secure_boot_event, "the firmware is in audit mode: it verifies nothing");
  if (facts.shim_validation_disabled)
    return refused(facts.secure_boot_event, "shim was told to verify nothing (MokSBState)");
  for (const auto& a : facts.authorities) {
    if (a.origin == authority_origin::setting || lists(demand.authorities, a.id))
      continue;
    if (!demand.authorities.empty())
      return refused(a.event, "the authority " + crypto::hex(a.id) + " (" + a.variable +
                                  ") is none of those accepted");
    if (a.origin == authority_origin::other)
      return refused(a.event, "an authority of unknown origin: " + a.variable);
  }
  return {};
}

} // namespace custos::attestation
