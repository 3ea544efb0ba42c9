#include "actors/gateway/principal.hpp"

#include <algorithm>

namespace custos::gateway {

namespace {

constexpr std::size_t peers_remembered_max = 1024;

result<void> check_issued(const crypto::certificate& peer,
                          const std::vector<crypto::certificate>& anchors,
                          crypto::unix_seconds now) {
  crypto::verify_options options;
  options.use = crypto::purpose::tls_client;
  options.now = now;
  if (auto verified = crypto::verify_chain(peer, {}, anchors, options); !verified)
    return field_error(errc::forbidden, "client certificate",
                       "expected a certificate issued by the cluster's authority for client "
                       "authentication and valid now: " +
                           verified.failure().message);
  return {};
}

} // namespace

known_peers::known_peers(std::vector<crypto::certificate> anchors) : anchors_(std::move(anchors)) {}

result<principal> known_peers::principal_of(const crypto::certificate& peer,
                                            const config_snapshot& config,
                                            crypto::unix_seconds now) const {
  if (!peer)
    return field_error(errc::unauthenticated, "client certificate",
                       "expected a client certificate issued by the cluster's authority");
  const auto id = peer.fingerprint();
  if (!remembers(id, now)) {
    CUSTOS_CHECK(check_issued(peer, anchors_, now));
    remember(id, peer);
  }
  const auto found = config.principals.find(peer.common_name());
  if (found == config.principals.end())
    return field_error(errc::forbidden, "client certificate",
                       "the certificate is ours, but its common name is no configured principal");
  return found->second;
}

bool known_peers::remembers(const crypto::sha256_digest& id, crypto::unix_seconds now) const {
  const std::lock_guard guard(mutex_);
  const auto found = issued_.find(id);
  return found != issued_.end() && found->second.from <= now && now < found->second.until;
}

void known_peers::remember(const crypto::sha256_digest& id, const crypto::certificate& peer) const {
  validity whole{peer.not_before(), peer.not_after()};
  for (const auto& anchor : anchors_) {
    whole.from = std::max(whole.from, anchor.not_before());
    whole.until = std::min(whole.until, anchor.not_after());
  }
  const std::lock_guard guard(mutex_);
  if (issued_.size() >= peers_remembered_max)
    issued_.clear();
  issued_.insert_or_assign(id, whole);
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
