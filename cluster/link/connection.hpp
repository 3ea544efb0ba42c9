#pragma once
// For this folder only: one connection to a peer, from the connected socket to the end. TLS runs
// straight on the non-blocking socket, as in adapters/http (docs/decisions/0005).
//
// Thread rule: everything on the strand of the link. Calls to the owner come from the strand and
// never from inside a call to the connection.

#include "cluster/link/hello.hpp"
#include "cluster/link/record.hpp"
#include "cluster/link/tls.hpp"

#include <atomic>
#include <boost/asio.hpp>
#include <deque>

namespace custos::cluster::link {

namespace asio = boost::asio;
using tcp = asio::ip::tcp;
using boost::system::error_code;
using strand = asio::strand<asio::io_context::executor_type>;
using socket = asio::basic_stream_socket<tcp, strand>;
using timer = asio::basic_waitable_timer<std::chrono::steady_clock,
                                         asio::wait_traits<std::chrono::steady_clock>, strand>;

/// What a link may have waiting to be sent. Taken by any thread, given back on the strand.
class send_budget {
public:
  send_budget(std::size_t bytes_max, std::size_t frames_max)
      : bytes_max_(bytes_max), frames_max_(frames_max) {}
  bool take(std::size_t bytes);
  void give(std::size_t bytes, std::size_t frames);
  [[nodiscard]] std::size_t bytes_taken() const { return bytes_; }

private:
  const std::size_t bytes_max_;
  const std::size_t frames_max_;
  std::atomic<std::size_t> bytes_{0};
  std::atomic<std::size_t> frames_{0};
};

class connection;

class connection_owner {
public:
  virtual ~connection_owner() = default;
  /// The first octet of an accepted connection is there.
  virtual void spoke(connection& c) = 0;
  /// The handshake is done; hello is expected now.
  virtual void secured(connection& c) = 0;
  virtual void arrived(connection& c, record r) = 0;
  /// The end, once, unless `abandon` was called.
  virtual void closed(connection& c, const error& why) = 0;
};

class connection : public std::enable_shared_from_this<connection> {
public:
  connection(std::uint64_t id, socket&& s, std::string where, const link_options& options,
             std::weak_ptr<connection_owner> owner);

  /// Waits for the peer to speak first, then shakes hands.
  void accept(std::shared_ptr<const tls_identity> identity);
  void dial(std::shared_ptr<const tls_identity> identity, std::chrono::milliseconds timeout);

  void send(record_kind kind, byte_view content) { enqueue({write_record(kind, content), false}); }
  /// A frame, as written by write_record, with what it took of the budget.
  void send_frame(bytes written);
  /// The owner expects something within this time, or the connection ends with `what`.
  void expect_within(std::chrono::milliseconds limit, std::string what);
  /// Delivers nothing more until `become_link`.
  void hold() { held_ = true; }
  /// From now on it carries frames, and heartbeats.
  void become_link(std::shared_ptr<send_budget> budget);
  /// Counts a delivered frame until the receipt is dropped.
  receipt make_receipt(std::size_t n);
  /// Tells the peer why, and closes when it has read that or linger_max has passed.
  void refuse(refusal_reason reason, error why);
  void close(error why);
  /// Closes without a word to anybody.
  void abandon();

  [[nodiscard]] std::uint64_t id() const { return id_; }
  [[nodiscard]] const std::string& where() const { return where_; } ///< address:port
  [[nodiscard]] const peer_certificate& peer() const { return peer_; }
  /// The handshake was done; stays true.
  [[nodiscard]] bool is_secured() const { return secured_; }
  [[nodiscard]] bool is_ending() const { return phase_ >= phase::lingering; }
  [[nodiscard]] bool is_link() const { return phase_ == phase::link; }

private:
  enum class phase : std::uint8_t { waiting, handshaking, hello, link, lingering, closed };
  struct outgoing {
    bytes octets;
    bool frame = false; ///< counts against the budget
  };
  struct token;
  using clock = std::chrono::steady_clock;

  void begin_handshake(bool accepting);
  void handshake();
  void on_handshaken();
  void enqueue(outgoing o);
  void pump();
  void flush();
  void gather();
  void read();
  bool parse();
  void blocked(int done);
  [[nodiscard]] bool paused() const;
  void wait_once(bool& waiting, tcp::socket::wait_type what);
  void again();
  void beat();
  void linger();
  void discard();
  void give_back(std::size_t n);
  void shut();

  const std::uint64_t id_;
  socket socket_;
  const std::string where_;
  const link_options options_;
  const std::weak_ptr<connection_owner> owner_;
  timer deadline_;
  timer heartbeat_;
  phase phase_ = phase::waiting;
  std::shared_ptr<const tls_identity> identity_;
  ssl_ptr ssl_;
  peer_certificate peer_;

  record_reader reader_;
  bytes in_; ///< decrypted; in_begin_..in_end_ is not parsed yet
  std::size_t in_begin_ = 0;
  std::size_t in_end_ = 0;
  bool held_ = false;
  std::size_t window_bytes_ = 0; ///< delivered, receipts not back
  std::size_t window_frames_ = 0;

  std::deque<outgoing> queue_;
  bytes out_; ///< gathered from the queue; out_begin_.. is not written yet
  std::size_t out_begin_ = 0;
  std::size_t out_frame_bytes_ = 0; ///< budget held by what is in out_
  std::size_t out_frames_ = 0;
  std::shared_ptr<send_budget> budget_;

  bool waiting_read_ = false;
  bool waiting_write_ = false;
  bool pump_posted_ = false;
  bool secured_ = false;
  bool discarding_ = false;
  clock::time_point last_heard_;
  clock::time_point last_sent_; ///< the peer took something, or there was nothing to take
  clock::time_point last_beat_;
  error ending_; ///< while lingering
};

} // namespace custos::cluster::link
