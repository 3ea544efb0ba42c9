#pragma once
// The link between the nodes of a cluster: one TLS 1.3 connection to each other member, both sides
// with certificates of the cluster's CA, that carries frames of octets. Why frames and not actor
// messages: docs/decisions/0012. Asio and OpenSSL stay behind this header.
//
// Promised: a frame is delivered at most once, and in order within one connection; frames may be
// lost with their connection. One silent, slow or hostile peer costs bounded memory and delays
// nobody else. Who is no member gets no octet into the program but a hello.
//
// Frames are plain octets in memory here: what is secret in them has to be sealed by who sends it.
//
// Host names are looked up by the one resolver thread that Asio has, one after another; members
// given by address do not wait for it.
//
// Threads: all functions may be called from any thread. Events come from threads of the io_pool,
// never two at once, and must not block.

#include "adapters/crypto/x509.hpp"
#include "adapters/http/http.hpp"
#include "cluster/cluster_keys.hpp"
#include "cluster/link/limits.hpp"
#include "messages/clock.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace custos::cluster::link {

/// Who this node is, and whose certificates it believes. During a change of the CA there are two.
struct link_identity {
  std::string cluster_id; ///< 32 hex digits
  std::string node;       ///< NAME of the certificate's "node:NAME"
  crypto::certificate certificate;
  crypto::key key;
  std::vector<crypto::certificate> authorities;
};
link_identity identity_of(const cluster_keys& keys, const node_identity& node);

/// One node of the membership.
struct link_member {
  std::string name;
  std::string host; ///< name or address that it listens at
  std::uint16_t port = 0;
  /// Fingerprints of the certificates it may have; empty: any of the CA with its name.
  std::vector<crypto::sha256_digest> certificates = {};
};

struct link_options {
  using milliseconds = std::chrono::milliseconds;
  std::string address = "127.0.0.1"; ///< to listen at
  std::uint16_t port = 0;            ///< 0: any free port
  /// Connections that have not proven who they are. Each has a descriptor, and 50 KiB once it has
  /// begun a handshake; keep it well below the limit of open files.
  std::size_t half_open_max = 64;
  std::size_t half_open_per_address_max = 16;
  milliseconds handshake_timeout{5000}; ///< from accept to the end of the TLS handshake
  milliseconds dial_timeout{5000};      ///< from the look-up to the end of the TLS handshake
  milliseconds hello_timeout{3000};     ///< for the hello, and for the answer to ours
  milliseconds probe_timeout{2000};     ///< for the echo of a link whose peer appears twice
  milliseconds alive_interval{1000};
  milliseconds silence_max{5000};      ///< without an octet from the peer: the link is dead
  milliseconds write_stall_max{30000}; ///< without an octet taken by the peer
  milliseconds dial_wait_min{200};
  milliseconds dial_wait_max{10000};
  /// How much later the node with the larger name dials.
  milliseconds second_dial_delay{500};
  std::size_t send_queue_bytes_max = 8U << 20U; ///< for each peer, as all that follow
  std::size_t send_queue_frames_max = 4096;
  std::size_t receive_window_bytes = 8U << 20U; ///< handed out, receipt not back
  std::size_t receive_window_frames = 1024;
};

/// Comes with a received frame and is dropped when the frame is done with: until then the frame
/// counts against the peer's receive window. May outlive the link.
using receipt = std::shared_ptr<void>;

/// Two living processes have one identity: a data directory was copied.
struct identity_clash {
  std::string node; ///< the identity; our own or a peer's
  bool ours = false;
  std::string seen_by; ///< the node that noticed; it is trusted to say the truth
};

struct link_peer {
  std::string name;
  std::string incarnation; ///< hex
  std::string program_version;
  std::uint16_t protocol_version = 0;
  crypto::unix_seconds certificate_expires = 0;
};

/// Any may be empty.
struct link_events {
  std::function<void(const link_peer& peer)> up;
  /// Always between `up` of the same link and the next `up` of that peer.
  std::function<void(const std::string& name, const error& why)> down;
  std::function<void(const std::string& name, bytes frame, receipt done)> received;
  std::function<void(const identity_clash& clash)> clash;
};

enum class link_state : std::uint8_t { waiting, dialling, up };

struct link_status {
  link_state state = link_state::waiting;
  std::string host;
  std::uint16_t port = 0;
  link_peer peer;                         ///< as of the last time it was up
  crypto::unix_seconds up_since = 0;      ///< 0: not up
  crypto::unix_seconds last_error_at = 0; ///< 0: never
  std::optional<error> last_error;
  std::uint64_t links = 0; ///< how often it came up
  std::uint64_t frames_received = 0;
  std::uint64_t frames_sent = 0;    ///< put into the queue
  std::uint64_t frames_refused = 0; ///< no link, or the queue was full
  std::size_t queued_bytes = 0;
};

/// Monotonic but for half_open and connections.
struct link_counters {
  std::uint64_t accepted = 0;
  std::uint64_t shed = 0;               ///< half-open ones that went for others
  std::uint64_t handshake_failures = 0; ///< TLS, certificates, deadlines before the hello
  std::uint64_t refused = 0;            ///< authenticated peers that were refused
  std::uint64_t accept_failures = 0;    ///< out of descriptors or memory
  std::size_t half_open = 0;
  std::size_t connections = 0;
  std::string last_refusal; ///< address and reason of the last stranger turned away
};

class node_link {
public:
  /// Binds; `start` begins to accept and to dial. errc::invalid_argument (identity), io_failure.
  static result<std::unique_ptr<node_link>> listen(http::io_pool& pool, link_identity identity,
                                                   link_options options, link_events events,
                                                   clock_source now);
  virtual ~node_link() = default;
  virtual void start() = 0;
  [[nodiscard]] virtual std::uint16_t port() const = 0;

  /// Who belongs to the cluster; an entry for this node itself is ignored. Links of nodes that are
  /// no longer in it, or have another certificate now, are ended. errc::invalid_argument: a name
  /// or address is missing or twice; nothing changes then.
  virtual result<void> set_members(std::vector<link_member> members) = 0;
  /// New handshakes use this one; links that are up go on. The node's name stays.
  virtual result<void> set_identity(const link_identity& identity) = 0;

  /// Queues a frame. errc::too_large, errc::unavailable (no link), errc::overloaded (queue full):
  /// then it was not queued. Success promises nothing but the attempt.
  virtual result<void> send(const std::string& peer, byte_view frame) = 0;

  [[nodiscard]] virtual std::vector<link_status> status() const = 0;
  [[nodiscard]] virtual link_counters counters() const = 0;
  /// Of this process, hex.
  [[nodiscard]] virtual std::string incarnation() const = 0;

  /// Ends all links and the listener. When it returns no event runs or will run. Not to be called
  /// from an event. The destructor does it as well.
  virtual void stop() = 0;
};

} // namespace custos::cluster::link
