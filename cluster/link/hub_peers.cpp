// What happens with a peer: hello, pairing, frames, dialling.

#include "adapters/crypto/crypto.hpp"
#include "cluster/link/hub.hpp"

namespace custos::cluster::link {

// ---- records ------------------------------------------------------------------------------------

void hub::arrived(connection& c, record r) {
  auto* const e = find(c.id());
  if (e == nullptr)
    return;
  if (r.kind == record_kind::refusal)
    return on_refusal(*e, r.content.front());
  if (!e->hello_done) {
    if (r.kind != record_kind::hello)
      return refuse(*e, refusal_reason::protocol);
    return on_hello(*e, r.content);
  }
  auto* const p = find_peer(e->name);
  if (p == nullptr)
    return;
  if (c.is_link())
    return on_link_record(*e, *p, std::move(r));
  const auto name = e->name;
  if (r.kind == record_kind::ready)
    return apply(name, p->pair.peer_ready(c.id(), r.content.front() != 0));
  if (r.kind != record_kind::accept)
    return refuse(*e, refusal_reason::protocol);
  c.hold(); // frames may follow at once, while we still wait for the old link to be gone
  apply(name, p->pair.peer_accepted(c.id(), read_number(r.content)));
}

void hub::on_hello(entry& e, byte_view content) {
  auto theirs = read_hello(content);
  if (!theirs)
    return refuse(e, refusal_reason::protocol);
  e.hello_done = true;
  e.theirs = *std::move(theirs);
  const auto verdict = judge_hello(own_, e.theirs, {e.c->peer().name, e.dialled});
  if (verdict.refused == refusal_reason::identity_in_use && events_.clash)
    emit([this] { events_.clash({own_.node, true, own_.node}); });
  if (verdict.refused)
    return refuse(e, *verdict.refused);
  e.version = verdict.version;
  // Each side may have to wait for an echo on an older link.
  e.c->expect_within(options_.hello_timeout + 2 * options_.probe_timeout,
                     "no decision about the link");
  const auto name = e.name;
  apply(name, find_peer(name)->pair.passed(e.c->id(), e.theirs.process));
}

void hub::on_refusal(entry& e, std::uint8_t reason) {
  const auto who = e.c->peer().name;
  if (static_cast<refusal_reason>(reason) == refusal_reason::identity_in_use && events_.clash)
    emit([&] { events_.clash({own_.node, true, who}); });
  e.c->close(read_refusal(reason, who));
}

void hub::on_link_record(entry& e, peer& p, record r) {
  switch (r.kind) {
  case record_kind::frame:
    return deliver(e, std::move(r));
  case record_kind::alive:
    return;
  case record_kind::probe:
    return e.c->send(record_kind::echo, r.content);
  case record_kind::echo:
    if (r.content != p.probe)
      return; // of a probe that was given up
    p.probe.clear();
    p.probe_timer.cancel();
    return apply(e.name, p.pair.echoed(e.c->id()));
  case record_kind::clash:
    if (events_.clash)
      emit([&] { events_.clash({own_.node, true, e.name}); });
    return;
  default:
    return refuse(e, refusal_reason::protocol);
  }
}

void hub::deliver(entry& e, record r) {
  {
    const std::lock_guard guard(mutex_);
    ++statuses_[e.name].frames_received;
  }
  auto done = e.c->make_receipt(r.content.size());
  if (events_.received)
    emit([&] { events_.received(e.name, std::move(r.content), std::move(done)); });
}

// ---- pairing ------------------------------------------------------------------------------------

void hub::apply(const std::string& name, const pairing_effects& effects) {
  for (const auto& effect : effects)
    if (auto* const p = find_peer(name))
      perform(*p, effect);
}

void hub::perform(peer& p, const pairing_effect& effect) {
  const auto on = [this](connection_id id, const auto& action) {
    if (auto* const e = find(id))
      action(*e);
  };
  if (const auto* const ready = std::get_if<send_ready>(&effect)) {
    const std::uint8_t linked[] = {static_cast<std::uint8_t>(ready->linked ? 1 : 0)};
    on(ready->id, [&](entry& e) { e.c->send(record_kind::ready, linked); });
  } else if (const auto* const accept = std::get_if<send_accept>(&effect)) {
    on(accept->id, [&](entry& e) { e.c->send(record_kind::accept, write_number(accept->number)); });
  } else if (const auto* const chosen = std::get_if<become_link>(&effect)) {
    link_up(p, chosen->id);
  } else if (const auto* const refused = std::get_if<refuse_connection>(&effect)) {
    on(refused->id, [&](entry& e) { refuse(e, refused->reason); });
  } else if (const auto* const ended = std::get_if<end_link>(&effect)) {
    auto why = ended->dead
                   ? make_error(errc::timeout, "node " + p.member.name + " did not answer a probe")
                   : refusal_error(refusal_reason::duplicate, p.member.name, false);
    on(ended->id, [&](entry& e) { e.c->close(std::move(why)); });
  } else if (const auto* const asked = std::get_if<send_probe>(&effect)) {
    probe(p, asked->id);
  } else if (const auto* const clash = std::get_if<report_clash>(&effect)) {
    on(clash->link, [](entry& e) { e.c->send(record_kind::clash, {}); });
    if (events_.clash)
      emit([&] { events_.clash({p.member.name, false, own_.node}); });
  }
}

void hub::link_up(peer& p, connection_id id) {
  auto* const e = find(id);
  if (e == nullptr)
    return;
  p.link = id;
  p.link_since = std::chrono::steady_clock::now();
  p.dial_timer.cancel();
  p.dial_armed = false;
  if (p.attempt)
    std::exchange(p.attempt, nullptr)->cancel();
  p.remote_group = address_group(e->c->where().substr(0, e->c->where().rfind(':')));
  update_known();
  auto budget =
      std::make_shared<send_budget>(options_.send_queue_bytes_max, options_.send_queue_frames_max);
  const link_peer who{p.member.name, crypto::hex(e->theirs.process), e->theirs.program_version,
                      e->version, e->c->peer().not_after};
  {
    const std::lock_guard guard(mutex_);
    slots_[p.member.name] = {id, budget};
    auto& s = statuses_[p.member.name];
    s.state = link_state::up;
    s.peer = who;
    s.up_since = now_();
    ++s.links;
  }
  e->c->become_link(std::move(budget));
  if (events_.up)
    emit([&] { events_.up(who); });
}

void hub::link_down(peer& p, const error& why) {
  p.link = 0;
  p.probe.clear();
  p.probe_timer.cancel();
  // A link that lasted ends the row of failures; one that comes and goes does not.
  if (std::chrono::steady_clock::now() - p.link_since > options_.dial_wait_max)
    p.wait.reset();
  {
    const std::lock_guard guard(mutex_);
    slots_.erase(p.member.name);
  }
  note_state(p.member.name);
  if (events_.down)
    emit([&] { events_.down(p.member.name, why); });
}

void hub::probe(peer& p, connection_id id) {
  auto* const e = find(id);
  if (e == nullptr)
    return;
  p.probe = crypto::random_bytes(probe_bytes);
  e->c->send(record_kind::probe, p.probe);
  p.probe_timer.expires_after(options_.probe_timeout);
  p.probe_timer.async_wait([self = shared_from_this(), name = p.member.name, id](error_code off) {
    auto* const found = off ? nullptr : self->find_peer(name);
    if (found != nullptr)
      self->apply(name, found->pair.probe_timed_out(id));
  });
}

// ---- dialling -----------------------------------------------------------------------------------

void hub::schedule_dial(const std::string& name) {
  auto* const p = find_peer(name);
  if (p == nullptr || !started_ || shutting_down_ || p->link != 0 || p->attempt ||
      p->dialled != 0 || p->dial_armed)
    return;
  std::chrono::milliseconds delay{0};
  if (std::exchange(p->dialled_before, true)) {
    std::uint32_t random = 0;
    for (const auto octet : crypto::random_bytes(sizeof random))
      random = (random << 8U) | octet;
    delay = p->wait.next(random);
  }
  // One of the two comes first, so that they seldom meet in the middle.
  if (own_.node > name)
    delay += options_.second_dial_delay;
  p->dial_armed = true;
  note_state(name);
  p->dial_timer.expires_after(delay);
  p->dial_timer.async_wait([self = shared_from_this(), name](error_code off) {
    auto* const found = off ? nullptr : self->find_peer(name);
    if (found != nullptr && std::exchange(found->dial_armed, false) && !self->shutting_down_)
      self->dial(*found);
  });
}

void hub::dial(peer& p) {
  if (p.link != 0 || p.attempt)
    return;
  p.attempt = std::make_shared<dial_attempt>(strand_, p.member.host, p.member.port);
  note_state(p.member.name);
  p.attempt->start(options_.dial_timeout, [weak = weak_from_this(), name = p.member.name,
                                           attempt = p.attempt.get()](auto r) {
    if (const auto self = weak.lock()) // we own the attempt
      self->on_dialled(name, attempt, std::move(r));
  });
}

void hub::on_dialled(const std::string& name, const dial_attempt* attempt,
                     result<dial_attempt::connected> r) {
  auto* const p = find_peer(name);
  if (p == nullptr || p->attempt.get() != attempt || shutting_down_)
    return;
  p->attempt.reset();
  if (!r) {
    if (r.failure().code == errc::overloaded)
      make_room();
    note_error(name, r.failure());
    return schedule_dial(name);
  }
  const auto id = ++last_id_;
  auto c = std::make_shared<connection>(id, std::move(r->stream),
                                        r->remote.address().to_string() + ":" +
                                            std::to_string(r->remote.port()),
                                        options_, weak_from_this());
  auto& e = connections_[id];
  e.c = c;
  e.dialled = name;
  p->dialled = id;
  p->remote_group = address_group(r->remote.address().to_string());
  update_known();
  note_state(name);
  c->dial(identity_, r->left);
  publish_sizes();
}

void hub::note_error(const std::string& name, const error& why) {
  const std::lock_guard guard(mutex_);
  const auto found = statuses_.find(name);
  if (found == statuses_.end())
    return;
  found->second.last_error = why;
  found->second.last_error_at = now_();
}

void hub::note_state(const std::string& name) {
  const auto* const p = find_peer(name);
  if (p == nullptr || p->link != 0)
    return;
  const std::lock_guard guard(mutex_);
  auto& s = statuses_[name];
  s.up_since = 0;
  s.state = p->attempt || p->dialled != 0 ? link_state::dialling : link_state::waiting;
}

} // namespace custos::cluster::link
