#pragma once
// Certification paths (RFC 5280, 6) to anchors that are prepared once and used by many threads,
// and revocation along a path. Thread rule: const functions may be called concurrently.

#include "adapters/crypto/x509.hpp"

#include <memory>
#include <span>
#include <vector>

struct x509_store_st;

namespace custos::crypto {

/// Trust anchors, ready for use. Copies share what was prepared.
class anchor_set {
public:
  anchor_set() : anchor_set(std::vector<certificate>()) {}
  /// Empty certificates anchor nothing; of equal ones the first counts.
  explicit anchor_set(std::vector<certificate> anchors);

  [[nodiscard]] const std::vector<certificate>& certificates() const { return *anchors_; }

  /// Builds and verifies a path from leaf over intermediates to an anchor. The answer is that path:
  /// the leaf first, the anchor last, each of them one of the certificates given. Every certificate
  /// above the leaf is a CA by its basic constraints.
  [[nodiscard]] result<std::vector<certificate>> path(const certificate& leaf,
                                                      const std::vector<certificate>& intermediates,
                                                      const verify_options& options) const;

private:
  std::shared_ptr<const std::vector<certificate>> anchors_;
  std::shared_ptr<x509_store_st> store_;
};

struct revocation_options {
  unix_seconds now = 0;
  /// Every certificate below the anchor must be covered by a list that is current: signed by its
  /// issuer with no weak hash, complete for it, between thisUpdate and nextUpdate.
  bool require_current = false;
  bool allow_sha1 = false; ///< current lists may be signed with SHA-1
};

/// Is no certificate of this path (as anchor_set::path gives it) revoked by its issuer? A list
/// counts if its issuer on the path signed it, however old it is: what it revokes stays revoked.
/// Lists of others are not looked at. Errors: errc::crypto_failure.
result<void> check_revocation(std::span<const certificate> path,
                              std::span<const certificate_revocation_list> lists,
                              const revocation_options& options);

} // namespace custos::crypto
