// Key providers: their readers. A native provider has none of the members of a connection.

#include "cluster/config_codec_detail.hpp"
#include "cluster/sealing.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <set>

namespace custos::cluster::detail {

namespace {

result<primary_key_mode> read_mode(json::object& o) {
  CUSTOS_TRY(const auto text, o.optional_string("mode", 16));
  if (!text || *text == "auto")
    return primary_key_mode::automatic;
  if (*text == "local")
    return primary_key_mode::local;
  if (*text == "remote")
    return primary_key_mode::remote;
  return bad("/mode", R"("auto", "local" or "remote")");
}

bool is_host(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_' || c == ':';
  });
}

result<std::vector<key_server>> read_servers(json::object& o) {
  CUSTOS_TRY(const auto items, o.array("servers", servers_per_provider_max));
  if (items.empty())
    return bad("/servers", "at least one key server");
  std::vector<key_server> out;
  for (const auto& item : items) {
    CUSTOS_TRY(auto s, item.as_object());
    key_server server;
    CUSTOS_TRY(server.name, s.string("name", object_name_bytes_max));
    if (!is_object_name(server.name))
      return bad(s.path() + "/name", "1-128 characters of A-Z a-z 0-9 . _ -");
    if (std::any_of(out.begin(), out.end(), [&](const auto& x) { return x.name == server.name; }))
      return bad(s.path() + "/name", "a name that no other server of the provider has");
    CUSTOS_TRY(server.host, s.string("host", host_bytes_max));
    if (!is_host(server.host))
      return bad(s.path() + "/host", "a host name or an IP address");
    CUSTOS_TRY(const auto port, bounded(s, "port", 1, 65535, server.port));
    server.port = static_cast<std::uint16_t>(port);
    CUSTOS_CHECK(s.finish());
    out.push_back(std::move(server));
  }
  return out;
}

result<std::string> read_client_certificate(json::object& o, std::string_view member) {
  CUSTOS_TRY(const auto pem, o.optional_string(member, pem_bytes_max));
  if (!pem || pem->empty())
    return std::string();
  const auto chain = crypto::certificates_from_pem(as_bytes(*pem));
  if (!chain)
    return bad("/" + std::string(member), "PEM certificates: " + chain.failure().message);
  std::string out;
  for (const auto& cert : *chain)
    out += cert.pem();
  return out;
}

result<std::vector<std::string>> read_peer_certificates(json::object& o) {
  constexpr auto member = "trusted_peer_certificates";
  CUSTOS_TRY(const auto items, o.array(member, certificates_per_object_max, true));
  std::vector<std::string> out;
  for (std::size_t i = 0; i < items.size(); ++i) {
    CUSTOS_TRY(const auto pem, items[i].as_string(pem_bytes_max));
    CUSTOS_TRY(const auto cert, read_certificate(pem, at("/trusted_peer_certificates", i)));
    out.push_back(cert.pem());
  }
  return out;
}

result<std::vector<std::string>> read_names(json::object& access, std::string_view member,
                                            bool (*valid)(std::string_view)) {
  CUSTOS_TRY(const auto items, access.array(member, access_entries_max, true));
  std::vector<std::string> out;
  std::set<std::string> seen;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const auto path = at(access.path() + "/" + std::string(member), i);
    CUSTOS_TRY(auto name, items[i].as_string(object_name_bytes_max));
    if (!valid(name))
      return bad(path, "1-128 characters of A-Z a-z 0-9 . _ -");
    if (!seen.insert(name).second)
      return bad(path, "each name once");
    out.push_back(std::move(name));
  }
  return out;
}

bool is_host_pattern(std::string_view text) {
  return !text.empty() && text.find('*') != std::string_view::npos &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '.' || c == '_' || c == '-' || c == '*';
         });
}

