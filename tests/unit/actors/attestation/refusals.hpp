#pragma once
// What tests expect of an appraisal.

#include "tests/unit/actors/attestation/software_tpm.hpp"

#include <gtest/gtest.h>

namespace custos::attestation::test {

/// Evidence that this check must refuse, and why it did.
inline error refusal_of(verifier_core& core, const scene& s, const evidence& e,
                        const std::string& check, std::int64_t at = now) {
  const auto verdict = core.appraise(e, s.config, at);
  EXPECT_FALSE(verdict) << "affirmed, expected " << check;
  if (verdict)
    return {};
  EXPECT_EQ(verdict.failure().check, check) << verdict.failure().message;
  return verdict.failure();
}

inline void expect_affirmed(verifier_core& core, const scene& s, const evidence& e,
                            std::int64_t at = now) {
  const auto verdict = core.appraise(e, s.config, at);
  EXPECT_TRUE(verdict) << verdict.failure().check << ": " << verdict.failure().message;
}

} // namespace custos::attestation::test
