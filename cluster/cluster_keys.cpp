#include "cluster/cluster_keys.hpp"

#include "adapters/jose/jose.hpp"
#include "adapters/json/json.hpp"
#include "cluster/config_codec.hpp"
#include "cluster/fields.hpp"
#include "cluster/replica/member_info.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <boost/json.hpp>

namespace custos::cluster {

namespace {

constexpr std::uint8_t keys_version = 1;
constexpr std::size_t cluster_id_bytes = 16;
constexpr std::size_t cluster_name_bytes_max = 64;
constexpr std::size_t issuer_bytes_max = 256;
constexpr std::size_t challenge_key_bytes = 32;
constexpr std::size_t host_name_bytes_max = 253; // RFC 1035, 2.3.4, as text
constexpr std::size_t names_per_node_max = 32;

/// Stored: append only.
enum field_tag : std::uint8_t {
  tag_cluster_id = 1,
  tag_cluster_name,
  tag_issuer,
  tag_ca_key,
  tag_ca_certificate,
  tag_challenge_key,
  tag_token_key,
  tag_ak_ca_key,
  tag_ak_ca_certificate,
};

bool printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

result<void> check_names(std::string_view cluster_name, std::string_view issuer) {
  if (cluster_name.empty() || cluster_name.size() > cluster_name_bytes_max ||
      !printable(cluster_name))
    return field_error(errc::invalid_argument, "cluster_name",
                       "expected 1-64 printable ASCII characters");
  constexpr std::string_view scheme = "https://";
  if (!issuer.starts_with(scheme) || issuer.size() == scheme.size() ||
      issuer.size() > issuer_bytes_max || !printable(issuer) ||
      issuer.find_first_of(" \"<>\\^`{|}?#") != std::string_view::npos)
    return field_error(errc::invalid_argument, "issuer",
                       "expected an https URL without query and fragment");
  return {};
}

result<crypto::certificate> self_signed_ca(const std::string& name, const crypto::key& key,
                                           crypto::unix_seconds now) {
  crypto::certificate_request request;
  request.common_name = name;
  request.organization = "Custos";
  request.is_ca = true;
  request.not_before = now - clock_skew_s;
  request.not_after = now + ca_life_s;
  return crypto::issue_certificate(request, key, key, nullptr);
}

crypto::secret_ptr shared(crypto::secret_bytes secret) {
  return std::make_shared<const crypto::secret_bytes>(std::move(secret));
}

bool is_dns_name(std::string_view name) {
  return !name.empty() && name.size() <= host_name_bytes_max && name.front() != '-' &&
         name.front() != '.' && std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '.';
         });
}

bool is_ip_address(const std::string& text) {
  in6_addr ignored{};
  return ::inet_pton(AF_INET, text.c_str(), &ignored) == 1 ||
         ::inet_pton(AF_INET6, text.c_str(), &ignored) == 1;
}

} // namespace

result<cluster_keys> generate_cluster_keys(std::string cluster_name, std::string issuer,
                                           crypto::unix_seconds now) {
  CUSTOS_CHECK(check_names(cluster_name, issuer));
  cluster_keys out;
  out.cluster_id = crypto::hex(crypto::random_bytes(cluster_id_bytes));
  out.cluster_name = std::move(cluster_name);
  out.issuer = std::move(issuer);
  CUSTOS_TRY(out.ca_key, crypto::generate_p256());
  CUSTOS_TRY(out.ca_certificate,
             self_signed_ca("Custos cluster " + out.cluster_name + " CA", out.ca_key, now));
  out.challenge_key = shared(crypto::random_secret(challenge_key_bytes));
  CUSTOS_TRY(out.token_key, crypto::generate_p256());
  CUSTOS_TRY(out.token_kid, jose::thumbprint(out.token_key));
  CUSTOS_TRY(out.ak_ca_key, crypto::generate_p256());
  CUSTOS_TRY(out.ak_ca_certificate,
             self_signed_ca("Custos cluster " + out.cluster_name + " attestation key CA",
                            out.ak_ca_key, now));
  return out;
}

crypto::secret_bytes serialize(const cluster_keys& keys) {
  const auto ca_key = keys.ca_key.pkcs8_der();
  const auto token_key = keys.token_key.pkcs8_der();
  const auto ak_ca_key = keys.ak_ca_key.pkcs8_der();
  return write_fields(keys_version, {{tag_cluster_id, as_bytes(keys.cluster_id)},
                                     {tag_cluster_name, as_bytes(keys.cluster_name)},
                                     {tag_issuer, as_bytes(keys.issuer)},
                                     {tag_ca_key, ca_key.reveal_secret()},
                                     {tag_ca_certificate, keys.ca_certificate.der()},
                                     {tag_challenge_key, keys.challenge_key->reveal_secret()},
                                     {tag_token_key, token_key.reveal_secret()},
                                     {tag_ak_ca_key, ak_ca_key.reveal_secret()},
                                     {tag_ak_ca_certificate, keys.ak_ca_certificate.der()}});
}

namespace {

/// Reads the parts of one serialised bundle.
class keys_reader {
public:
  explicit keys_reader(const std::vector<tagged_field>& fields) : fields_(fields) {}