result<std::vector<std::string>> read_patterns(json::object& access) {
  CUSTOS_TRY(const auto items, access.array("host_patterns", host_patterns_max, true));
  std::vector<std::string> out;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const auto path = at(access.path() + "/host_patterns", i);
    CUSTOS_TRY(auto pattern, items[i].as_string(object_name_bytes_max));
    if (!is_host_pattern(pattern))
      return bad(path, "1-128 characters of A-Z a-z 0-9 . _ - and *, at least one of them *");
    if (std::find(out.begin(), out.end(), pattern) != out.end())
      return bad(path, "each pattern once");
    out.push_back(std::move(pattern));
  }
  return out;
}

/// Claims that a rule may name, and the values that they can have; none: any text.
struct known_claim {
  std::string_view name;
  std::array<std::string_view, 2> values;
};
constexpr std::array<known_claim, 4> known_claims{{{"image_version", {}},
                                                   {"secure_boot", {"true", "false"}},
                                                   {"ima", {"true", "false"}},
                                                   {"status", {"affirming", "warning"}}}};

result<std::vector<std::string>> read_claim_values(json::object& claims, const known_claim& claim) {
  CUSTOS_TRY(const auto items, claims.array(claim.name, claim_values_max));
  const auto path = claims.path() + "/" + std::string(claim.name);
  if (items.empty())
    return bad(path, "at least one value; leave the claim out if any will do");
  std::vector<std::string> out;
  for (std::size_t i = 0; i < items.size(); ++i) {
    CUSTOS_TRY(auto value, items[i].as_string(version_bytes_max));
    if (value.empty())
      return bad(at(path, i), "a value of 1-" + std::to_string(version_bytes_max) + " bytes");
    const auto& values = claim.values;
    if (!values.front().empty() && std::find(values.begin(), values.end(), value) == values.end())
      return bad(at(path, i),
                 "\"" + std::string(values[0]) + "\" or \"" + std::string(values[1]) + "\"");
    if (std::find(out.begin(), out.end(), value) != out.end())
      return bad(at(path, i), "each value once");
    out.push_back(std::move(value));
  }
  return out;
}

result<std::map<std::string, std::vector<std::string>>> read_claims(json::object& access) {
  std::map<std::string, std::vector<std::string>> out;
  CUSTOS_TRY(auto claims, access.optional_child("claims"));
  if (!claims)
    return out;
  for (const auto& claim : known_claims) {
    if (!claims->has(claim.name))
      continue;
    CUSTOS_TRY(out[std::string(claim.name)], read_claim_values(*claims, claim));
  }
  for (const auto& name : claims->names())
    if (!out.contains(name))
      return bad(claims->path() + "/" + name, "\"image_version\", \"secure_boot\", \"ima\" or "
                                              "\"status\"");
  return out;
}

result<access_rule> read_access(json::object& o) {
  access_rule out;
  CUSTOS_TRY(auto access, o.optional_child("access"));
  if (!access)
    return out;
  CUSTOS_TRY(out.images, read_names(*access, "images", is_object_name));
  CUSTOS_TRY(out.hosts, read_names(*access, "hosts", is_host_name));
  CUSTOS_TRY(out.host_patterns, read_patterns(*access));
  CUSTOS_TRY(out.claims, read_claims(*access));
  CUSTOS_CHECK(access->finish());
  return out;
}

result<std::optional<std::uint32_t>> optional_bounded(json::object& o, std::string_view name,
                                                      std::int64_t min, std::int64_t max) {
  CUSTOS_TRY(const auto given, o.optional_integer(name, min, max));
  return given ? std::optional(static_cast<std::uint32_t>(*given)) : std::nullopt;
}

result<call_limits> read_limits(json::object& o) {
  call_limits out;
  CUSTOS_TRY(auto limits, o.optional_child("limits"));
  if (!limits)
    return out;
  CUSTOS_TRY(out.calls_per_second,
             optional_bounded(*limits, "calls_per_second", 1, calls_per_second_most));
  CUSTOS_TRY(out.burst, optional_bounded(*limits, "burst", 1, burst_most));
  CUSTOS_CHECK(limits->finish());
  return out;
}

