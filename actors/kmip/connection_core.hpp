#pragma once
// What the actor of one KMIP connection decides, without actor, clock or socket: when to connect,
// what to send, whom to answer. Connects on demand, closes when idle (servers drop idle connections
// after 30 s and tell nobody), backs off after failed attempts, and repeats once, on a fresh
// connection, what a kept connection lost and may be repeated.

#include "adapters/kmip/session.hpp"
#include "messages/keys.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace custos::kmip {

using time_point = std::chrono::steady_clock::time_point;

inline constexpr std::chrono::seconds connection_idle_max{20};
/// From the attempt to connect to the answer to Query.
inline constexpr std::chrono::milliseconds setup_timeout_default{5000};
inline constexpr std::chrono::milliseconds back_off_first{100};
inline constexpr std::chrono::milliseconds back_off_max{5000};

struct connection_options {
  std::string server; ///< name, for messages and status
  std::string username;
  crypto::secret_ptr password;
  std::size_t in_flight_max = 1;
  std::chrono::milliseconds request_timeout{5000};
  std::chrono::milliseconds setup_timeout = setup_timeout_default;
  ttlv_limits limits;
  std::function<std::uint64_t()> random; ///< of a CSPRNG: Batch Item IDs, jitter
};

struct connection_effects {
  std::optional<std::uint64_t> open;      ///< connect; events of it carry this number
  std::vector<crypto::wiped_bytes> write; ///< in order, after a close or open of the same step
  bool read_more = false;
  bool close = false; ///< the stream there was before this step
  std::vector<session_effects::completion> completed;
  /// Answers to `when_ready`.
  struct readiness {
    std::uint64_t ticket = 0;
    result<capabilities> outcome;
  };
  std::vector<readiness> ready;
};

/// Errors of completions, beside those of adapters/kmip/protocol.hpp:
///   unavailable  the request was not sent: no connection, or not before request_timeout
///   io_failure   the connection was lost after the request was sent
///   timeout      request_timeout passed after the request was sent
///   cancelled    shut_down
class connection_core {
public:
  explicit connection_core(connection_options options);

  connection_effects submit(std::uint64_t ticket, request r, time_point now);
  /// Answered when the server is ready, or it is clear that it will not be.
  connection_effects when_ready(std::uint64_t ticket, time_point now);

  connection_effects on_connected(std::uint64_t connection, time_point now);
  connection_effects on_received(std::uint64_t connection, byte_view octets, time_point now);
  connection_effects on_closed(std::uint64_t connection, error why, time_point now);
  connection_effects on_tick(time_point now);
  /// Fails everything; the core is not used any more.
  connection_effects shut_down();

  /// When on_tick has something to do; empty: not before the next event.
  [[nodiscard]] std::optional<time_point> wake_at() const;
  [[nodiscard]] const key_server_status& status() const { return status_; }

private:
  /// What is known of a request beside its content, which the session holds.
  struct tracked {
    time_point deadline;
    std::uint64_t submitted_on = 0; ///< connection that was ready then; 0: none was
    bool repeated = false;
  };

  connection_effects refuse_in_back_off(std::uint64_t ticket, bool readiness, time_point now) const;
  void open(connection_effects& out, time_point now);
  void apply(connection_effects& out, session_effects step, time_point now);
  void became_ready(connection_effects& out);
  void go_down(connection_effects& out, error why, time_point now);
  void attempt_failed(connection_effects& out, error why, std::vector<session::pending> unfinished,
                      time_point now);
  void connection_lost(connection_effects& out, const error& why, bool inside_message,
                       std::vector<session::pending> unfinished, time_point now);
  void expire(connection_effects& out, time_point now);
  void complete(connection_effects& out, std::uint64_t ticket, result<answer> outcome);

  connection_options options_;
  std::optional<session> session_; ///< there while connecting or connected
  std::uint64_t connection_ = 0;   ///< number of the present or last attempt
  bool connected_ = false;         ///< TLS is up
  bool was_ready_ = false;         ///< the present session has been ready
  std::optional<protocol_version> assumed_;
  std::map<std::uint64_t, tracked> requests_;
  std::map<std::uint64_t, time_point> ready_waiters_; ///< ticket to deadline
  time_point setup_deadline_;
  time_point idle_since_;
  time_point back_off_until_;
  unsigned failures_ = 0; ///< attempts that failed in a row
  error last_failure_;
  key_server_status status_;
};

} // namespace custos::kmip
