#include "cluster/link/pairing.hpp"

#include <algorithm>

namespace custos::cluster::link {

std::optional<connection_id> pairing::link() const {
  if (!open_ || open_->ending)
    return std::nullopt;
  return open_->id;
}

void pairing::refuse(connection_id id, refusal_reason reason, pairing_effects& out) {
  candidates_.erase(id);
  if (next_ == id)
    next_.reset();
  out.emplace_back(refuse_connection{id, reason});
}

pairing_effects pairing::passed(connection_id id, const incarnation& process) {
  pairing_effects out;
  candidates_[id].process = process;
  consider(id, out);
  return out;
}

/// Goes on with a candidate as far as what is known allows.
void pairing::consider(connection_id id, pairing_effects& out) {
  const auto found = candidates_.find(id);
  if (found == candidates_.end() || next_ == id)
    return;
  candidate& c = found->second;
  if (open_ && open_->process != c.process) {
    if (!open_->ending && !open_->probed) {
      open_->probed = true;
      out.emplace_back(send_probe{open_->id});
    }
    return; // until it echoes or is gone
  }
  if (!c.judged) {
    c.judged = true;
    if (!arbiter_)
      out.emplace_back(send_ready{id, link().has_value()});
  }
  if (arbiter_ && c.peer_ready)
    decide(id, c, out);
  else if (!arbiter_ && c.number != 0)
    follow(id, c, out);
}

/// The arbiter's choice, with a candidate that the peer is ready to take.
void pairing::decide(connection_id id, candidate& c, pairing_effects& out) {
  if (next_ || (link() && c.peer_linked))
    return refuse(id, refusal_reason::duplicate, out);
  replace_link(id, out);
}

/// The other node does as the arbiter says; its later word counts.
void pairing::follow(connection_id id, candidate& c, pairing_effects& out) {
  if (open_ && c.number < open_->number)
    return refuse(id, refusal_reason::duplicate, out);
  if (next_) {
    const auto other = candidates_.find(*next_);
    if (other->second.process == c.process && c.number < other->second.number)
      return refuse(id, refusal_reason::duplicate, out);
    refuse(*next_, refusal_reason::duplicate, out);
  }
  replace_link(id, out);
}

void pairing::replace_link(connection_id id, pairing_effects& out) {
  if (!open_)
    return open(id, out);
  next_ = id;
  if (!open_->ending) {
    open_->ending = true;
    out.emplace_back(end_link{open_->id, false});
  }
}

void pairing::open(connection_id id, pairing_effects& out) {
  const auto found = candidates_.find(id);
  const candidate c = found->second;
  candidates_.erase(found);
  open_ = open_link{id, c.process, c.number, false, false};
  if (arbiter_) {
    open_->number = ++last_number_;
    out.emplace_back(send_accept{id, open_->number});
  }
  out.emplace_back(become_link{id});
}

pairing_effects pairing::peer_ready(connection_id id, bool linked) {
  pairing_effects out;
  const auto found = candidates_.find(id);
  if (found == candidates_.end())
    return out; // refused, or gone
  if (!arbiter_ || found->second.peer_ready) {
    refuse(id, refusal_reason::protocol, out);
    return out;
  }
  found->second.peer_ready = true;
  found->second.peer_linked = linked;
  consider(id, out);
  return out;
}

pairing_effects pairing::peer_accepted(connection_id id, std::uint64_t number) {
  pairing_effects out;
  const auto found = candidates_.find(id);
  if (found == candidates_.end())
    return out;
  if (arbiter_ || !found->second.judged || found->second.number != 0 || number == 0) {
    refuse(id, refusal_reason::protocol, out);
    return out;
  }
  found->second.number = number;
  consider(id, out);
  return out;
}

pairing_effects pairing::echoed(connection_id id) {
  pairing_effects out;
  if (!open_ || open_->id != id || !open_->probed || open_->ending)
    return out;
  open_->probed = false;
  std::vector<connection_id> strangers;
  for (const auto& [other, c] : candidates_)
    if (c.process != open_->process)
      strangers.push_back(other);
  for (const auto stranger : strangers)
    refuse(stranger, refusal_reason::identity_in_use, out);
  if (!strangers.empty())
    out.emplace_back(report_clash{id});
  return out;
}

pairing_effects pairing::probe_timed_out(connection_id id) {
  pairing_effects out;
  if (!open_ || open_->id != id || !open_->probed || open_->ending)
    return out;
  open_->ending = true;
  out.emplace_back(end_link{id, true});
  return out;
}

pairing_effects pairing::closed(connection_id id) {
  pairing_effects out;
  candidates_.erase(id);
  if (next_ == id)
    next_.reset();
  if (open_ && open_->id == id)
    open_.reset();
  if (open_)
    return out;
  if (next_) {
    const auto chosen = *next_;
    next_.reset();
    open(chosen, out);
  }
  consider_all(out);
  return out;
}

/// Those that waited for a link to answer or to go: the best first, for it becomes the link, and
/// what the peer said on the others before is no reason to replace it.
void pairing::consider_all(pairing_effects& out) {
  std::vector<std::pair<std::uint64_t, connection_id>> waiting; // the number counts, then the age
  for (const auto& [id, c] : candidates_)
    waiting.emplace_back(c.number, id);
  std::sort(waiting.rbegin(), waiting.rend());
  for (const auto& [number, id] : waiting) {
    const auto found = candidates_.find(id);
    if (found == candidates_.end())
      continue;
    if (arbiter_ && link() && found->second.peer_ready && found->second.process == open_->process)
      refuse(id, refusal_reason::duplicate, out);
    else
      consider(id, out);
  }
}

} // namespace custos::cluster::link
