#pragma once
// What a firmware with Secure Boot measures into PCR 7, step by step, for tests to change.

#include "adapters/eventlog/event_types.hpp"
#include "adapters/eventlog/writer.hpp"

#include <algorithm>
#include <string>
#include <vector>

namespace custos::attestation::test {

constexpr eventlog::efi_guid global_variable{0x61, 0xDF, 0xE4, 0x8B, 0xCA, 0x93, 0xD2, 0x11,
                                             0xAA, 0x0D, 0x00, 0xE0, 0x98, 0x03, 0x2B, 0x8C};
constexpr eventlog::efi_guid image_security{0xCB, 0xB2, 0x19, 0xD7, 0x3A, 0x3D, 0x96, 0x45,
                                            0xA3, 0xBC, 0xDA, 0xD0, 0x0E, 0x67, 0x65, 0x6F};
constexpr eventlog::efi_guid shim_lock{0x50, 0xAB, 0x5D, 0x60, 0x46, 0xE0, 0x00, 0x43,
                                       0xAB, 0xB6, 0x3D, 0xD8, 0x10, 0xDD, 0x8B, 0x23};
constexpr eventlog::efi_guid maker{1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 0, 0, 0};

/// Stands for a certificate: nothing here looks into one.
inline bytes certificate(std::string_view name) {
  return to_bytes("certificate of " + std::string(name));
}
inline bytes list_of(const bytes& one) {
  return eventlog::make_signature_list(one.size() == 32 ? eventlog::signature_kind::sha256
                                                        : eventlog::signature_kind::x509,
                                       maker, std::vector<bytes>{one});
}

struct pcr7_step {
  std::string name;
  std::uint32_t type = 0;
  bytes data;
  bytes measured;
};

class pcr7_steps {
public:
  static constexpr std::array<crypto::hash_alg, 1> banks{crypto::hash_alg::sha256};

  /// Secure Boot is enabled and one loader was started.
  pcr7_steps() {
    variable("SecureBoot", global_variable, {1});
    variable("PK", global_variable, list_of(certificate("owner")));
    variable("KEK", global_variable, list_of(certificate("vendor")));
    variable("db", image_security, list_of(certificate("loaders")));
    variable("dbx", image_security, list_of(bytes(32, 0xBB)));
    add("separator", eventlog::event_type::separator, bytes(4, 0));
    authority("loader", image_security, "db",
              eventlog::make_signature(maker, certificate("loaders")));
  }

  pcr7_step& at(const std::string& name) {
    return *std::find_if(steps_.begin(), steps_.end(),
                         [&](const pcr7_step& s) { return s.name == name; });
  }
  void erase(const std::string& name) {
    std::erase_if(steps_, [&](const pcr7_step& s) { return s.name == name; });
  }
  /// Goes to the end; `move_before` takes it elsewhere.
  void add(const std::string& name, std::uint32_t type, bytes data) {
    steps_.push_back({name, type, data, data});
  }
  void variable(const std::string& name, const eventlog::efi_guid& vendor, const bytes& value) {
    add(name, eventlog::event_type::efi_variable_driver_config,
        eventlog::make_uefi_variable(vendor, name, value));
  }
  void authority(const std::string& step, const eventlog::efi_guid& vendor,
                 const std::string& variable_name, const bytes& value) {
    add(step, eventlog::event_type::efi_variable_authority,
        eventlog::make_uefi_variable(vendor, variable_name, value));
  }
  /// Another value of a variable that is there.
  void set(const std::string& name, const eventlog::efi_guid& vendor, const bytes& value) {
    auto& step = at(name);
    step.data = step.measured = eventlog::make_uefi_variable(vendor, name, value);
  }
  void move_before(const std::string& name, const std::string& other) {
    const auto moved = at(name);
    erase(name);
    const auto place = std::find_if(steps_.begin(), steps_.end(),
                                    [&](const pcr7_step& s) { return s.name == other; });
    steps_.insert(place, moved);
  }
  /// Of the event in the log; the header is event 0.
  [[nodiscard]] std::uint32_t index(const std::string& name) const {
    const auto place = std::find_if(steps_.begin(), steps_.end(),
                                    [&](const pcr7_step& s) { return s.name == name; });
    return static_cast<std::uint32_t>(place - steps_.begin()) + 1;
  }
  [[nodiscard]] bytes log() const {
    eventlog::writer out(banks);
    for (const auto& s : steps_)
      out.add_measured(7, s.type, s.data, s.measured);
    return out.log();
  }
  [[nodiscard]] std::vector<pcr7_step>& steps() { return steps_; }

private:
  std::vector<pcr7_step> steps_;
};

} // namespace custos::attestation::test
