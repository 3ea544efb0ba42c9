#pragma once
// One KMIP connection as a machine without I/O: octets and requests in, octets and answers out.
// After the connection is up: Discover Versions in a 1.1 header with our list, the highest of ours
// that the server has; Query; then the requests, at most in_flight_max messages without their
// answer, answers taken in order and checked against the Unique Batch Item ID. With batch_max above
// 1, requests that wait and may be repeated share a message. Whatever cannot be the answer closes:
// nothing after it would be trustworthy.

#include "adapters/kmip/protocol.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <vector>

namespace custos::kmip {

/// Requests that may wait in one session, those in flight counted.
inline constexpr std::size_t session_requests_max = 1024;

struct session_options {
  ttlv_limits limits;
  std::string username;
  crypto::secret_ptr password;
  std::size_t in_flight_max = 1; ///< messages sent without their answer
  /// Requests in one message, 1 to batch_items_max; 1: no batches.
  std::size_t batch_max = 1;
  /// Known from an earlier connection: Discover Versions is left out.
  std::optional<protocol_version> assumed;
  /// A fresh random Unique Batch Item ID.
  std::function<batch_item_id()> new_id;
};

/// What a step came to. Octets are to be sent in order.
struct session_effects {
  struct completion {
    std::uint64_t ticket = 0;
    result<answer> outcome;
  };
  std::vector<crypto::wiped_bytes> output;
  std::vector<completion> completed;
  bool became_ready = false;
  /// The connection must be closed, for this reason; the session takes nothing more. Requests
  /// without completion are the caller's to fail or to repeat (see `unfinished`).
  std::optional<error> close;
  /// With close: a new connection should assume this version.
  std::optional<protocol_version> fall_back;
  /// With close: this server takes no batches; a new connection should have batch_max 1. The
  /// requests of the batch are unfinished.
  bool batch_refused = false;
};

class session {
public:
  explicit session(session_options options);

  /// The connection is up.
  session_effects start();
  /// `ticket` names the request in completions; unique among unfinished ones.
  session_effects submit(std::uint64_t ticket, request r);
  session_effects feed(byte_view octets);

  [[nodiscard]] bool ready() const { return phase_ == phase::ready; }
  [[nodiscard]] bool closed() const { return phase_ == phase::closed; }
  /// Part of an answer has come, the rest has not.
  [[nodiscard]] bool inside_message() const { return !received_.empty(); }
  /// No request in flight or waiting.
  [[nodiscard]] bool idle() const { return waiting_.empty() && in_flight_.empty(); }
  /// Valid once ready.
  [[nodiscard]] const capabilities& server() const { return server_; }

  struct pending {
    std::uint64_t ticket = 0;
    request what;
    bool sent = false; ///< some octets of it may have reached the server
  };
  /// Forgets a request that was not sent. False: it was sent, or is not known.
  bool cancel(std::uint64_t ticket);
  /// Requests without completion, in order; empties the session.
  std::vector<pending> take_unfinished();

private:
  enum class phase : std::uint8_t { fresh, discovering, querying, ready, closed };
  /// A message on its way: one request, or a batch.
  struct sent_message {
    std::vector<std::uint64_t> tickets; ///< 0: the session's own request
    std::vector<request> what;
    std::vector<batch_item_id> ids;
    protocol_version version;
  };

  [[nodiscard]] message_options options_for(protocol_version version) const;
  [[nodiscard]] std::size_t next_batch() const;
  void send_batch(session_effects& out, std::size_t count);
  void take_batch(session_effects& out, sent_message asked, byte_view message);
  void send(session_effects& out, std::uint64_t ticket, request r);
  void send_waiting(session_effects& out);
  result<void> take_octets(session_effects& out, byte_view& octets);
  void keep(byte_view& octets, std::size_t up_to);
  void take_message(session_effects& out, byte_view message);
  void negotiate(session_effects& out, const response& r);
  void use_versions(session_effects& out, const std::vector<protocol_version>& theirs);
  void finish_query(session_effects& out, const response& r);
  void close(session_effects& out, error why);

  session_options options_;
  phase phase_ = phase::fresh;
  protocol_version version_{1, 1};
  capabilities server_;
  std::deque<pending> waiting_;
  std::deque<sent_message> in_flight_;
  std::size_t requests_in_flight_ = 0;
  crypto::wiped_bytes received_; ///< of a message not yet complete
};

} // namespace custos::kmip
