#include "cluster/config_store_actor.hpp"

#include "cluster/link/hello.hpp"
#include "cluster/replica/disk.hpp"
#include "cluster/replica/wire.hpp"
#include "cluster/state_image.hpp"
#include "messages/caf_error.hpp"

#include <map>
#include <set>
#include <utility>
#include <vector>

namespace custos::cluster {

namespace {

// Not the whole namespace: it has a class of its own name.
using replica::disk_job;
using replica::disk_result;
using replica::known_member;
using replica::load_replica;
using replica::member_action;
using replica::member_change;
using replica::membership_answer;
using replica::outgoing_frames;
using replica::perform;
using replica::read_member_info;
using replica::replica_identity;
using replica::reply;
using replica::request_token;
using replica::settled;
using replica::stored_log;
using replica::stored_replica;
using std::chrono::milliseconds;

/// A fifth of a heartbeat.
constexpr milliseconds tick_interval{20};
/// How long a removed node keeps its link, so that it hears that it was removed.
constexpr replica::milliseconds farewell_ms = 2000;
/// How often the links are asked whether this node is still welcome.
constexpr replica::milliseconds links_look_ms = 1000;
/// How long a stopping leader waits for the next one.
constexpr replica::milliseconds hand_over_ms = 1500;

/// Blocking work of one replica, in order: its disk, and images of its state.
using disk_actor_api = caf::typed_actor<caf::reacts_to<posted_work>>;

class disk_actor : public disk_actor_api::base {
public:
  explicit disk_actor(caf::actor_config& cfg) : disk_actor_api::base(cfg) {}
  const char* name() const override { return "config_store_disk"; }
  disk_actor_api::behavior_type make_behavior() override {
    return {[](const posted_work& work) { (*work.run)(); }};
  }
};

class config_store_actor : public config_store_api::base {
public:
  config_store_actor(caf::actor_config& cfg, config_store_dependencies given,
                     const stored_replica& found, config_state state, disk_actor_api disk)
      : config_store_api::base(cfg), given_(std::move(given)), disk_(std::move(disk)),
        log_(std::make_shared<stored_log>(found)),
        replica_(identity_of(found), given_.options, recovered(found, state.applied_index()),
                 std::move(state), given_.seed, given_.ticks()) {
    set_default_handler(caf::drop);
    set_exit_handler([this](caf::exit_msg& message) { quit(std::move(message.reason)); });
  }

  const char* name() const override { return "config_store"; }

  config_store_api::behavior_type make_behavior() override {
    carry_out();
    delayed_send(this, tick_interval, tick{});
    return {
        [this](const config_command& command) { return apply(command); },
        [this](get_config_status) { return to_caf(status()); },
        [this](const get_config_object& call) { return to_caf(read(call)); },
        [this](const list_config_objects& call) { return to_caf(list(call)); },
        [this](get_config_state) {
          return held_config_state{std::make_shared<const config_state>(replica_.state())};
        },
        [this](const await_configuration& call) { return await(call); },
        [this](const change_membership& call) { return change(call); },
        [this](const transfer_leadership& call) { return transfer(call); },
        [this](get_cluster_status) { return cluster_now(); },
        [this](drain) { return hand_over(); },
        [this](const link_frame& frame) {
          replica_.received(given_.ticks(), frame.peer, frame.octets);
          carry_out();
        },
        [](const posted_work& work) { (*work.run)(); },
        [this](const tick&) { on_tick(); },
    };
  }

  void on_exit() override {
    anon_send_exit(disk_, caf::exit_reason::user_shutdown);
    // Whoever still waits is told; a promise that is kept would keep this actor, too.
    for (auto& [token, waiting] : waiting_)
      std::visit([](auto& to) { to.deliver(to_caf(unanswered(to, stopping()))); }, waiting);
    waiting_.clear();
    end_hand_over();
  }

private:
  template <class T>
  using answer_to = caf::typed_response_promise<T>;
  using any_promise = std::variant<answer_to<config_applied>, answer_to<config_status>,
                                   answer_to<membership_changed>>;

  static error stopping() { return make_error(errc::unavailable, "the node is stopping"); }

