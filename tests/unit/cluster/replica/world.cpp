#include "tests/unit/cluster/replica/world.hpp"

#include "cluster/link/limits.hpp"
#include "cluster/state_image.hpp"

#include <gtest/gtest.h>
#include <stdexcept>
#include <utility>

namespace custos::cluster::replica::test {

namespace {

constexpr milliseconds step_ms = 5;
constexpr milliseconds farewell_ms = 2000;

void must(result<void> done) {
  if (!done)
    throw std::runtime_error(done.failure().message);
}

error no_answer() {
  return make_error(errc::internal, "test: no answer");
}

} // namespace

// ---- disk ---------------------------------------------------------------------------------------

result<void> crashing_store::write(const rocksdb::write_batch& batch, rocksdb::durability how) {
  CUSTOS_CHECK(view_->write(batch));
  buffered_.push_back(batch);
  if (how == rocksdb::durability::synced)
    for (const auto& one : std::exchange(buffered_, {}))
      must(durable_->write(one));
  return {};
}

void crashing_store::crash(std::size_t keep) {
  for (std::size_t i = 0; i < keep; ++i)
    must(durable_->write(buffered_.at(i)));
  buffered_.clear();
  view_ = rocksdb::make_memory_store();
  rocksdb::write_batch all;
  auto found = durable_->scan("").value();
  for (auto& entry : found)
    all.put(entry.key, std::move(entry.value));
  must(view_->write(all));
}

config_command put(const std::string& name, const std::string& role, std::string id) {
  config_command out;
  out.kind = object_kind::principal;
  out.name = name;
  out.document = R"({"role":")" + role + "\"}";
  out.operation_id = std::move(id);
  return out;
}

// ---- nodes --------------------------------------------------------------------------------------

world::world(std::uint64_t seed) : random(seed) {
  options.raft.snapshot_chunk_bytes_max = 512;
}

void world::found(const std::string& name) {
  auto& n = nodes_[name];
  n.name = name;
  n.info = info_of(name);
  n.store = std::make_shared<crashing_store>();
  fill_first(*n.store, n.info);
  start(name);
}

bool world::join(const std::string& name, const std::string& via, member_action action) {
  auto info = info_of(name, nodes_.contains(name) ? at(name).starts + 1 : 0);
  const auto taken = changed(via, action, info);
  if (!taken)
    return false;
  const auto starts = nodes_.contains(name) ? at(name).starts : 0;
  auto& n = nodes_[name];
  n = {};
  n.name = name;
  n.info = std::move(info);
  n.starts = starts;
  n.store = std::make_shared<crashing_store>();
  rocksdb::write_batch batch;
  add_joining_replica(batch, taken->id, taken->members);
  must(n.store->write(batch, rocksdb::durability::synced));
  start(name);
  return true;
}

void world::grow(unsigned nodes) {
  found("n1");
  for (unsigned i = 2; i <= nodes; ++i)
    if (!join("n" + std::to_string(i), "n1"))
      throw std::runtime_error("test: a node was not taken in");
  const auto wanted = nodes % 2 == 0 ? nodes - 1 : nodes;
  if (!wait_for([&] { return voters() == wanted && converged(); }))
    throw std::runtime_error("test: the cluster did not grow");
}

void world::start(const std::string& name) {
  auto& n = at(name);
  const auto found = load_replica(*n.store);
  if (!found)
    throw std::runtime_error(found.failure().message);
  auto state = load_state_of(*n.store, *found);
  if (!state)
    throw std::runtime_error(state.failure().message);
  ++n.starts;
  n.log = std::make_unique<stored_log>(*found);
  const auto applied = state->applied_index();
  replica_identity identity;
  identity.self = found->self;
  identity.name = name;
  identity.introduction = found->introduction;
  identity.incarnation = name + "." + std::to_string(n.starts);
  identity.program_version = "test";
  n.core = std::make_unique<replica>(
      identity, options,
      raft::recovered_state{found->durable, found->base, found->entries, applied},
      *std::move(state), random(), now);
  carry_out(n);
}

void world::crash(const std::string& name) {
  auto& n = at(name);
  if (!n.core)
    return;
  n.core.reset();
  if (n.job && random() % 2 == 0) // it was written, and nobody learnt of it
    static_cast<void>(perform(*n.store, *n.log, *n.job).written.ok());
  n.job.reset();
  n.image.reset();
  n.knows.clear();
  n.leaving.clear();
  n.store->crash(up_to(n.store->buffered()));
  std::erase_if(flying_, [&](const auto& f) { return f.first.second == name; });
}

