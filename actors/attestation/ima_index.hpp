#pragma once
// An image's IMA policy, made ready for lists of a hundred thousand entries: built once per image,
// looked up by path, key id and path prefix. Pure and immutable.
// Lifetime: looks into the policy it was built from and never outlives it.

#include "adapters/crypto/crypto.hpp"
#include "messages/config.hpp"

#include <string_view>
#include <unordered_map>
#include <unordered_set>

namespace custos::attestation {

class ima_index {
public:
  /// Errors: a signer that is no RSA, P-256 or P-384 key.
  static result<ima_index> build(const ima_policy& policy);

  /// It accounts for nothing at all.
  [[nodiscard]] bool empty() const {
    return files_.empty() && buffers_.empty() && signers_.empty() && ignored_.empty();
  }
  [[nodiscard]] bool knows_file(std::string_view path) const { return files_.contains(path); }
  [[nodiscard]] bool lists_file(std::string_view path, byte_view digest) const {
    return lists(files_, path, digest);
  }
  [[nodiscard]] bool lists_buffer(std::string_view name, byte_view digest) const {
    return lists(buffers_, name, digest);
  }
  /// A prefix of whole components: "/usr" is one of "/usr" and "/usr/lib", not of "/usrlocal". The
  /// root is no prefix, and a path that a kernel would have resolved further ("..", ".", "//") is
  /// never ignored.
  [[nodiscard]] bool ignores_file(std::string_view path) const;
  /// One of the signers with this id made the signature over the digest.
  [[nodiscard]] bool has_signer(std::uint32_t key_id) const { return signers_.contains(key_id); }
  [[nodiscard]] bool signed_by(std::uint32_t key_id, crypto::hash_alg alg, byte_view digest,
                               byte_view signature) const;
  /// Equal for equal policies.
  [[nodiscard]] const crypto::sha256_digest& fingerprint() const { return fingerprint_; }

private:
  using digests_by_name = std::unordered_multimap<std::string_view, const ima_file*>;
  static bool lists(const digests_by_name& files, std::string_view name, byte_view digest);

  digests_by_name files_;
  digests_by_name buffers_;
  std::unordered_set<std::string_view> ignored_;
  std::unordered_multimap<std::uint32_t, crypto::key> signers_;
  crypto::sha256_digest fingerprint_{};
};

} // namespace custos::attestation