result<cache_policy> read_cache(json::object& o) {
  cache_policy out;
  CUSTOS_TRY(auto cache, o.optional_child("cache"));
  if (!cache)
    return out;
  CUSTOS_TRY(out.primary_key_age_s,
             optional_bounded(*cache, "primary_key_age_s", 0, primary_key_age_s_most));
  CUSTOS_TRY(out.grace_s, optional_bounded(*cache, "grace_s", 0, grace_s_most));
  CUSTOS_CHECK(cache->finish());
  return out;
}

result<rotation_schedule> read_rotation(json::object& o) {
  rotation_schedule out;
  CUSTOS_TRY(auto rotation, o.optional_child("rotation"));
  if (!rotation)
    return out;
  CUSTOS_TRY(out.interval_days,
             bounded(*rotation, "interval_days", 0, rotation_interval_days_most, 0));
  CUSTOS_TRY(auto key, rotation->optional_string("key", key_id_bytes_max));
  out.key = std::move(key).value_or("");
  CUSTOS_TRY(const auto since,
             rotation->optional_integer("since", 1, std::numeric_limits<std::int64_t>::max() / 2));
  out.since = since.value_or(0);
  if (out.key.empty() != (out.since == 0))
    return bad(rotation->path() + "/since", "the time that the interval is counted from, with the "
                                            "key that it is counted for");
  CUSTOS_CHECK(rotation->finish());
  return out;
}

result<std::string> read_primary_key_id(json::object& o) {
  CUSTOS_TRY(auto primary, o.optional_string("primary_key_id", key_id_bytes_max));
  return std::move(primary).value_or("");
}

/// Members that both types have.
result<void> read_policy(json::object& o, key_provider& out) {
  CUSTOS_TRY(out.access, read_access(o));
  CUSTOS_TRY(out.limits, read_limits(o));
  CUSTOS_TRY(out.rotation, read_rotation(o));
  return {};
}

// ---- native ------------------------------------------------------------------------------------