  /// To who asks now: nothing was done, and another node may do it.
  static error out_of_service(error why) {
    why.code = errc::unavailable;
    why.check = out_of_service_check;
    return why;
  }
  /// To who waits: a change may be on its way, and this node does not hear of it any more.
  template <class T>
  static error unanswered(const answer_to<T>&, error why) {
    if constexpr (std::is_same_v<T, config_status>) {
      return out_of_service(std::move(why));
    } else {
      why.code = errc::unavailable;
      why.message += ": the change may still take effect";
      why.check = "cluster-outcome-unknown";
      return why;
    }
  }

  [[nodiscard]] replica_identity identity_of(const stored_replica& found) const {
    return {found.self, given_.node, found.introduction, given_.incarnation,
            given_.program_version};
  }
  static raft::recovered_state recovered(const stored_replica& found, std::uint64_t applied) {
    return {found.durable, found.base, found.entries, applied};
  }

  template <class T, class Ask>
  caf::result<T> ask_replica(Ask ask) {
    if (stopped_)
      return to_caf(result<T>(out_of_service(stopped_->why)));
    const auto token = ++last_token_;
    auto waiting = make_response_promise<T>();
    waiting_.emplace(token, waiting);
    ask(given_.ticks(), token);
    carry_out();
    return waiting;
  }

  caf::result<config_applied> apply(const config_command& command) {
    return ask_replica<config_applied>(
        [&](auto now, auto token) { replica_.apply(now, token, command); });
  }

  caf::result<config_status> await(const await_configuration& call) {
    return ask_replica<config_status>([&](auto now, auto token) {
      replica_.settle(now, token, call.revision, call.linearizable);
    });
  }

  caf::result<config_status> transfer(const transfer_leadership& call) {
    return ask_replica<config_status>(
        [&](auto now, auto token) { replica_.transfer(now, token, call.to); });
  }

  caf::result<membership_changed> change(const change_membership& call) {
    auto info = read_member_info(call.info);
    if (!info)
      return to_caf(result<membership_changed>(info.failure()));
    member_change wanted;
    wanted.info = *std::move(info);
    switch (call.action) {
    case membership_action::add:
      wanted.action = member_action::add;
      break;
    case membership_action::replace:
      wanted.action = member_action::replace;
      break;
    case membership_action::remove:
      wanted.action = member_action::remove;
      break;
    case membership_action::update:
      wanted.action = member_action::update;
      break;
    }
    return ask_replica<membership_changed>(
        [&](auto now, auto token) { replica_.change_member(now, token, wanted); });
  }

  // ---- what the replica wants done --------------------------------------------------------------

  void carry_out() {
    if (stopped_)
      return;
    auto out = replica_.take();
    const bool leader_changed = notice_leader();
    if (out.state_changed || out.members_changed || leader_changed) {
      const auto snapshot = replica_.state().snapshot();
      if (given_.changed)
        given_.changed(snapshot, replica_.members(), replica_.leads());
      if (out.state_changed && given_.cell)
        given_.cell->publish(snapshot);
    }
    if (out.members_changed)
      tell_members();
    if (out.disk)
      write(*std::move(out.disk));
    for (const auto& to : out.send)
      send_frames(to);
    for (auto& one : out.replies)
      deliver(one);
    if (out.image_of)
      make_image(*std::move(out.image_of));
    update_gauges();
    if (replica_.fault())
      stop_serving(failure_of(*replica_.fault()));
    else if (replica_.is_removed())
      stop_serving({was_removed(), true});
  }

  static error was_removed() {
    return make_error(errc::forbidden, "this node was removed from its cluster");
  }

  /// Who was away when it was removed is told by those who will not talk to it any more. Voters
  /// only: a majority of them knows of a node that has just joined, where standbys may be behind.
  [[nodiscard]] bool refused_by_majority() const {
    if (!given_.link_status)
      return false;
    std::size_t voters = 0;
    std::set<std::string> refusing;
    for (const auto& l : given_.link_status())
      if (l.state != link::link_state::up && l.last_error &&
          l.last_error->check == link::check_of(link::refusal_reason::not_a_member))
        refusing.insert(l.peer.name);
    std::size_t refusals = 0;
    for (const auto& [id, other] : replica_.others()) {
      if (other.member.role != raft::member_role::voter)
        continue;
      ++voters;
      refusals += refusing.contains(other.member.info.name) ? 1U : 0U;
    }
    return refusals > voters / 2;
  }

