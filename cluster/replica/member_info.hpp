#pragma once
// What the membership says of a node: who it is, where its link listens, and by which certificates
// and key it is known. JSON in raft::member::info:
//   {"certificates":[SHA-256 hex,...],"host":h,"name":n,"port":p,"public_key":base64url SPKI}
// Pure.

#include "adapters/crypto/x509.hpp"
#include "cluster/link/link.hpp"
#include "cluster/raft/types.hpp"

#include <optional>
#include <string>
#include <vector>

namespace custos::cluster::replica {

/// During the change of a node's certificate there are two.
inline constexpr std::size_t certificates_per_member_max = 4;

struct member_info {
  std::string name;
  std::string host; ///< name or address at which the other nodes reach its link
  std::uint16_t port = 0;
  std::vector<crypto::sha256_digest> certificates;
  bytes public_key; ///< SubjectPublicKeyInfo (DER) of its TLS key, P-256

  friend bool operator==(const member_info&, const member_info&) = default;
};

std::string write_member_info(const member_info& info);
/// errc::malformed, errc::invalid_argument, with the field.
result<member_info> read_member_info(std::string_view text);

/// "host:port", with brackets around an IPv6 address: errc::invalid_argument, field
/// "cluster_address".
struct link_address {
  std::string host;
  std::uint16_t port = 0;
};
result<link_address> parse_link_address(std::string_view text);

/// A replica with its info. Members whose info does not read are left out: they cannot be reached.
struct known_member {
  raft::replica_id id = 0;
  raft::member_role role = raft::member_role::standby;
  member_info info;
};
std::vector<known_member> known_members(const raft::membership& members);
const known_member* find_by_name(const std::vector<known_member>& members, std::string_view name);

/// As the link wants them.
std::vector<link::link_member> link_members(const std::vector<known_member>& members);

} // namespace custos::cluster::replica
