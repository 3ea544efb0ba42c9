#include "actors/gateway/principal.hpp"

namespace custos::gateway {

result<principal> principal_of(const crypto::certificate& peer,
                               const std::vector<crypto::certificate>& anchors,
                               const config_snapshot& config, crypto::unix_seconds now) {
  if (!peer)
    return field_error(errc::unauthenticated, "client certificate",
                       "expected a client certificate issued by the cluster's authority");
  crypto::verify_options options;
  options.use = crypto::purpose::tls_client;
  options.now = now;
  if (auto verified = crypto::verify_chain(peer, {}, anchors, options); !verified)
    return field_error(errc::forbidden, "client certificate",
                       "expected a certificate issued by the cluster's authority for client "
                       "authentication and valid now: " +
                           verified.failure().message);
  const auto name = peer.common_name();
  const auto found = config.principals.find(name);
  if (found == config.principals.end())
    return field_error(errc::forbidden, "client certificate",
                       "the certificate is ours, but its common name is no configured principal");
  return found->second;
}

bool may(role r, access needed) {
  switch (needed) {
  case access::open:
    return true;
  case access::auditor:
    return r == role::auditor || r == role::administrator;
  case access::administrator:
    return r == role::administrator;
  }
  return false;
}

} // namespace custos::gateway
