#pragma once
// Builds measurement lists as the kernel would show them, both ways: for tests and benchmarks, and
// for helpers that extend a TPM as they log.

#include "adapters/ima/ima.hpp"

namespace custos::ima {

/// Thread rule: one thread at a time. Each function returns the template data, whose hash in each
/// bank the kernel extends PCR 10 with; empty for a violation (all ones).
class writer {
public:
  bytes add_ng(std::string_view path, crypto::hash_alg alg, byte_view digest);
  bytes add_sig(std::string_view path, crypto::hash_alg alg, byte_view digest, byte_view signature);
  /// Measures a buffer, by the hash of its octets.
  bytes add_buf(std::string_view name, crypto::hash_alg alg, byte_view buffer);
  /// A typed digest: "ima" or "verity".
  bytes add_ngv2(std::string_view path, std::string_view type, crypto::hash_alg alg,
                 byte_view digest);
  /// The old template; returns what is hashed, with the padded name.
  bytes add_ima(std::string_view path, byte_view sha1);
  bytes add_violation(std::string_view path, crypto::hash_alg alg);

  [[nodiscard]] const bytes& binary() const { return binary_; }
  [[nodiscard]] const std::string& ascii() const { return ascii_; }

private:
  struct field {
    bytes octets;
    std::string text;
  };
  bytes add(std::string_view name, const std::vector<field>& fields, bool violation);
  void start(std::string_view name, byte_view hash);

  bytes binary_;
  std::string ascii_;
};

/// A signature as parse_signature reads it.
bytes make_signature(crypto::hash_alg alg, std::uint32_t key_id, byte_view octets);

} // namespace custos::ima