  void send_frames(const outgoing_frames& to) {
    if (!given_.send)
      return;
    for (const auto& frame : to.frames)
      if (!given_.send(to.to, frame))
        return; // as if it was lost on the way; parts of it would be of no use
  }

  void write(disk_job job) {
    post_to_disk([this, store = given_.store, log = log_, job = std::move(job),
                  self = caf::actor_cast<config_store_api>(this)] {
      auto outcome = std::make_shared<disk_result>(perform(*store, *log, job));
      post(self, [this, outcome] {
        if (!outcome->written)
          return stop_serving(failure_of(outcome->written.failure()));
        replica_.disk_done(given_.ticks(), std::move(outcome->installed));
        carry_out();
      });
    });
  }

  void make_image(config_state state) {
    // Not on the disk's actor: writes go on meanwhile.
    system().spawn<caf::detached>(
        [this, self = caf::actor_cast<config_store_api>(this)](caf::event_based_actor*,
                                                               const held_config_state& held) {
          auto image = std::make_shared<const bytes>(encode_state(*held.state));
          post(self, [this, image, index = held.state->applied_index()] {
            replica_.image_made(index, image);
            carry_out();
          });
        },
        held_config_state{std::make_shared<const config_state>(std::move(state))});
  }

  /// `work` runs on this actor's thread, unless it has ended.
  static void post(const config_store_api& self, std::function<void()> work) {
    caf::anon_send(self, posted_work{std::make_shared<std::function<void()>>(std::move(work))});
  }
  void post_to_disk(std::function<void()> work) {
    caf::anon_send(disk_, posted_work{std::make_shared<std::function<void()>>(std::move(work))});
  }

  void deliver(reply& one) {
    const auto found = waiting_.extract(one.to);
    if (found.empty())
      return;
    auto& waiting = found.mapped();
    if (const auto* const why = std::get_if<error>(&one.what))
      std::visit([&](auto& to) { to.deliver(to_caf(*why)); }, waiting);
    else if (const auto* const applied = std::get_if<config_applied>(&one.what))
      std::get<answer_to<config_applied>>(waiting).deliver(*applied);
    else if (const auto* const at = std::get_if<settled>(&one.what))
      std::get<answer_to<config_status>>(waiting).deliver(
          config_status{at->revision, at->fingerprint, given_.cluster_id, given_.node});
    else if (const auto* const changed = std::get_if<membership_answer>(&one.what))
      std::get<answer_to<membership_changed>>(waiting).deliver(
          membership_changed{changed->id, replica::encode(changed->members)});
  }

  /// What a later version of the program wrote, a later version reads; and a disk that failed may
  /// hold what is good.
  static replica_failure failure_of(const error& why) { return {why, why.code == errc::corrupted}; }

  /// Says why, to everybody who waits and to the process, and does nothing more.
  void stop_serving(replica_failure failure) {
    if (stopped_)
      return;
    stopped_ = std::move(failure);
    if (stopped_->for_good)
      post_to_disk([store = given_.store, why = stopped_->why.message] {
        rocksdb::write_batch batch;
        replica::add_out_of_service(batch, why);
        // If the disk refuses this too, the next start finds out by itself.
        static_cast<void>(store->write(batch).ok());
      });
    for (auto& [token, waiting] : waiting_)
      std::visit([&](auto& to) { to.deliver(to_caf(unanswered(to, stopped_->why))); }, waiting);
    waiting_.clear();
    end_hand_over();
    if (given_.gauges)
      given_.gauges->in_service = 0;
    if (given_.failed)
      given_.failed(*stopped_);
  }

  // ---- time and members -------------------------------------------------------------------------

  void on_tick() {
    delayed_send(this, tick_interval, tick{});
    if (stopped_)
      return;
    const auto now = given_.ticks();
    replica_.tick(now);
    carry_out();
    if (!leaving_.empty())
      tell_members();
    if (now >= look_at_links_at_) {
      look_at_links_at_ = now + links_look_ms;
      if (!stopped_ && refused_by_majority())
        stop_serving({was_removed(), true});
    }
    if (!replica_.leads() || now >= hand_over_until_)
      end_hand_over();
  }

