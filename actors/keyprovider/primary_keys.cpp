#include "actors/keyprovider/primary_keys.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

namespace custos::keyprovider {

result<void> check_state(std::string_view id, std::string_view state, key_use use) {
  const bool usable = use == key_use::protect
                          ? state == "Active"
                          : state == "Active" || state == "Deactivated" || state == "Compromised";
  if (usable)
    return {};
  auto e = make_error(errc::forbidden, "primary key " + std::string(id) + " is in state " +
                                           std::string(state) + ", which does not allow " +
                                           (use == key_use::protect ? "new keys" : "opening keys"));
  e.check = "primary-key-state";
  return e;
}

bool is_aes_key(const crypto::secret_bytes& key) {
  return key.size() == 16 || key.size() == 24 || key.size() == 32;
}

void primary_key_cache::put(const std::string& id, primary_key key, std::int64_t now) {
  if (keys_.find(id) == keys_.end() && keys_.size() >= keys_max_) {
    const auto oldest =
        std::min_element(keys_.begin(), keys_.end(), [](const auto& a, const auto& b) {
          return a.second.fetched < b.second.fetched;
        });
    if (oldest != keys_.end())
      keys_.erase(oldest);
  }
  keys_[id] = entry{std::move(key), now};
}

const primary_key* primary_key_cache::not_older(const std::string& id, std::int64_t now,
                                                std::uint32_t s) const {
  const auto found = keys_.find(id);
  if (found == keys_.end())
    return nullptr;
  const auto age = now - found->second.fetched;
  // A clock set back makes the age unknown: then the key is not used.
  return age >= 0 && age <= std::int64_t{s} ? &found->second.key : nullptr;
}

const primary_key* primary_key_cache::fresh(const std::string& id, std::int64_t now) const {
  return not_older(id, now, age_s_max_);
}

const primary_key* primary_key_cache::within_grace(const std::string& id, std::int64_t now) const {
  return not_older(id, now, std::max(age_s_max_, grace_s_max_));
}

void primary_key_cache::sweep(std::int64_t now) {
  std::erase_if(keys_, [&](const auto& e) { return within_grace(e.first, now) == nullptr; });
}

bool same_connection(const key_provider& a, const key_provider& b) {
  const auto same_server = [](const key_server& x, const key_server& y) {
    return std::tie(x.name, x.host, x.port) == std::tie(y.name, y.host, y.port);
  };
  const auto rest = [](const key_provider& p) {
    return std::tie(p.type, p.client_certificate, p.client_private_key.sealed,
                    p.trusted_peer_certificates, p.username, p.password.sealed, p.timeout_ms,
                    p.legacy_ciphers);
  };
  return rest(a) == rest(b) && std::equal(a.servers.begin(), a.servers.end(), b.servers.begin(),
                                          b.servers.end(), same_server);
}

key_provider with_next_certificate(key_provider provider) {
  provider.client_certificate = std::exchange(provider.next_client_certificate, {});
  provider.client_private_key = std::exchange(provider.next_client_private_key, {});
  return provider;
}

} // namespace custos::keyprovider
