#include "cluster/link/connection.hpp"

#include <algorithm>
#include <cerrno>
#include <openssl/err.h>
#include <sys/socket.h>

namespace custos::cluster::link {

bool send_budget::take(std::size_t bytes) {
  if (bytes_.fetch_add(bytes) + bytes <= bytes_max_) {
    if (frames_.fetch_add(1) + 1 <= frames_max_)
      return true;
    --frames_;
  }
  bytes_ -= bytes;
  return false;
}

void send_budget::give(std::size_t bytes, std::size_t frames) {
  bytes_ -= bytes;
  frames_ -= frames;
}

/// Gives the window back when the user is done with a frame, on whatever thread.
struct connection::token {
  token(std::weak_ptr<connection> c, std::size_t n) : of(std::move(c)), bytes(n) {}
  token(const token&) = delete;
  token& operator=(const token&) = delete;
  // Without memory to post, the process ends, as it should.
  // NOLINTNEXTLINE(bugprone-exception-escape)
  ~token() {
    if (auto c = of.lock()) {
      auto executor = c->socket_.get_executor();
      asio::post(executor, [c = std::move(c), n = bytes] { c->give_back(n); });
    }
  }
  std::weak_ptr<connection> of;
  std::size_t bytes;
};

connection::connection(std::uint64_t id, socket&& s, std::string where, const link_options& options,
                       std::weak_ptr<connection_owner> owner)
    : id_(id), socket_(std::move(s)), where_(std::move(where)), options_(options),
      owner_(std::move(owner)), deadline_(socket_.get_executor()),
      heartbeat_(socket_.get_executor()) {
  error_code ignored; // a socket that is gone already fails at its first use
  socket_.set_option(tcp::no_delay(true), ignored);
  socket_.non_blocking(true, ignored);
  socket_.native_non_blocking(true, ignored);
}

// ---- up to the hello ----------------------------------------------------------------------------

void connection::accept(std::shared_ptr<const tls_identity> identity) {
  identity_ = std::move(identity);
  expect_within(options_.handshake_timeout, "no TLS handshake");
  // Memory for TLS is spent on those only that begin to speak it.
  socket_.async_wait(tcp::socket::wait_read, [self = shared_from_this()](error_code failed) {
    if (failed || self->phase_ != phase::waiting)
      return;
    if (const auto owner = self->owner_.lock())
      owner->spoke(*self);
    self->begin_handshake(true);
  });
}

void connection::dial(std::shared_ptr<const tls_identity> identity,
                      std::chrono::milliseconds timeout) {
  identity_ = std::move(identity);
  expect_within(timeout, "no TLS handshake");
  asio::post(socket_.get_executor(), [self = shared_from_this()] { self->begin_handshake(false); });
}

void connection::begin_handshake(bool accepting) {
  if (phase_ != phase::waiting)
    return;
  ssl_ = identity_->begin(socket_.native_handle(), accepting);
  if (!ssl_)
    return close(make_error(errc::overloaded, "no memory for TLS with " + where_));
  phase_ = phase::handshaking;
  handshake();
}

void connection::handshake() {
  if (phase_ != phase::handshaking)
    return;
  ERR_clear_error();
  const int done = SSL_do_handshake(ssl_.get());
  if (done == 1)
    return on_handshaken();
  const int want = SSL_get_error(ssl_.get(), done);
  if (want == SSL_ERROR_WANT_READ || want == SSL_ERROR_WANT_WRITE) {
    socket_.async_wait(want == SSL_ERROR_WANT_READ ? tcp::socket::wait_read
                                                   : tcp::socket::wait_write,
                       [self = shared_from_this()](error_code failed) {
                         if (!failed)
                           self->handshake();
                       });
    return;
  }
  error why = handshake_error(ssl_.get(), where_);
  if (why.check != untrusted_check)
    return close(std::move(why));
  // Its hello may be on the way: closing on unread octets would take our alert back.
  phase_ = phase::lingering;
  ending_ = std::move(why);
  expect_within(linger_max, "");
  linger();
}

void connection::on_handshaken() {
  auto peer = peer_certificate_of(ssl_.get());
  if (!peer)
    return close(std::move(peer).failure());
  peer_ = *std::move(peer);
  phase_ = phase::hello;
  secured_ = true;
  in_.resize(io_chunk_bytes);
  last_heard_ = last_sent_ = clock::now();
  expect_within(options_.hello_timeout, "no hello");
  if (const auto owner = owner_.lock())
    owner->secured(*this);
  pump();
}

void connection::expect_within(std::chrono::milliseconds limit, std::string what) {
  deadline_.expires_after(limit);
  deadline_.async_wait([self = shared_from_this(), limit, what = std::move(what)](error_code off) {
    // One that was due when it was moved or cancelled comes all the same.
    if (off || self->phase_ == phase::closed || self->phase_ == phase::link ||
        self->deadline_.expiry() > clock::now())
      return;
    if (self->phase_ == phase::lingering)
      return self->close(std::move(self->ending_));
    self->close(make_error(errc::timeout, self->where_ + ": " + what + " within " +
                                              std::to_string(limit.count()) + " ms"));
  });
}

// ---- writing ------------------------------------------------------------------------------------

void connection::enqueue(outgoing o) {
  if (phase_ == phase::closed || phase_ == phase::lingering)
    return;
  if (queue_.empty() && out_.empty())
    last_sent_ = clock::now();
  queue_.push_back(std::move(o));
  again();
}

void connection::send_frame(bytes written) {
  enqueue({std::move(written), true});
}

/// Small records share a TLS record; a large one is taken as it is.
void connection::gather() {
  out_.clear();
  out_begin_ = out_frame_bytes_ = out_frames_ = 0;
  while (!queue_.empty() && out_.size() < io_chunk_bytes) {
    outgoing& next = queue_.front();
    if (next.frame) {
      out_frame_bytes_ += next.octets.size();
      ++out_frames_;
    }
    if (out_.empty())
      out_ = std::move(next.octets);
    else
      out_.insert(out_.end(), next.octets.begin(), next.octets.end());
    queue_.pop_front();
  }
}

void connection::flush() {
  for (unsigned turn = 0; turn < records_per_turn_max; ++turn) {
    if (out_begin_ == out_.size()) {
      if (budget_)
        budget_->give(out_frame_bytes_, out_frames_);
      gather();
      if (out_.empty())
        return;
    }
    std::size_t taken = 0;
    ERR_clear_error();
    const int done = SSL_write_ex(ssl_.get(), out_.data() + out_begin_,
                                  std::min(out_.size() - out_begin_, io_chunk_bytes), &taken);
    if (done != 1)
      return blocked(done);
    out_begin_ += taken;
    last_sent_ = clock::now();
  }
  again();
}

// ---- reading ------------------------------------------------------------------------------------

bool connection::paused() const {
  return held_ || window_bytes_ >= options_.receive_window_bytes ||
         window_frames_ >= options_.receive_window_frames;
}

void connection::read() {
  for (unsigned turn = 0; turn < records_per_turn_max; ++turn) {
    if (is_ending() || paused())
      return;
    if (in_begin_ == in_end_) {
      std::size_t got = 0;
      ERR_clear_error();
      const int done = SSL_read_ex(ssl_.get(), in_.data(), in_.size(), &got);
      if (done != 1)
        return blocked(done);
      in_begin_ = 0;
      in_end_ = got;
      last_heard_ = clock::now();
    }
    if (!parse())
      return;
  }
  again();
}

/// Takes one record, or what there is of it, out of in_.
bool connection::parse() {
  std::size_t taken = 0;
  auto got = reader_.feed(byte_view(in_).subspan(in_begin_, in_end_ - in_begin_), taken);
  in_begin_ += taken;
  if (!got) {
    error why = refusal_error(refusal_reason::protocol, where_, false);
    why.message.append(": ").append(got.failure().message);
    refuse(refusal_reason::protocol, std::move(why));
    return false;
  }
  if (*got)
    if (const auto owner = owner_.lock())
      owner->arrived(*this, **std::move(got));
  return true;
}

receipt connection::make_receipt(std::size_t n) {
  window_bytes_ += n;
  ++window_frames_;
  return std::make_shared<token>(weak_from_this(), n);
}

void connection::give_back(std::size_t n) {
  const bool was_paused = paused();
  window_bytes_ -= n;
  --window_frames_;
  if (!was_paused || paused() || is_ending())
    return;
  last_heard_ = clock::now(); // it was us who did not listen
  again();
}

// ---- both ---------------------------------------------------------------------------------------

/// Goes on after other connections had their turn.
void connection::again() {
  if (pump_posted_)
    return;
  pump_posted_ = true;
  asio::post(socket_.get_executor(), [self = shared_from_this()] {
    self->pump_posted_ = false;
    self->pump();
  });
}

void connection::pump() {
  if (phase_ == phase::lingering)
    return linger();
  if (phase_ != phase::hello && phase_ != phase::link)
    return;
  flush();
  if (!is_ending())
    read();
}

/// OpenSSL cannot go on: it waits for the socket, or it is the end.
void connection::blocked(int done) {
  switch (SSL_get_error(ssl_.get(), done)) {
  case SSL_ERROR_WANT_READ:
    return wait_once(waiting_read_, tcp::socket::wait_read);
  case SSL_ERROR_WANT_WRITE:
    return wait_once(waiting_write_, tcp::socket::wait_write);
  case SSL_ERROR_ZERO_RETURN:
    return close(make_error(errc::io_failure, where_ + " closed the connection"));
  default:
    return close(stream_error(where_));
  }
}

void connection::wait_once(bool& waiting, tcp::socket::wait_type what) {
  if (waiting)
    return;
  waiting = true;
  socket_.async_wait(what, [self = shared_from_this(), &waiting](error_code failed) {
    waiting = false;
    if (!failed)
      self->pump();
  });
}

void connection::become_link(std::shared_ptr<send_budget> budget) {
  if (is_ending())
    return;
  phase_ = phase::link;
  held_ = false;
  budget_ = std::move(budget);
  reader_.allow_frames();
  deadline_.cancel();
  last_heard_ = last_beat_ = clock::now();
  beat();
  again();
}

void connection::beat() {
  if (phase_ != phase::link)
    return;
  const auto now = clock::now();
  if (now - last_beat_ > 2 * options_.alive_interval)
    last_heard_ = last_sent_ = now; // we slept, not the peer
  last_beat_ = now;
  if (!paused() && now - last_heard_ > options_.silence_max)
    return close(make_error(errc::timeout, where_ + " said nothing for " +
                                               std::to_string(options_.silence_max.count()) +
                                               " ms"));
  if (queue_.empty() && out_begin_ == out_.size())
    send(record_kind::alive, {});
  else if (now - last_sent_ > options_.write_stall_max)
    return close(make_error(errc::timeout, where_ + " took nothing for " +
                                               std::to_string(options_.write_stall_max.count()) +
                                               " ms"));
  heartbeat_.expires_after(options_.alive_interval);
  heartbeat_.async_wait([self = shared_from_this()](error_code off) {
    if (!off)
      self->beat();
  });
}

// ---- the end ------------------------------------------------------------------------------------

void connection::refuse(refusal_reason reason, error why) {
  if (is_ending())
    return;
  if (!is_secured())
    return close(std::move(why));
  queue_.clear();
  budget_.reset();
  const std::uint8_t code[] = {static_cast<std::uint8_t>(reason)};
  enqueue({write_record(record_kind::refusal, code), false});
  phase_ = phase::lingering;
  ending_ = std::move(why);
  heartbeat_.cancel();
  expect_within(linger_max, "");
}

/// Sends what is left, says goodbye, and waits for the peer to have read it.
void connection::linger() {
  if (SSL_is_init_finished(ssl_.get()) == 1) {
    flush();
    if (phase_ != phase::lingering || out_begin_ != out_.size() || !queue_.empty())
      return;
    ERR_clear_error();
    SSL_shutdown(ssl_.get());
    ERR_clear_error();
  }
  error_code ignored;
  socket_.shutdown(tcp::socket::shutdown_send, ignored);
  if (!std::exchange(discarding_, true))
    discard();
}

void connection::discard() {
  if (phase_ != phase::lingering)
    return;
  std::array<char, 4096> nowhere{};
  const auto n = ::recv(socket_.native_handle(), nowhere.data(), nowhere.size(), MSG_DONTWAIT);
  if (n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))
    return close(std::move(ending_));
  socket_.async_wait(tcp::socket::wait_read, [self = shared_from_this()](error_code failed) {
    if (!failed)
      self->discard();
  });
}

void connection::close(error why) {
  if (phase_ == phase::closed)
    return;
  if (phase_ == phase::lingering && &why != &ending_ && !ending_.message.empty())
    why = std::move(ending_); // how it failed at last matters less than why it had to go
  shut();
  asio::post(socket_.get_executor(), [self = shared_from_this(), why = std::move(why)] {
    if (const auto owner = self->owner_.lock())
      owner->closed(*self, why);
  });
}

void connection::abandon() {
  if (phase_ != phase::closed)
    shut();
}

void connection::shut() {
  if (phase_ == phase::hello || phase_ == phase::link) {
    ERR_clear_error();
    SSL_shutdown(ssl_.get()); // best effort, does not block
    ERR_clear_error();
  }
  phase_ = phase::closed;
  deadline_.cancel();
  heartbeat_.cancel();
  error_code ignored;
  socket_.close(ignored);
  ssl_.reset();
  queue_.clear();
  budget_.reset();
}

} // namespace custos::cluster::link
