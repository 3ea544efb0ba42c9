#pragma once
// Who is behind a client certificate, and what they may do.

#include "actors/gateway/router.hpp"
#include "adapters/crypto/x509.hpp"
#include "messages/config.hpp"

#include <map>
#include <mutex>
#include <vector>

namespace custos::gateway {

/// Who the clients are whose certificates one of the anchors issued. That it did is found out once,
/// whether a certificate is valid now and whose it is each time. Thread-safe.
class known_peers {
public:
  explicit known_peers(std::vector<crypto::certificate> anchors);

  /// The principal whose certificate this is: issued for client authentication, valid now, CN a
  /// configured principal. Errors: errc::unauthenticated without a certificate, errc::forbidden
  /// (field "client certificate") otherwise.
  [[nodiscard]] result<principal> principal_of(const crypto::certificate& peer,
                                               const config_snapshot& config,
                                               crypto::unix_seconds now) const;

private:
  struct validity {
    crypto::unix_seconds from = 0, until = 0; ///< of the whole path
  };

  [[nodiscard]] bool remembers(const crypto::sha256_digest& id, crypto::unix_seconds now) const;
  void remember(const crypto::sha256_digest& id, const crypto::certificate& peer) const;

  std::vector<crypto::certificate> anchors_;
  mutable std::mutex mutex_;
  mutable std::map<crypto::sha256_digest, validity> issued_; ///< by fingerprint
};

/// Whether a role is enough for a route.
bool may(role r, access needed);

} // namespace custos::gateway