bool is_native_key_id(std::string_view text) {
  return text.size() == native_key_id_chars && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

result<native_key> read_native_key(json::object& o) {
  native_key out;
  CUSTOS_TRY(out.id, o.string("id", native_key_id_chars));
  if (!is_native_key_id(out.id))
    return bad(o.path() + "/id", "32 hex digits");
  CUSTOS_TRY(auto sealed, o.base64url("sealed_key", sealed_bytes_max));
  out.key.sealed = std::move(sealed);
  if (out.key.sealed.size() != sealed_overhead_bytes + native_key_bytes ||
      !data_key_of(out.key.sealed))
    return bad(o.path() + "/sealed_key", "32 octets sealed by a node of this cluster");
  CUSTOS_TRY(out.created, o.integer("created", 1, std::numeric_limits<std::int64_t>::max() / 2));
  CUSTOS_TRY(out.backed_up, flag(o, "backed_up", false));
  CUSTOS_CHECK(o.finish());
  return out;
}

result<std::vector<native_key>> read_native_keys(json::object& o) {
  CUSTOS_TRY(const auto items, o.array("primary_keys", native_keys_max));
  if (items.empty())
    return bad("/primary_keys", "at least one primary key, made by a node of this cluster");
  std::vector<native_key> out;
  for (std::size_t i = 0; i < items.size(); ++i) {
    CUSTOS_TRY(auto one, items[i].as_object());
    CUSTOS_TRY(auto key, read_native_key(one));
    if (std::any_of(out.begin(), out.end(), [&](const auto& k) { return k.id == key.id; }))
      return bad(one.path() + "/id", "each key once");
    out.push_back(std::move(key));
  }
  return out;
}

result<key_provider> read_native(json::object& o) {
  for (const auto* member :
       {"servers", "client_certificate", "sealed_client_private_key", "next_client_certificate",
        "sealed_next_client_private_key", "trusted_peer_certificates", "username",
        "sealed_password", "timeout_ms", "legacy_ciphers", "cache"})
    if (o.has(member))
      return bad("/" + std::string(member),
                 "no such member: a native provider holds its primary keys itself");
  key_provider out;
  out.type = provider_type::native;
  CUSTOS_TRY(out.mode, read_mode(o));
  if (out.mode == primary_key_mode::remote)
    return bad("/mode", "\"local\": a native provider has no key server");
  out.mode = primary_key_mode::local;
  CUSTOS_TRY(out.primary_keys, read_native_keys(o));
  CUSTOS_TRY(out.primary_key_id, read_primary_key_id(o));
  if (std::none_of(out.primary_keys.begin(), out.primary_keys.end(),
                   [&](const auto& k) { return k.id == out.primary_key_id; }))
    return bad("/primary_key_id", "the id of one of primary_keys");
  CUSTOS_CHECK(read_policy(o, out));
  return out;
}

// ---- on key servers ----------------------------------------------------------------------------

result<void> read_client_identity(json::object& o, key_provider& out) {
  CUSTOS_TRY(out.client_certificate, read_client_certificate(o, "client_certificate"));
  CUSTOS_TRY(out.client_private_key, read_sealed(o, "sealed_client_private_key"));
  // A key without a certificate is a signing request on its way; the reverse is of no use.
  if (!out.client_certificate.empty() && out.client_private_key.sealed.empty())
    return bad("/sealed_client_private_key", "the sealed private key of client_certificate");
  CUSTOS_TRY(out.next_client_certificate, read_client_certificate(o, "next_client_certificate"));
  CUSTOS_TRY(out.next_client_private_key, read_sealed(o, "sealed_next_client_private_key"));
  if (!out.next_client_certificate.empty() && out.next_client_private_key.sealed.empty())
    return bad("/sealed_next_client_private_key",
               "the sealed private key of next_client_certificate");
  if (!out.next_client_private_key.sealed.empty() && out.client_certificate.empty())
    return bad("/client_certificate", "the certificate that the next one follows");
  return {};
}

result<key_provider> read_kmip(json::object& o) {
  if (o.has("primary_keys"))
    return bad("/primary_keys", "no such member: the primary keys are on the key servers");
  key_provider out;
  CUSTOS_TRY(out.primary_key_id, read_primary_key_id(o));
  CUSTOS_TRY(out.mode, read_mode(o));
  CUSTOS_TRY(out.servers, read_servers(o));
  CUSTOS_CHECK(read_client_identity(o, out));
  CUSTOS_TRY(out.trusted_peer_certificates, read_peer_certificates(o));
  CUSTOS_TRY(auto username, o.optional_string("username", username_bytes_max));
  out.username = std::move(username).value_or("");
  CUSTOS_TRY(out.password, read_sealed(o, "sealed_password"));
  if (out.username.empty() && !out.password.sealed.empty())
    return bad("/username", "the name that sealed_password belongs to");
  CUSTOS_TRY(out.timeout_ms,
             bounded(o, "timeout_ms", timeout_ms_min, timeout_ms_max, out.timeout_ms));
  CUSTOS_TRY(out.legacy_ciphers, flag(o, "legacy_ciphers", false));
  CUSTOS_TRY(out.cache, read_cache(o));
  CUSTOS_CHECK(read_policy(o, out));
  return out;
}

} // namespace

result<key_provider> read_key_provider(json::object& o) {
  CUSTOS_TRY(const auto type, o.optional_string("type", 16));
  if (!type || *type == "kmip")
    return read_kmip(o);
  if (*type == "native")
    return read_native(o);
  return bad("/type", "\"kmip\" or \"native\"");
}

} // namespace custos::cluster::detail
