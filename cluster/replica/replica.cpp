#include "cluster/replica/replica.hpp"

#include "cluster/config_storage.hpp"
#include "cluster/link/limits.hpp"
#include "cluster/replica/wire.hpp"

#include <utility>

namespace custos::cluster::replica {

namespace {

/// Hashes of the state at this many applied entries are kept for comparison.
constexpr std::size_t hashes_kept = 4096;
/// The log is shortened by this part of what is kept, not entry by entry.
constexpr std::size_t slack_divisor = 4;

raft::options core_options(const replica_options& given) {
  auto out = given.raft;
  out.entries_behind = 0; // shorten_log() says what is kept
  return out;
}

/// So many values that two processes of a node hardly come to have one in common.
std::uint64_t first_id_of(const std::string& incarnation) {
  std::uint64_t out = 0;
  const auto digest = crypto::sha256(as_bytes(incarnation));
  for (std::size_t i = 0; i < sizeof(out); ++i)
    out = (out << 8U) | digest.at(i);
  return out;
}

/// A node is told the members when the entry that takes it in, which has its number, is committed.
raft::log_index introduction_index(const replica_identity& identity) {
  return identity.introduction.empty() ? 0 : identity.self;
}

/// A committed membership, and what a later one that is not committed changes or adds. Of two
/// members of one name the committed one counts: the other is of a log that never came to be.
raft::membership with_latest(const raft::membership& committed, const raft::membership& latest) {
  raft::membership out = latest;
  const auto known = known_members(committed);
  std::erase_if(out, [&](const raft::member& m) {
    const auto info = read_member_info(m.info);
    const auto* const same = info ? find_by_name(known, info->name) : nullptr;
    return same != nullptr && same->id != m.id;
  });
  for (const auto& m : committed)
    if (raft::find_member(out, m.id) == nullptr)
      out.push_back(m);
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  return out;
}

} // namespace

replica::replica(replica_identity identity, const replica_options& options,
                 raft::recovered_state found, config_state state, std::uint64_t seed,
                 milliseconds now)
    : identity_(std::move(identity)), options_(options),
      core_(identity_.self, core_options(options), found, seed, now), state_(std::move(state)),
      now_(now), told_{introduction_index(identity_), identity_.introduction},
      last_id_(first_id_of(identity_.incarnation)), hashes_(hashes_kept) {
  for (auto i = core_.log().base().index + 1; i <= state_.applied_index(); ++i) {
    const auto& command = core_.log().at(i).command;
    entry_applied(i, command ? command->size() : 0);
  }
  remember_hash();
  look_at_members();
}

void replica::fail(error why) {
  if (!fault_)
    fault_ = std::move(why);
}

/// Its number is where the entry lies that took it in: an earlier membership cannot have it.
bool replica::is_removed() const {
  return sure_index_ >= identity_.self && !surely_member_;
}

// ---- what happens -------------------------------------------------------------------------------

void replica::tick(milliseconds now) {
  now_ = now;
  core_.tick(now);
  if (now >= pulse_at_) {
    pulse_at_ = now + options_.pulse_interval_ms;
    send_pulse();
  }
  expire();
  resend();
}

void replica::received(milliseconds now, const std::string& peer, byte_view frame) {
  now_ = now;
  auto whole = assemblers_[peer].take(frame);
  // What does not read is dropped like what was lost; the link's counters tell of bad peers.
  if (!whole || !*whole)
    return;
  std::visit([&](const auto& p) { handle(peer, p); }, **whole);
}

/// Whether this replica may be the peer's: a node that was replaced has a new number.
bool replica::is_of(raft::replica_id id, const std::string& peer) const {
  for (const auto& m : members_)
    if (m.id == id)
      return m.info.name == peer;
  return find_by_name(members_, peer) == nullptr;
}

void replica::handle(const std::string& peer, const raft_parcel& p) {
  if (p.to != identity_.self || !is_of(p.from, peer))
    return;
  if (auto m = decode_message(p.message))
    core_.receive(now_, p.from, *std::move(m));
}

void replica::handle(const std::string&, const proposal_parcel& p) {
  if (!leads())
    return; // whoever sent it sends it again, to the leader
  if (const auto command = decode_replicated_command(p.command))
    propose(command->command.operation_id, p.command);
}

void replica::handle(const std::string& peer, const question_parcel& p) {
  serve({peer, p.id}, p.kind, p.body, now_ + p.patience_ms);
}

void replica::handle(const std::string&, const answer_parcel& p) {
  take_answer(p.id, p.failure, p.body);
}

void replica::handle(const std::string& peer, const pulse_parcel& p) {
  // Whoever is behind is told, and so learns that it was removed.
  if (p.members_index < sure_index_)
    send(peer, members_parcel{sure_index_, sure_octets_});
  const auto view = others_.find(p.from);
  if (view == others_.end() || view->second.member.info.name != peer)
    return;
  view->second.heard_at = now_;
  view->second.applied = p.applied;
  view->second.revision = p.revision;
  view->second.program_version = p.program_version;
  claims_[p.from] = {p.applied, p.state_hash};
  compare(p.from);
}

void replica::handle(const std::string&, const members_parcel& p) {
  if (p.index <= sure_index_)
    return;
  if (auto members = decode_members(p.members))
    told_ = {p.index, *std::move(members)};
}

void replica::disk_done(milliseconds now, std::optional<config_state> installed) {
  now_ = now;
  disk_busy_ = false;
  if (installed)
    installed_ = std::move(installed);
  if (const auto number = std::exchange(writes_in_hand_, 0); number != 0)
    core_.written(number);
}

void replica::image_made(raft::log_index index, raft::bytes_ptr image) {
  image_index_.reset();
  core_.provide(index, std::move(image));
}

bool replica::step_down() {
  if (!leads())
    return false;
  const auto next = successor(*core_.log().members(), seen(), raft::member_role::voter);
  return next && core_.transfer(*next).ok();
}

// ---- what is to be done -------------------------------------------------------------------------

void replica::send(const std::string& peer, const parcel& p) {
  out_.send.push_back({peer, to_frames(p, link::frame_bytes_max)});
}

effects replica::take() {
  pump();
  return std::exchange(out_, {});
}

void replica::pump() {
  for (bool more = true; more && !fault_;) {
    notice_leader();
    drive_membership();
    look_at_members();
    auto a = core_.take(!disk_busy_);
    for (auto& m : a.messages)
      for (const auto& to : members_)
        if (to.id == m.to)
          send(to.info.name, raft_parcel{identity_.self, m.to, encode(m.what)});
    for (const auto& d : a.deliveries) {
      if (const auto* const entry = std::get_if<raft::delivered_entry>(&d))
        deliver(*entry);
      else
        install(*std::get<raft::snapshot_ptr>(d));
    }
    for (const auto& r : a.reads) {
      const auto from = reads_.extract(r.token);
      if (!from.empty())
        answer(from.mapped(), r.index ? std::nullopt : std::optional(no_leader()),
               r.index ? encode_index(*r.index) : bytes{});
    }
    if (a.wants_snapshot && !image_index_) {
      image_index_ = state_.applied_index();
      out_.image_of = state_;
    }
    if (core_.fault())
      fail(*core_.fault());
    shorten_log();
    more = !a.deliveries.empty() || !a.reads.empty();
    hand_to_disk(std::move(a.writes));
  }
  look_at_members();
  settle_waiting();
}

/// The state first: what a write installs or shortens comes after what was applied before it.
void replica::hand_to_disk(std::vector<raft::write> writes) {
  if (disk_busy_ || fault_ || (writes.empty() && !state_dirty_))
    return;
  disk_job job;
  if (std::exchange(state_dirty_, false)) {
    add_head(state_changes_, state_);
    job.state = std::exchange(state_changes_, {});
  }
  if (!writes.empty())
    writes_in_hand_ = writes.back().number;
  job.writes = std::move(writes);
  disk_busy_ = true;
  out_.disk = std::move(job);
}

// ---- the state machine --------------------------------------------------------------------------

void replica::deliver(const raft::delivered_entry& entry) {
  if (fault_)
    return;
  state_dirty_ = true;
  if (entry.what.kind != raft::entry_kind::command) {
    state_.set_applied(entry.index);
    remember_hash();
    return entry_applied(entry.index, 0);
  }
  const auto command = decode_replicated_command(*entry.what.command);
  if (!command) {
    // To go on without it would be to diverge.
    return fail(make_error(
        command.failure().code == errc::unsupported ? errc::unsupported : errc::corrupted,
        "entry " + std::to_string(entry.index) + " of the log: " + command.failure().message));
  }
  const auto change = state_.judge(*command, entry.index);
  add_changes(state_changes_, state_, change);
  state_.commit(change);
  state_.set_applied(entry.index);
  out_.state_changed = out_.state_changed || change.writes;
  remember_hash();
  entry_applied(entry.index, entry.what.command->size());
  proposed_.erase(command->command.operation_id);
  change_settled(command->command, change);
}

void replica::install(const raft::snapshot& whole) {
  auto state = std::exchange(installed_, std::nullopt);
  if (!state || state->applied_index() != whole.at.index)
    return fail(make_error(errc::corrupted, "the image that was installed is not that of entry " +
                                                std::to_string(whole.at.index)));
  state_ = *std::move(state);
  out_.state_changed = true;
  kept_.clear();
  kept_bytes_ = 0;
  remember_hash();
  look_for_outcomes();
}

void replica::entry_applied(raft::log_index index, std::size_t octets) {
  kept_.emplace_back(index, octets);
  kept_bytes_ += octets;
}

void replica::shorten_log() {
  const auto over = [](std::size_t n, std::size_t limit) {
    return n > limit + limit / slack_divisor;
  };
  if (!over(kept_.size(), options_.entries_kept) && !over(kept_bytes_, options_.entry_bytes_kept))
    return;
  raft::log_index up_to = 0;
  while (!kept_.empty() &&
         (kept_.size() > options_.entries_kept || kept_bytes_ > options_.entry_bytes_kept) &&
         !(image_index_ && kept_.front().first > *image_index_)) {
    up_to = kept_.front().first;
    kept_bytes_ -= kept_.front().second;
    kept_.pop_front();
  }
  if (up_to != 0)
    core_.compact(up_to);
}

// ---- who is there -------------------------------------------------------------------------------

void replica::show_members(const raft::membership& members) {
  members_ = known_members(members);
  out_.members_changed = true;
  std::map<raft::replica_id, member_view> others;
  for (const auto& m : members_) {
    if (m.id == identity_.self)
      continue;
    auto& view = others[m.id];
    if (const auto before = others_.find(m.id); before != others_.end())
      view = before->second;
    view.member = m;
  }
  others_ = std::move(others);
  std::erase_if(claims_, [&](const auto& c) { return !others_.contains(c.first); });
}

/// Only what is committed is told to others and believed of them: what is not may come to nothing.
void replica::look_at_members() {
  const auto& log = core_.log();
  const auto committed = log.base_at(core_.commit_index());
  if (log.members() == seen_latest_ && committed.members == seen_committed_ &&
      told_.index == seen_told_)
    return;
  seen_latest_ = log.members();
  seen_committed_ = committed.members;
  seen_told_ = told_.index;
  const bool by_others = committed.members->empty() || told_.index > committed.members_index;
  const auto& sure = by_others ? told_.members : *committed.members;
  sure_index_ = by_others ? told_.index : committed.members_index;
  sure_octets_ = encode(sure);
  surely_member_ = raft::find_member(sure, identity_.self) != nullptr;
  show_members(log.members_index() > sure_index_ ? with_latest(sure, *log.members()) : sure);
}

void replica::notice_leader() {
  if (seen_term_ == core_.term() && seen_leader_ == core_.leader())
    return;
  seen_term_ = core_.term();
  seen_leader_ = core_.leader();
  proposed_.clear();
  drop_wishes();
  if (seen_leader_ == 0)
    return;
  for (auto& [id, change] : changes_)
    dispatch(change);
  // An answer may come at once and take its question away.
  std::vector<std::uint64_t> open;
  for (const auto& [id, question] : questions_)
    open.push_back(id);
  for (const auto id : open)
    if (const auto found = questions_.find(id); found != questions_.end())
      dispatch(id, found->second);
}

// ---- whether states agree -----------------------------------------------------------------------

void replica::send_pulse() {
  pulse_parcel p;
  p.from = identity_.self;
  p.applied = state_.applied_index();
  p.state_hash = state_.state_hash();
  p.revision = state_.revision();
  p.members_index = sure_index_;
  p.program_version = identity_.program_version;
  for (const auto& [id, view] : others_)
    send(view.member.info.name, p);
}

void replica::remember_hash() {
  const auto index = state_.applied_index();
  hashes_[index % hashes_.size()] = {index, state_.state_hash()};
  for (const auto& [id, claim] : claims_)
    if (claim.index == index)
      compare(id);
}

void replica::compare(raft::replica_id with) {
  const auto view = others_.find(with);
  const auto claim = claims_.find(with);
  if (view == others_.end() || claim == claims_.end())
    return;
  const auto& own = hashes_[claim->second.index % hashes_.size()];
  // An empty replica has no state to agree about.
  if (own.index != claim->second.index || own.index == 0)
    return;
  view->second.agrees = own.hash == claim->second.hash;
  if (!*view->second.agrees)
    judge_agreement();
}

/// Who is alone with its state is wrong; of two, whoever does not lead.
void replica::judge_agreement() {
  std::size_t with_us = raft::is_voter(*core_.log().members(), identity_.self) ? 1 : 0;
  std::size_t against_us = 0;
  std::string who;
  for (const auto& [id, view] : others_) {
    if (view.member.role != raft::member_role::voter || !view.agrees)
      continue;
    if (*view.agrees) {
      ++with_us;
      continue;
    }
    ++against_us;
    who += (who.empty() ? "" : ", ") + view.member.info.name;
  }
  if (against_us > with_us || (against_us == with_us && against_us > 0 && !leads()))
    fail(make_error(errc::corrupted, "the state of this node differs from that of " + who));
}

} // namespace custos::cluster::replica
