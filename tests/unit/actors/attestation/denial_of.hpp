#pragma once
// Denials by the members that matter: a designated initialiser of `denial` has to name all.

#include "messages/config.hpp"

#include <string>

namespace custos::attestation::test {

struct denial_of {
  std::string name = "d";
  std::string manufacturer{}, model{}, firmware{}, serial{};
  bytes ek_spki_sha256{}, ak_name{};
  std::string reason{};

  operator denial() const { // NOLINT: stands for one
    return {name, manufacturer, model, firmware, serial, ek_spki_sha256, ak_name, reason};
  }
};

} // namespace custos::attestation::test
