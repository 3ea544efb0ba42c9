// Key providers: their writers.

#include "cluster/config_codec_detail.hpp"

namespace custos::cluster::detail {

namespace bj = boost::json;

namespace {

std::string_view name_of(primary_key_mode mode) {
  switch (mode) {
  case primary_key_mode::automatic:
    return "auto";
  case primary_key_mode::local:
    return "local";
  case primary_key_mode::remote:
    return "remote";
  }
  return "auto";
}

bj::array strings(const std::vector<std::string>& texts) {
  return bj::array(texts.begin(), texts.end());
}

bj::object access_json(const access_rule& rule) {
  bj::object out{{"images", strings(rule.images)}, {"hosts", strings(rule.hosts)}};
  if (!rule.host_patterns.empty())
    out["host_patterns"] = strings(rule.host_patterns);
  if (!rule.claims.empty()) {
    bj::object claims;
    for (const auto& [name, values] : rule.claims)
      claims[name] = strings(values);
    out["claims"] = std::move(claims);
  }
  return out;
}

void put(bj::object& out, std::string_view name, const std::optional<std::uint32_t>& value) {
  if (value)
    out[name] = *value;
}

void put(bj::object& out, std::string_view name, bj::object part) {
  if (!part.empty())
    out[name] = std::move(part);
}

void put_policy(bj::object& out, const key_provider& x) {
  bj::object limits;
  put(limits, "calls_per_second", x.limits.calls_per_second);
  put(limits, "burst", x.limits.burst);
  put(out, "limits", std::move(limits));
  bj::object cache;
  put(cache, "primary_key_age_s", x.cache.primary_key_age_s);
  put(cache, "grace_s", x.cache.grace_s);
  put(out, "cache", std::move(cache));
  bj::object rotation;
  if (x.rotation.interval_days != 0)
    rotation["interval_days"] = x.rotation.interval_days;
  if (x.rotation.since != 0) {
    rotation["key"] = x.rotation.key;
    rotation["since"] = x.rotation.since;
  }
  put(out, "rotation", std::move(rotation));
}

void put_sealed(bj::object& out, std::string_view name, const sealed_secret& secret) {
  if (!secret.sealed.empty())
    out[name] = crypto::base64url(secret.sealed);
}

bj::object native_json(const key_provider& x) {
  bj::array keys;
  for (const auto& key : x.primary_keys) {
    bj::object one{{"id", key.id},
                   {"sealed_key", crypto::base64url(key.key.sealed)},
                   {"created", key.created}};
    if (key.backed_up)
      one["backed_up"] = true;
    keys.emplace_back(std::move(one));
  }
  bj::object out{{"type", "native"},
                 {"primary_key_id", x.primary_key_id},
                 {"primary_keys", std::move(keys)},
                 {"access", access_json(x.access)}};
  put_policy(out, x);
  return out;
}

} // namespace

// Members that say nothing are left out, so that equal providers have equal documents.
bj::object json_of(const key_provider& x) {
  if (x.type == provider_type::native)
    return native_json(x);
  bj::array servers;
  for (const auto& server : x.servers)
    servers.emplace_back(
        bj::object{{"name", server.name}, {"host", server.host}, {"port", server.port}});
  bj::object out{{"primary_key_id", x.primary_key_id}, {"mode", name_of(x.mode)},
                 {"servers", std::move(servers)},      {"timeout_ms", x.timeout_ms},
                 {"legacy_ciphers", x.legacy_ciphers}, {"access", access_json(x.access)}};
  if (!x.client_certificate.empty())
    out["client_certificate"] = x.client_certificate;
  put_sealed(out, "sealed_client_private_key", x.client_private_key);
  if (!x.next_client_certificate.empty())
    out["next_client_certificate"] = x.next_client_certificate;
  put_sealed(out, "sealed_next_client_private_key", x.next_client_private_key);
  if (!x.trusted_peer_certificates.empty())
    out["trusted_peer_certificates"] = strings(x.trusted_peer_certificates);
  if (!x.username.empty())
    out["username"] = x.username;
  put_sealed(out, "sealed_password", x.password);
  put_policy(out, x);
  return out;
}

} // namespace custos::cluster::detail
