#include "cluster/link/hub.hpp"

#include "adapters/crypto/crypto.hpp"

namespace custos::cluster::link {

hub::hub(asio::io_context& context, hello own, link_options options, link_events events,
         clock_source now, std::shared_ptr<const tls_identity> identity)
    : strand_(asio::make_strand(context.get_executor())), own_(std::move(own)),
      options_(std::move(options)), events_(std::move(events)), now_(std::move(now)),
      acceptor_(strand_), accept_retry_(strand_), identity_(std::move(identity)),
      half_open_(options_.half_open_max, options_.half_open_per_address_max) {}

result<void> hub::bind() {
  error_code failed;
  const auto address = asio::ip::make_address(options_.address, failed);
  const tcp::endpoint endpoint(address, options_.port);
  if (!failed)
    acceptor_.open(endpoint.protocol(), failed);
  if (!failed)
    acceptor_.set_option(asio::socket_base::reuse_address(true), failed);
  if (!failed)
    acceptor_.bind(endpoint, failed);
  if (!failed)
    acceptor_.listen(asio::socket_base::max_listen_connections, failed);
  if (failed)
    return make_error(errc::io_failure, "cannot listen for nodes on " + options_.address + ":" +
                                            std::to_string(options_.port) + ": " +
                                            failed.message());
  port_ = acceptor_.local_endpoint(failed).port();
  return {};
}

void hub::start() {
  asio::post(strand_, [self = shared_from_this()] {
    if (std::exchange(self->started_, true) || self->shutting_down_)
      return;
    self->accept_next();
    for (const auto& [name, p] : self->peers_)
      self->schedule_dial(name);
  });
}

hub::entry* hub::find(connection_id id) {
  const auto found = connections_.find(id);
  return found == connections_.end() ? nullptr : &found->second;
}

hub::peer* hub::find_peer(const std::string& name) {
  const auto found = peers_.find(name);
  return found == peers_.end() ? nullptr : found->second.get();
}

// ---- accepting ----------------------------------------------------------------------------------

void hub::accept_next() {
  acceptor_.async_accept(strand_, [self = shared_from_this()](error_code failed, socket accepted) {
    self->on_accept(failed, std::move(accepted));
  });
}

void hub::on_accept(error_code failed, socket accepted) {
  if (shutting_down_ || failed == asio::error::operation_aborted)
    return;
  if (failed) {
    // Out of descriptors or memory: what is half-open has to pay, and trying at once would spin.
    make_room();
    {
      const std::lock_guard guard(mutex_);
      ++counters_.accept_failures;
    }
    accept_retry_.expires_after(accept_pause_);
    accept_pause_ = std::min(accept_pause_ * 2, accept_pause_max);
    return accept_retry_.async_wait([self = shared_from_this()](error_code off) {
      if (!off)
        self->accept_next();
    });
  }
  accept_pause_ = accept_pause_min;
  error_code gone;
  const auto remote = accepted.remote_endpoint(gone);
  if (!gone) {
    const auto id = ++last_id_;
    const auto host = remote.address().to_string();
    auto c = std::make_shared<connection>(id, std::move(accepted),
                                          host + ":" + std::to_string(remote.port()), options_,
                                          weak_from_this());
    connections_[id].c = c;
    shed(half_open_.admit(id, address_group(host)));
    c->accept(identity_);
    const std::lock_guard guard(mutex_);
    ++counters_.accepted;
  }
  publish_sizes();
  accept_next();
}

void hub::make_room() {
  shed(half_open_.make_room());
}

void hub::shed(const std::vector<std::uint64_t>& victims) {
  for (const auto id : victims)
    if (auto* const e = find(id))
      e->c->close(make_error(errc::overloaded, e->c->where() + " had to go for another"));
  const std::lock_guard guard(mutex_);
  counters_.shed += victims.size();
}

void hub::publish_sizes() {
  const std::lock_guard guard(mutex_);
  counters_.half_open = half_open_.size();
  counters_.connections = connections_.size();
}

void hub::spoke(connection& c) {
  half_open_.spoke(c.id());
}

/// TLS is done: from here on we know who it is.
void hub::secured(connection& c) {
  auto* const e = find(c.id());
  if (e == nullptr)
    return;
  const auto& who = c.peer();
  // One with our own name says hello: only that tells whether it is us, or somebody with a copy.
  if (who.name != own_.node) {
    if (const auto reason = membership_objects(who))
      return refuse(*e, *reason);
    e->name = who.name;
    half_open_.leave(c.id());
    limit_candidates(*e);
  }
  c.send(record_kind::hello, write_hello(own_));
  publish_sizes();
}

void hub::refuse(entry& e, refusal_reason reason) {
  const auto who = e.c->is_secured() ? e.c->peer().name : e.dialled;
  error why = refusal_error(reason, who, false);
  if (reason != refusal_reason::duplicate) {
    note_error(e.dialled.empty() ? e.name : e.dialled, why);
    note_stranger(e.c->where(), why);
  }
  {
    const std::lock_guard guard(mutex_);
    ++counters_.refused;
  }
  e.c->refuse(reason, std::move(why));
}

void hub::note_stranger(const std::string& where, const error& why) {
  const std::lock_guard guard(mutex_);
  counters_.last_refusal = where + ": " + why.message;
}

void hub::closed(connection& c, const error& why) {
  const auto found = connections_.find(c.id());
  if (found == connections_.end())
    return;
  const entry e = std::move(found->second);
  connections_.erase(found);
  half_open_.leave(c.id());
  if (shutting_down_)
    return;
  if (!c.is_secured() && e.dialled.empty() && why.code != errc::overloaded) {
    const std::lock_guard guard(mutex_);
    ++counters_.handshake_failures;
    counters_.last_refusal = why.message;
  }
  publish_sizes();
  if (why.check != check_of(refusal_reason::duplicate))
    note_error(e.dialled.empty() ? e.name : e.dialled, why);
  if (auto* const p = find_peer(e.dialled); p != nullptr && p->dialled == c.id())
    p->dialled = 0;
  if (auto* const p = find_peer(e.name)) {
    if (p->link == c.id())
      link_down(*p, why);
    apply(e.name, p->pair.closed(c.id()));
  }
  schedule_dial(e.name);
  schedule_dial(e.dialled);
}

// ---- from other threads -------------------------------------------------------------------------

result<void> hub::set_identity(const link_identity& identity) {
  if (identity.node != own_.node || identity.cluster_id != crypto::hex(own_.cluster))
    return field_error(errc::invalid_argument, "identity",
                       "expected the name and the cluster that this node has");
  CUSTOS_TRY(auto made, tls_identity::make(identity, now_));
  asio::post(strand_, [self = shared_from_this(), made = std::move(made)]() mutable {
    self->identity_ = std::move(made);
  });
  return {};
}

result<void> hub::send(const std::string& name, byte_view frame) {
  if (frame.size() > frame_bytes_max)
    return field_error(errc::too_large, "frame",
                       "expected at most " + std::to_string(frame_bytes_max) + " octets");
  auto written = write_record(record_kind::frame, frame);
  connection_id id = 0;
  {
    const std::lock_guard guard(mutex_);
    const auto status = statuses_.find(name);
    const auto found = slots_.find(name);
    if (status == statuses_.end() || found == slots_.end()) {
      if (status != statuses_.end())
        ++status->second.frames_refused;
      return make_error(errc::unavailable, "there is no link to node " + name);
    }
    if (!found->second.budget->take(written.size())) {
      ++status->second.frames_refused;
      return make_error(errc::overloaded, "the queue to node " + name + " is full");
    }
    ++status->second.frames_sent;
    id = found->second.id;
    // Under the mutex: frames leave in the order in which they were counted.
    asio::post(strand_, [self = shared_from_this(), id, written = std::move(written)]() mutable {
      if (auto* const e = self->find(id); e != nullptr && e->c->is_link())
        e->c->send_frame(std::move(written));
    });
  }
  return {};
}

std::vector<link_status> hub::status() const {
  const std::lock_guard guard(mutex_);
  std::vector<link_status> out;
  for (const auto& [name, s] : statuses_) {
    out.push_back(s);
    if (const auto found = slots_.find(name); found != slots_.end())
      out.back().queued_bytes = found->second.budget->bytes_taken();
  }
  return out;
}

link_counters hub::counters() const {
  const std::lock_guard guard(mutex_);
  return counters_;
}

void hub::stop() {
  {
    const std::lock_guard guard(event_mutex_);
    if (std::exchange(silent_, true))
      return;
  }
  asio::post(strand_, [self = shared_from_this()] { self->shut_down(); });
}

void hub::shut_down() {
  shutting_down_ = true;
  error_code ignored;
  acceptor_.close(ignored);
  accept_retry_.cancel();
  for (const auto& [name, p] : peers_)
    if (p->attempt)
      p->attempt->cancel();
  peers_.clear();
  {
    const std::lock_guard guard(mutex_);
    slots_.clear();
  }
  // Those that wait for a descriptor of ours need none of our time; nodes learn why.
  for (const auto& [id, e] : connections_)
    e.c->refuse(refusal_reason::stopping,
                refusal_error(refusal_reason::stopping, own_.node, false));
}

} // namespace custos::cluster::link