  caf::result<drained> hand_over() {
    // Asked twice, it waits for the same.
    if (handing_over_.empty() && (stopped_ || !replica_.step_down()))
      return drained{};
    if (handing_over_.empty())
      hand_over_until_ = given_.ticks() + hand_over_ms;
    auto waiting = make_response_promise<drained>();
    handing_over_.push_back(waiting);
    carry_out();
    return waiting;
  }

  void end_hand_over() {
    for (auto& waiting : std::exchange(handing_over_, {}))
      waiting.deliver(drained{});
  }

  /// Tells the link who belongs to the cluster; who was removed stays a moment longer.
  void tell_members() {
    if (!given_.members)
      return;
    const auto now = given_.ticks();
    auto present = link_members(replica_.members());
    for (const auto& before : told_) {
      const bool stays = std::any_of(present.begin(), present.end(),
                                     [&](const auto& m) { return m.name == before.name; });
      if (!stays)
        leaving_.try_emplace(before.name, now + farewell_ms);
    }
    auto told = present;
    for (auto at = leaving_.begin(); at != leaving_.end();) {
      const bool is_back = std::any_of(present.begin(), present.end(),
                                       [&](const auto& m) { return m.name == at->first; });
      const auto before = std::find_if(told_.begin(), told_.end(),
                                       [&](const auto& m) { return m.name == at->first; });
      if (is_back || now >= at->second || before == told_.end()) {
        at = leaving_.erase(at);
        continue;
      }
      told.push_back(*before);
      ++at;
    }
    told_ = told;
    given_.members(std::move(told));
  }

  bool notice_leader() {
    const auto& core = replica_.core();
    if (leader_seen_ == core.leader() && term_seen_ == core.term())
      return false;
    leader_seen_ = core.leader();
    term_seen_ = core.term();
    if (given_.gauges)
      ++given_.gauges->elections_seen;
    if (!given_.leader_changed)
      return true;
    std::string name;
    for (const auto& m : replica_.members())
      if (m.id == leader_seen_)
        name = m.info.name;
    given_.leader_changed(name, term_seen_);
    return true;
  }

  void update_gauges() {
    if (!given_.gauges)
      return;
    auto& g = *given_.gauges;
    const auto& core = replica_.core();
    g.states_differ = static_cast<std::uint64_t>(
        std::count_if(replica_.others().begin(), replica_.others().end(),
                      [](const auto& other) { return other.second.agrees == false; }));
    g.term = core.term();
    g.leads = replica_.leads() ? 1 : 0;
    g.leader_known = core.leader() != 0 ? 1 : 0;
    g.committed = core.commit_index();
    g.applied = replica_.state().applied_index();
    g.voters = raft::voters_of(*core.log().members());
    g.members = replica_.members().size();
    g.requests_waiting = replica_.requests_waiting();
    g.in_service = stopped_ || replica_.is_empty() ? 0 : 1;
  }

  // ---- reading ----------------------------------------------------------------------------------

  result<void> in_service() const {
    return stopped_ ? result<void>(out_of_service(stopped_->why)) : result<void>();
  }

  result<config_status> status() {
    return config_status{replica_.state().revision(), replica_.state().fingerprint(),
                         given_.cluster_id, given_.node};
  }

  result<config_document> read(const get_config_object& call) {
    CUSTOS_CHECK(in_service());
    CUSTOS_CHECK(check_object_name(call.kind, call.name));
    const auto* const found = replica_.state().find(call.kind, call.name);
    if (found == nullptr)
      return make_error(errc::not_found,
                        "there is no " + std::string(to_string(call.kind)) + "/" + call.name);
    return config_document{call.name, found->document, replica_.state().revision()};
  }

  result<config_documents> list(const list_config_objects& call) {
    CUSTOS_CHECK(in_service());
    config_documents out;
    out.revision = replica_.state().revision();
    if (to_string(call.kind) == "unknown")
      return field_error(errc::invalid_argument, "kind", "expected a kind of configuration object");
    for (const auto& object : replica_.state().all(call.kind))
      out.objects.push_back({object->name, object->document, out.revision});
    return out;
  }

  [[nodiscard]] std::string role_of(raft::replica_id id, raft::member_role role) const {
    if (id != 0 && id == replica_.core().leader())
      return "leader";
    return role == raft::member_role::voter ? "voter" : "standby";
  }