  result<std::string> text(std::uint8_t tag) const {
    CUSTOS_TRY(const auto value, one_field(fields_, tag));
    return std::string(as_text(value));
  }
  result<crypto::secret_ptr> secret(std::uint8_t tag, std::size_t size) const {
    CUSTOS_TRY(const auto value, one_field(fields_, tag));
    if (value.size() != size)
      return make_error(errc::malformed, "expected " + std::to_string(size) + " bytes");
    return shared(crypto::secret_bytes(value));
  }
  result<crypto::key> p256(std::uint8_t tag) const {
    CUSTOS_TRY(const auto value, one_field(fields_, tag));
    CUSTOS_TRY(auto key, crypto::private_key_from_pkcs8(value));
    if (key.type() != crypto::key_type::p256)
      return make_error(errc::malformed, "expected a P-256 key");
    return key;
  }
  /// The CA certificate of `key`.
  result<crypto::certificate> ca_of(std::uint8_t tag, const crypto::key& key) const {
    CUSTOS_TRY(const auto value, one_field(fields_, tag));
    CUSTOS_TRY(auto cert, crypto::certificate_from_der(value));
    if (!cert.is_ca() || !cert.public_key().same_public(key))
      return make_error(errc::malformed, "expected the CA certificate of its key");
    return cert;
  }

private:
  const std::vector<tagged_field>& fields_;
};

} // namespace

result<cluster_keys> parse_cluster_keys(byte_view octets) {
  CUSTOS_TRY(const auto fields, read_fields(keys_version, octets));
  const keys_reader reader(fields);
  cluster_keys out;
  CUSTOS_TRY(out.cluster_id, reader.text(tag_cluster_id));
  const auto id = crypto::from_hex(out.cluster_id);
  if (!id || id->size() != cluster_id_bytes)
    return make_error(errc::malformed, "expected a cluster id of 32 hex digits");
  CUSTOS_TRY(out.cluster_name, reader.text(tag_cluster_name));
  CUSTOS_TRY(out.issuer, reader.text(tag_issuer));
  CUSTOS_CHECK(check_names(out.cluster_name, out.issuer));
  CUSTOS_TRY(out.ca_key, reader.p256(tag_ca_key));
  CUSTOS_TRY(out.ca_certificate, reader.ca_of(tag_ca_certificate, out.ca_key));
  CUSTOS_TRY(out.challenge_key, reader.secret(tag_challenge_key, challenge_key_bytes));
  CUSTOS_TRY(out.token_key, reader.p256(tag_token_key));
  CUSTOS_TRY(out.token_kid, jose::thumbprint(out.token_key));
  CUSTOS_TRY(out.ak_ca_key, reader.p256(tag_ak_ca_key));
  CUSTOS_TRY(out.ak_ca_certificate, reader.ca_of(tag_ak_ca_certificate, out.ak_ca_key));
  return out;
}

std::string node_common_name(std::string_view name) {
  return std::string("node:").append(name);
}

result<void> check_node_request(const node_request& request) {
  auto name = check_object_name(object_kind::principal, request.name);
  if (!name)
    return field_error(errc::invalid_argument, "node_name", name.failure().message);
  if (request.dns_names.empty() && request.ip_addresses.empty())
    return field_error(errc::invalid_argument, "dns_names",
                       "expected at least one DNS name or IP address that the node is reached by");
  if (request.dns_names.size() + request.ip_addresses.size() > names_per_node_max)
    return field_error(errc::too_large, "dns_names", "expected at most 32 names and addresses");
  for (const auto& dns : request.dns_names)
    if (!is_dns_name(dns))
      return field_error(errc::invalid_argument, "dns_names", "expected a DNS name");
  for (const auto& ip : request.ip_addresses)
    if (!is_ip_address(ip))
      return field_error(errc::invalid_argument, "ip_addresses",
                         "expected an IPv4 or IPv6 address");
  CUSTOS_CHECK(replica::parse_link_address(cluster_address_of(request)));
  return {};
}

std::string cluster_address_of(const node_request& request) {
  if (!request.cluster_address.empty())
    return request.cluster_address;
  const auto& host =
      request.dns_names.empty() ? request.ip_addresses.front() : request.dns_names.front();
  const bool brackets = host.find(':') != std::string::npos;
  return (brackets ? "[" + host + "]" : host) + ":" + std::to_string(default_link_port);
}

result<crypto::certificate> issue_node_certificate(const cluster_keys& keys,
                                                   const node_request& request,
                                                   const crypto::key& node_public,
                                                   crypto::unix_seconds now) {
  CUSTOS_CHECK(check_node_request(request));
  crypto::certificate_request wanted;
  wanted.common_name = node_common_name(request.name);
  wanted.organization = "Custos";
  wanted.dns_names = request.dns_names;
  wanted.ip_addresses = request.ip_addresses;
  wanted.server_auth = true;
  wanted.client_auth = true; // towards other nodes
  wanted.not_before = now - clock_skew_s;
  wanted.not_after = std::min(now + node_certificate_life_s, keys.ca_certificate.not_after());
  return crypto::issue_certificate(wanted, node_public, keys.ca_key, &keys.ca_certificate);
}

} // namespace custos::cluster
