#include "cluster/replica/member_info.hpp"

#include "adapters/crypto/crypto.hpp"
#include "adapters/json/json.hpp"
#include "cluster/link/hello.hpp"

#include <boost/json.hpp>
#include <charconv>

namespace custos::cluster::replica {

namespace {

constexpr std::size_t host_bytes_max = 253; // RFC 1035, 2.3.4, as text
constexpr std::size_t public_key_bytes_max = 512;
constexpr std::int64_t port_max = 65535;

} // namespace

std::string write_member_info(const member_info& info) {
  boost::json::array certificates;
  for (const auto& one : info.certificates)
    certificates.emplace_back(crypto::hex(one));
  return json::canonical(boost::json::object{{"name", info.name},
                                             {"host", info.host},
                                             {"port", info.port},
                                             {"certificates", std::move(certificates)},
                                             {"public_key", crypto::base64url(info.public_key)}});
}

result<member_info> read_member_info(std::string_view text) {
  CUSTOS_TRY(auto o, json::parse_object(text, raft::member_info_bytes_max));
  member_info out;
  CUSTOS_TRY(out.name, o.string("name", link::node_name_bytes_max));
  if (!link::is_node_name(out.name))
    return field_error(errc::invalid_argument, "/name", "expected the name of a node");
  CUSTOS_TRY(out.host, o.string("host", host_bytes_max));
  if (out.host.empty())
    return field_error(errc::invalid_argument, "/host", "expected a name or an address");
  CUSTOS_TRY(const auto port, o.integer("port", 1, port_max));
  out.port = static_cast<std::uint16_t>(port);
  CUSTOS_TRY(const auto certificates, o.array("certificates", certificates_per_member_max));
  for (const auto& item : certificates) {
    CUSTOS_TRY(const auto digits, item.as_string(2 * sizeof(crypto::sha256_digest)));
    const auto octets = crypto::from_hex(digits);
    crypto::sha256_digest digest{};
    if (!octets || octets->size() != digest.size())
      return field_error(errc::invalid_argument, "/certificates",
                         "expected SHA-256 fingerprints of certificates");
    std::copy(octets->begin(), octets->end(), digest.begin());
    out.certificates.push_back(digest);
  }
  CUSTOS_TRY(out.public_key, o.base64url("public_key", public_key_bytes_max));
  CUSTOS_CHECK(o.finish());
  return out;
}

result<link_address> parse_link_address(std::string_view text) {
  const auto wrong = [] {
    return field_error(errc::invalid_argument, "cluster_address",
                       "expected host:port, where other nodes reach this one");
  };
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos)
    return wrong();
  auto host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']'))
    host = host.substr(1, host.size() - 2);
  else if (host.find(':') != std::string_view::npos)
    return wrong();
  const auto digits = text.substr(colon + 1);
  link_address out;
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), out.port);
  if (read.ec != std::errc() || read.ptr != digits.data() + digits.size() || out.port == 0 ||
      host.empty() || host.size() > host_bytes_max)
    return wrong();
  out.host = std::string(host);
  return out;
}

std::vector<known_member> known_members(const raft::membership& members) {
  std::vector<known_member> out;
  for (const auto& m : members)
    if (auto info = read_member_info(m.info))
      out.push_back({m.id, m.role, *std::move(info)});
  return out;
}

const known_member* find_by_name(const std::vector<known_member>& members, std::string_view name) {
  for (const auto& m : members)
    if (m.info.name == name)
      return &m;
  return nullptr;
}

std::vector<link::link_member> link_members(const std::vector<known_member>& members) {
  std::vector<link::link_member> out;
  for (const auto& m : members)
    out.push_back({m.info.name, m.info.host, m.info.port, m.info.certificates});
  return out;
}

} // namespace custos::cluster::replica