bool world::runs(const std::string& name) const {
  const auto found = nodes_.find(name);
  return found != nodes_.end() && found->second.core && !found->second.stopped;
}

std::vector<std::string> world::running() const {
  std::vector<std::string> out;
  for (const auto& [name, n] : nodes_)
    if (runs(name))
      out.push_back(name);
  return out;
}

// ---- what replicas want done --------------------------------------------------------------------

void world::carry_out(machine& n) {
  if (!n.core || n.stopped)
    return;
  auto e = n.core->take();
  if (e.members_changed)
    tell_members(n);
  if (e.disk) {
    if (n.job)
      throw std::logic_error("two jobs at a time");
    n.job = *std::move(e.disk);
    n.job_done_at = now + up_to(disk_ms_max);
  }
  for (const auto& out : e.send)
    send(n, out);
  for (auto& r : e.replies)
    if (!n.replies.emplace(r.to, std::move(r.what)).second)
      n.answered_twice.push_back(r.to);
  if (e.image_of) {
    if (n.image)
      throw std::logic_error("two images at a time");
    n.image = *std::move(e.image_of);
    n.image_done_at = now + image_ms;
  }
  if (n.core->fault() || n.core->is_removed()) {
    n.stopped = n.core->fault() ? *n.core->fault() : make_error(errc::forbidden, "removed");
    rocksdb::write_batch batch;
    add_out_of_service(batch, n.stopped->message);
    must(n.store->write(batch, rocksdb::durability::synced));
  }
}

void world::finish_disk(machine& n) {
  if (n.core && n.job && now >= n.job_done_at) {
    auto done = perform(*n.store, *n.log, *n.job);
    must(done.written);
    n.job.reset();
    n.core->disk_done(now, std::move(done.installed));
    carry_out(n);
  }
  if (n.core && n.image && now >= n.image_done_at) {
    const auto image = *std::exchange(n.image, std::nullopt);
    n.core->image_made(image.applied_index(), std::make_shared<const bytes>(encode_state(image)));
    carry_out(n);
  }
}

/// As the actor tells its link.
void world::tell_members(machine& n) {
  std::map<std::string, std::vector<crypto::sha256_digest>> present;
  for (const auto& m : link_members(n.core->members()))
    present[m.name] = m.certificates;
  for (const auto& [name, certificates] : n.knows)
    if (!present.contains(name))
      n.leaving.try_emplace(name, now + farewell_ms);
  std::erase_if(n.leaving, [&](const auto& l) {
    if (present.contains(l.first) || now >= l.second || !n.knows.contains(l.first))
      return true;
    present[l.first] = n.knows.at(l.first);
    return false;
  });
  n.knows = std::move(present);
}

// ---- network ------------------------------------------------------------------------------------

bool world::linked(const machine& a, const machine& b) const {
  const auto knows = [](const machine& one, const machine& other) {
    const auto found = one.knows.find(other.name);
    if (found == one.knows.end())
      return false;
    for (const auto& certificate : other.info.certificates)
      for (const auto& known : found->second)
        if (certificate == known)
          return true;
    return false;
  };
  return runs(a.name) && runs(b.name) && knows(a, b) && knows(b, a);
}

void world::isolate(const std::string& name) {
  for (const auto& [other, n] : nodes_) {
    cut(name, other);
    cut(other, name);
  }
}

void world::send(machine& from, const outgoing_frames& out) {
  if (cut_.contains({from.name, out.to}) || !nodes_.contains(out.to) ||
      !linked(from, nodes_.at(out.to)))
    return;
  auto frames = out.frames;
  if (drops) {
    assembler whole;
    std::optional<parcel> p;
    for (const auto& f : frames)
      p = whole.take(f).value();
    if (drops(from.name, out.to, p.value()))
      return;
    frames = to_frames(*p, link::frame_bytes_max);
  }
  auto arrive = frames.size();
  if (random() % 1000 < lost_per_mille) // the rest of a parcel is lost with its beginning, or not
    arrive = up_to(arrive - 1);
  auto& line = flying_[{from.name, out.to}];
  auto when = now + up_to(network_ms_max);
  if (!line.empty())
    when = std::max(when, line.back().at);
  for (std::size_t i = 0; i < arrive; ++i)
    line.push_back({when, from.name, out.to, frames[i]});
}

