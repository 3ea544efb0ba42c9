#pragma once
// What nodes say to each other first, and why they may refuse each other. Pure.
//
// Content of a hello record:
//
//   "CUSTOSLN"(8) || version_min(2) || version_max(2) || cluster id(16) || incarnation(16)
//   || length(1) || node name || length(1) || program version || anything
//
// Numbers are big-endian. What follows is for later versions, which have to be understood by this
// one as far as here: a hello is read before both sides know a common version.

#include "cluster/link/limits.hpp"
#include "messages/bytes.hpp"
#include "messages/error.hpp"

#include <array>
#include <string>
#include <string_view>

namespace custos::cluster::link {

/// Versions of the link protocol that this program speaks.
inline constexpr std::uint16_t protocol_version_min = 1;
inline constexpr std::uint16_t protocol_version_max = 1;

inline constexpr std::size_t cluster_id_bytes = 16;
inline constexpr std::size_t incarnation_bytes = 16;
inline constexpr std::size_t node_name_bytes_max = 128;
inline constexpr std::size_t program_version_bytes_max = 32;

/// Random, of one process: tells a node that restarted from a second one with its identity.
using incarnation = std::array<std::uint8_t, incarnation_bytes>;
using cluster_id = std::array<std::uint8_t, cluster_id_bytes>;

struct hello {
  std::uint16_t version_min = protocol_version_min;
  std::uint16_t version_max = protocol_version_max;
  cluster_id cluster{};
  incarnation process{};
  std::string node;            ///< is_node_name
  std::string program_version; ///< 1-32 printable ASCII characters; for people
};

/// 1-128 of [A-Za-z0-9._-], the first a letter or digit: as names of the configuration.
bool is_node_name(std::string_view name);

/// Names in `hello` that are out of bounds are a programmer error.
bytes write_hello(const hello& h);
/// errc::malformed or errc::too_large, with the field.
result<hello> read_hello(byte_view content);

/// Why a peer is refused. The values travel: never renumbered.
enum class refusal_reason : std::uint8_t {
  other_cluster = 1, ///< the cluster ids differ
  version,           ///< no common version of the protocol
  name_differs,      ///< the hello, the certificate and whom we dialled are not one name
  ourselves,         ///< this very process: an address in the membership is our own
  identity_in_use,   ///< another living process has this name: a copied data directory
  not_a_member,      ///< a node of the CA that the membership does not have (any more)
  certificate,       ///< the membership has the name with another certificate
  duplicate,         ///< there is a link between the two already
  protocol,          ///< something else than the protocol says was sent
  stopping,          ///< the node is being stopped
};

/// Stable, for error::check and metrics: "link-other-cluster".
std::string_view check_of(refusal_reason reason);
/// errc::forbidden or what fits better; the message names `peer`. `by_peer`: it refused us.
error refusal_error(refusal_reason reason, std::string_view peer, bool by_peer);
/// What a refusal record says; unknown reasons of later versions are told as such.
error read_refusal(std::uint8_t reason, std::string_view peer);

/// Whom we talk to, as far as TLS and the membership know.
struct expected_peer {
  std::string_view certificate_name; ///< NAME of the certificate's "node:NAME"
  std::string_view dialled;          ///< the member whose address we dialled; empty if it dialled
};

/// Whether the peer is who it should be: the version to speak, or why not.
struct hello_verdict {
  std::uint16_t version = 0;
  std::optional<refusal_reason> refused;
};
hello_verdict judge_hello(const hello& own, const hello& theirs, const expected_peer& expected);

} // namespace custos::cluster::link
