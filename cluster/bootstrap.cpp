#include "cluster/bootstrap.hpp"

#include "cluster/command_codec.hpp"

#include <algorithm>

namespace custos::cluster {

namespace {

constexpr crypto::unix_seconds client_life_s_min = 3600;
constexpr crypto::unix_seconds client_life_s_max = 5LL * 365 * 24 * 3600;
constexpr std::size_t pem_line_characters = 64; // RFC 7468, 2
constexpr std::string_view left_prefix = "left-command/";
constexpr std::size_t left_id_bytes = 16;

std::string left_key(const std::string& operation_id) {
  return std::string(left_prefix) + operation_id;
}

result<crypto::key> key_of_csr(const client_request& request) {
  const auto csr = crypto::read_csr_pem(as_bytes(request.csr_pem));
  if (!csr)
    return field_error(csr.failure().code, "csr", csr.failure().message);
  if (!csr->common_name.empty() && csr->common_name != request.name)
    return field_error(errc::invalid_argument, "csr",
                       "expected the common name \"" + request.name + "\" or none");
  return csr->public_key;
}

std::string default_issuer(const init_options& options) {
  if (!options.dns_names.empty())
    return "https://" + options.dns_names.front();
  const auto& ip = options.ip_addresses.front();
  return "https://" + (ip.find(':') == std::string::npos ? ip : "[" + ip + "]");
}

} // namespace

crypto::secret_bytes private_key_pem(const crypto::key& key) {
  constexpr std::string_view begin = "-----BEGIN PRIVATE KEY-----\n";
  constexpr std::string_view end = "-----END PRIVATE KEY-----\n";
  auto text = crypto::base64(key.pkcs8_der().reveal_secret());
  const auto lines = (text.size() + pem_line_characters - 1) / pem_line_characters;
  crypto::secret_bytes out(begin.size() + text.size() + lines + end.size());
  auto* p = std::copy(begin.begin(), begin.end(), out.writable_secret().data());
  for (std::size_t at = 0; at < text.size(); at += pem_line_characters) {
    const auto size = std::min(pem_line_characters, text.size() - at);
    p = std::copy_n(text.data() + at, size, p);
    *p++ = '\n';
  }
  std::copy(end.begin(), end.end(), p);
  crypto::wipe(text.data(), text.size());
  return out;
}

result<client_credentials> issue_client_certificate(const cluster_keys& keys,
                                                    const client_request& request,
                                                    crypto::unix_seconds now) {
  CUSTOS_CHECK(check_object_name(object_kind::principal, request.name));
  if (request.life_s < client_life_s_min || request.life_s > client_life_s_max)
    return field_error(errc::invalid_argument, "life_s", "expected one hour to five years");
  client_credentials out;
  crypto::key key;
  if (request.csr_pem.empty()) {
    CUSTOS_TRY(key, crypto::generate_p256());
    out.private_key_pem = private_key_pem(key);
  } else {
    CUSTOS_TRY(key, key_of_csr(request));
  }
  crypto::certificate_request wanted;
  wanted.common_name = request.name;
  wanted.organization = "Custos";
  wanted.client_auth = true;
  wanted.not_before = now - clock_skew_s;
  wanted.not_after = std::min(now + request.life_s, keys.ca_certificate.not_after());
  CUSTOS_TRY(const auto cert,
             crypto::issue_certificate(wanted, key, keys.ca_key, &keys.ca_certificate));
  out.certificate_pem = cert.pem();
  out.ca_pem = keys.ca_certificate.pem();
  return out;
}

config_command principal_command(std::string name, role may, std::string actor) {
  config_command out;
  out.kind = object_kind::principal;
  out.document = write_object(principal{name, may});
  out.name = std::move(name);
  out.actor = std::move(actor);
  return out;
}

result<initialized> init_cluster(const init_options& options) {
  const node_request node{options.node_name, options.dns_names, options.ip_addresses,
                          options.cluster_address};
  CUSTOS_CHECK(check_node_request(node));
  CUSTOS_TRY(const auto keys, generate_cluster_keys(options.cluster_name,
                                                    options.issuer.empty() ? default_issuer(options)
                                                                           : options.issuer,
                                                    options.now));
  node_identity identity;
  identity.name = options.node_name;
  CUSTOS_TRY(identity.tls_key, crypto::generate_p256());
  CUSTOS_TRY(identity.certificate,
             issue_node_certificate(keys, node, identity.tls_key, options.now));
  CUSTOS_TRY(auto administrator,
             issue_client_certificate(keys, {std::string(first_administrator), {}}, options.now));
  const config_state empty;
  CUSTOS_TRY(const auto first, empty.apply(principal_command(std::string(first_administrator),
                                                             role::administrator, "init")));
  CUSTOS_TRY(const auto address, replica::parse_link_address(cluster_address_of(node)));
  CUSTOS_CHECK(create_node_store(options.data_dir,
                                 {keys, first_data_key_ring(), identity, &first.next, address},
                                 options.node_key));
  return initialized{keys.cluster_id, std::move(administrator)};
}

result<void> leave_command(node_store& node, config_command command) {
  command.operation_id = "left-" + crypto::hex(crypto::random_bytes(left_id_bytes));
  CUSTOS_CHECK(check_replicable(command));
  rocksdb::write_batch batch;
  batch.put(left_key(command.operation_id), encode(replicated_command{command, 0}));
  return node.store()->write(batch);
}

result<std::vector<config_command>> left_commands(const node_store& node) {
  CUSTOS_TRY(const auto found, node.store()->scan(left_prefix));
  std::vector<config_command> out;
  for (const auto& entry : found) {
    CUSTOS_TRY(auto command, decode_replicated_command(entry.value));
    out.push_back(std::move(command.command));
  }
  return out;
}

result<void> forget_left_command(node_store& node, const std::string& operation_id) {
  rocksdb::write_batch batch;
  batch.erase(left_key(operation_id));
  return node.store()->write(batch);
}

result<node_identity> renewed_identity(const node_store& node, crypto::unix_seconds now) {
  const auto present = node.identity();
  node_request request;
  request.name = present.name;
  request.dns_names = present.certificate.dns_names();
  request.ip_addresses = present.certificate.ip_addresses();
  node_identity out;
  out.name = present.name;
  CUSTOS_TRY(out.tls_key, crypto::generate_p256());
  CUSTOS_TRY(out.certificate, issue_node_certificate(*node.keys(), request, out.tls_key, now));
  return out;
}

} // namespace custos::cluster