// ---- time ---------------------------------------------------------------------------------------

void world::step() {
  now += step_ms;
  std::vector<frame> due;
  for (auto& [line, frames] : flying_) {
    const auto later =
        std::find_if(frames.begin(), frames.end(), [&](const frame& f) { return f.at > now; });
    due.insert(due.end(), std::make_move_iterator(frames.begin()), std::make_move_iterator(later));
    frames.erase(frames.begin(), later);
  }
  for (const auto& f : due) {
    auto& to = nodes_.at(f.to);
    if (cut_.contains({f.from, f.to}) || !linked(nodes_.at(f.from), to))
      continue;
    to.core->received(now, f.from, f.octets);
    carry_out(to);
  }
  for (auto& [name, n] : nodes_) {
    if (!runs(name))
      continue;
    finish_disk(n);
    if (!runs(name))
      continue;
    n.core->tick(now);
    carry_out(n);
    if (n.core && !n.leaving.empty())
      tell_members(n);
  }
}

void world::run_for(milliseconds time) {
  const auto end = now + time;
  while (now < end)
    step();
}

bool world::wait_for(const std::function<bool()>& what, milliseconds at_most) {
  const auto end = now + at_most;
  while (!what()) {
    if (now >= end)
      return false;
    step();
  }
  return true;
}

// ---- requests -----------------------------------------------------------------------------------

request_token world::apply(const std::string& node, config_command command) {
  const auto token = new_token();
  core(node).apply(now, token, std::move(command));
  carry_out(at(node));
  return token;
}

request_token world::settle(const std::string& node, std::uint64_t revision, bool linearizable) {
  const auto token = new_token();
  core(node).settle(now, token, revision, linearizable);
  carry_out(at(node));
  return token;
}

request_token world::change(const std::string& node, member_action action,
                            const member_info& info) {
  const auto token = new_token();
  core(node).change_member(now, token, {action, info});
  carry_out(at(node));
  return token;
}

request_token world::transfer(const std::string& node, const std::string& to) {
  const auto token = new_token();
  core(node).transfer(now, token, to);
  carry_out(at(node));
  return token;
}

const reply_value* world::reply_to(const std::string& node, request_token token) const {
  const auto& replies = nodes_.at(node).replies;
  const auto found = replies.find(token);
  return found == replies.end() ? nullptr : &found->second;
}

reply_value world::answer(const std::string& node, request_token token, milliseconds at_most) {
  wait_for([&] { return reply_to(node, token) != nullptr; }, at_most);
  const auto* const found = reply_to(node, token);
  return found == nullptr ? reply_value(no_answer()) : *found;
}

result<config_applied> world::applied(const std::string& node, config_command command) {
  const auto reply = answer(node, apply(node, std::move(command)));
  if (const auto* const failure = std::get_if<error>(&reply))
    return *failure;
  return std::get<config_applied>(reply);
}

result<membership_answer> world::changed(const std::string& node, member_action action,
                                         const member_info& info) {
  const auto reply = answer(node, change(node, action, info));
  if (const auto* const failure = std::get_if<error>(&reply))
    return *failure;
  return std::get<membership_answer>(reply);
}

// ---- what holds ---------------------------------------------------------------------------------

std::string world::leader() const {
  std::string out;
  raft::term_number term = 0;
  for (const auto& [name, n] : nodes_)
    if (runs(name) && n.core->leads() && n.core->core().term() > term) {
      out = name;
      term = n.core->core().term();
    }
  return out;
}

std::size_t world::voters() const {
  const auto leads = leader();
  return leads.empty() ? 0 : raft::voters_of(*nodes_.at(leads).core->core().log().members());
}

bool world::converged() const {
  const auto leads = leader();
  if (leads.empty())
    return false;
  const auto& first = *nodes_.at(leads).core;
  for (const auto& name : running()) {
    const auto& core = *nodes_.at(name).core;
    if (core.state().applied_index() != first.core().log().last_index() ||
        core.state().state_hash() != first.state().state_hash() || core.requests_waiting() != 0)
      return false;
  }
  return true;
}

} // namespace custos::cluster::replica::test