  [[nodiscard]] std::string own_role() const {
    if (stopped_)
      return "out of service";
    const bool votes = raft::is_voter(*replica_.core().log().members(), replica_.self());
    return role_of(replica_.self(), votes ? raft::member_role::voter : raft::member_role::standby);
  }

  cluster_status cluster_now() {
    const auto& core = replica_.core();
    const auto& state = replica_.state();
    cluster_status out;
    out.cluster_id = given_.cluster_id;
    out.cluster_name = given_.cluster_name;
    out.node = given_.node;
    out.id = replica_.self();
    out.role = own_role();
    out.term = core.term();
    out.committed = core.commit_index();
    out.applied = state.applied_index();
    out.revision = state.revision();
    out.fingerprint = state.fingerprint();
    out.state_hash = crypto::hex(state.state_hash());
    out.version = given_.program_version;
    out.problem = stopped_ ? stopped_->why.message : "";
    const auto links = given_.link_status ? given_.link_status() : std::vector<link::link_status>();
    for (const auto& m : replica_.members()) {
      if (m.id == core.leader())
        out.leader = m.info.name;
      out.members.push_back(member_now(m, links));
    }
    return out;
  }

  cluster_member_status member_now(const known_member& m,
                                   const std::vector<link::link_status>& links) {
    cluster_member_status out;
    out.id = m.id;
    out.node = m.info.name;
    out.role = role_of(m.id, m.role);
    out.address = m.info.host + ":" + std::to_string(m.info.port);
    if (m.id == replica_.self()) {
      out.link = "self";
      out.applied = replica_.state().applied_index();
      out.revision = replica_.state().revision();
      out.version = given_.program_version;
    } else if (const auto seen = replica_.others().find(m.id); seen != replica_.others().end()) {
      const auto& view = seen->second;
      if (view.heard_at != 0)
        out.heard_ms_ago = given_.ticks() - view.heard_at;
      out.applied = view.applied;
      out.revision = view.revision;
      out.version = view.program_version;
      if (view.agrees == false)
        out.problem = "its state differs from this node's";
    }
    for (const auto& l : links) {
      if (l.peer.name != m.info.name)
        continue;
      out.link = l.state == link::link_state::up         ? "up"
                 : l.state == link::link_state::dialling ? "dialling"
                                                         : "waiting";
      out.certificate_expires = l.peer.certificate_expires;
      if (l.state != link::link_state::up && l.last_error && out.problem.empty())
        out.problem = l.last_error->message;
    }
    const auto committed = replica_.core().commit_index();
    out.lag = committed > out.applied ? committed - out.applied : 0;
    return out;
  }

  config_store_dependencies given_;
  disk_actor_api disk_;
  std::shared_ptr<stored_log> log_; ///< used on the disk's thread
  replica::replica replica_;
  std::map<request_token, any_promise> waiting_;
  request_token last_token_ = 0;
  std::optional<replica_failure> stopped_;
  raft::replica_id leader_seen_ = 0;
  raft::term_number term_seen_ = 0;
  std::vector<link::link_member> told_;
  std::map<std::string, replica::milliseconds> leaving_; ///< until when they keep their links
  std::vector<answer_to<drained>> handing_over_;
  replica::milliseconds hand_over_until_ = 0;
  replica::milliseconds look_at_links_at_ = 0;
};

template <caf::spawn_options Options>
result<config_store_api> spawn_with(caf::actor_system& system, config_store_dependencies given) {
  CUSTOS_TRY(const auto found, load_replica(*given.store));
  CUSTOS_TRY(auto state, load_state_of(*given.store, found));
  if (given.cell)
    given.cell->publish(state.snapshot());
  disk_actor_api disk = system.spawn<disk_actor, Options>();
  return config_store_api(system.spawn<config_store_actor, Options>(
      std::move(given), found, std::move(state), std::move(disk)));
}

} // namespace

result<config_store_api> spawn_config_store(caf::actor_system& system,
                                            config_store_dependencies given) {
  return spawn_with<caf::detached>(system, std::move(given));
}

result<config_store_api> spawn_config_store_scheduled(caf::actor_system& system,
                                                      config_store_dependencies given) {
  return spawn_with<caf::no_spawn_options>(system, std::move(given));
}

} // namespace custos::cluster
