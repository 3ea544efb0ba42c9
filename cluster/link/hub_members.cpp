// Who may be here.

#include "cluster/link/hub.hpp"

#include <algorithm>
#include <set>

namespace custos::cluster::link {

namespace {

result<void> check_members(const std::vector<link_member>& members) {
  if (members.size() > members_max)
    return field_error(errc::too_large, "members",
                       "expected at most " + std::to_string(members_max) + " nodes");
  std::set<std::string> names;
  for (const auto& m : members) {
    if (m.name.empty() || m.name.size() > node_name_bytes_max || !names.insert(m.name).second)
      return field_error(errc::invalid_argument, "name", "expected each node once, with a name");
    if (m.host.empty() || m.port == 0)
      return field_error(errc::invalid_argument, "host",
                         "expected the address and port of node " + m.name);
  }
  return {};
}

bool permits(const link_member& member, const crypto::sha256_digest& fingerprint) {
  return member.certificates.empty() ||
         std::find(member.certificates.begin(), member.certificates.end(), fingerprint) !=
             member.certificates.end();
}

} // namespace

result<void> hub::set_members(std::vector<link_member> members) {
  CUSTOS_CHECK(check_members(members));
  asio::post(strand_, [self = shared_from_this(), members = std::move(members)] {
    if (!self->shutting_down_)
      self->apply_members(members);
  });
  return {};
}

void hub::apply_members(const std::vector<link_member>& members) {
  std::set<std::string> names;
  for (const auto& m : members)
    names.insert(m.name);
  std::vector<std::string> gone;
  for (const auto& [name, p] : peers_)
    if (!names.contains(name))
      gone.push_back(name);
  for (const auto& name : gone)
    remove_member(name);
  for (const auto& m : members) {
    if (m.name == own_.node)
      continue;
    if (auto* const p = find_peer(m.name))
      change_member(*p, m);
    else
      add_member(m);
  }
  update_known();
  publish_sizes();
}

void hub::add_member(const link_member& member) {
  // The smaller name is the arbiter: pairing.hpp.
  peers_[member.name] = std::make_unique<peer>(strand_, member, own_.node < member.name, options_);
  {
    const std::lock_guard guard(mutex_);
    auto& s = statuses_[member.name];
    s.peer.name = member.name;
    s.host = member.host;
    s.port = member.port;
  }
  schedule_dial(member.name);
}

void hub::change_member(peer& p, const link_member& member) {
  const bool moved = p.member.host != member.host || p.member.port != member.port;
  p.member = member;
  expel(p, refusal_reason::certificate, true);
  if (!moved)
    return;
  {
    const std::lock_guard guard(mutex_);
    auto& s = statuses_[member.name];
    s.host = member.host;
    s.port = member.port;
  }
  // The link goes on if there is one; a try at the old address does not.
  if (p.attempt)
    std::exchange(p.attempt, nullptr)->cancel();
  p.dial_timer.cancel();
  p.dial_armed = false;
  p.wait.reset();
  schedule_dial(member.name);
}

void hub::remove_member(const std::string& name) {
  auto* const p = find_peer(name);
  expel(*p, refusal_reason::not_a_member, false);
  if (p->attempt)
    p->attempt->cancel();
  peers_.erase(name);
  const std::lock_guard guard(mutex_);
  slots_.erase(name);
  statuses_.erase(name);
}

/// Ends connections of a peer; for the rest of the program they are gone at once.
void hub::expel(peer& p, refusal_reason reason, bool only_other_certificates) {
  std::vector<connection_id> ended;
  for (auto& [id, e] : connections_) {
    const bool its = e.name == p.member.name || (!only_other_certificates && p.dialled == id);
    if (its && !(only_other_certificates && permits(p.member, e.c->peer().fingerprint)))
      ended.push_back(id);
  }
  // The link last: else one of the others would take its place for a moment.
  std::stable_partition(ended.begin(), ended.end(),
                        [&p](connection_id id) { return id != p.link; });
  for (const auto id : ended) {
    auto& e = *find(id);
    refuse(e, reason);
    e.name.clear();
    if (p.link == id)
      link_down(p, refusal_error(reason, p.member.name, false));
    apply(p.member.name, p.pair.closed(id));
  }
}

/// A peer that proved who it is may not collect connections, dead or alive.
void hub::limit_candidates(const entry& newest) {
  std::vector<connection_id> others;
  const auto* const p = find_peer(newest.name);
  for (const auto& [id, e] : connections_)
    if (e.c->is_secured() && e.c->peer().name == newest.name && id != p->link &&
        id != newest.c->id())
      others.push_back(id);
  if (others.size() >= candidates_per_member_max)
    find(others.front())
        ->c->close(make_error(errc::overloaded,
                              "node " + newest.name + " opened too many connections at once"));
}

std::optional<refusal_reason> hub::membership_objects(const peer_certificate& who) const {
  const auto found = peers_.find(who.name);
  if (found == peers_.end())
    return refusal_reason::not_a_member;
  if (!permits(found->second->member, who.fingerprint))
    return refusal_reason::certificate;
  return std::nullopt;
}

void hub::update_known() {
  std::set<std::string> groups;
  for (const auto& [name, p] : peers_) {
    groups.insert(address_group(p->member.host));
    groups.insert(p->remote_group);
  }
  groups.erase(std::string());
  half_open_.set_known(std::move(groups));
}

} // namespace custos::cluster::link
