#include "runtime/node_cluster.hpp"

#include "adapters/crypto/crypto.hpp"
#include "cluster/link/hello.hpp"
#include "runtime/log.hpp"
#include "runtime/program.hpp"

#include <chrono>

namespace custos::runtime {

namespace {

using cluster::replica::member_info;

/// Longer than a replica waits for a majority.
constexpr std::chrono::milliseconds answer_budget{8000};
constexpr std::chrono::milliseconds stop_budget{3000};
constexpr std::chrono::minutes certificate_look_interval{10};
/// A certificate is renewed when this part of its life is left.
constexpr std::int64_t renew_part = 3;
constexpr std::size_t link_queue_bytes_max = 32U << 20U;

cluster::replica::milliseconds ticks() {
  const auto since = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<cluster::replica::milliseconds>(
      std::chrono::duration_cast<std::chrono::milliseconds>(since).count());
}

std::uint64_t random_seed() {
  std::uint64_t out = 0;
  for (const auto octet : crypto::random_bytes(sizeof(out)))
    out = (out << 8U) | octet;
  return out;
}

error not_yet() {
  auto e = make_error(errc::unavailable,
                      "this node has not received the configuration of its cluster yet");
  e.check = "cluster-joining";
  e.retry_after_s = 2;
  return e;
}

/// Asked again only where another answer may come.
bool may_succeed_later(const error& e) {
  if (e.check == cluster::out_of_service_check)
    return false;
  return e.code == errc::unavailable || e.code == errc::timeout || e.code == errc::overloaded;
}

} // namespace

// ---- start and stop -----------------------------------------------------------------------------

result<std::unique_ptr<node_cluster>> node_cluster::open(const node_cluster_options& options,
                                                         dependencies given) {
  std::unique_ptr<node_cluster> out(new node_cluster(std::move(given)));
  if (!options.address.empty()) {
    auto address = cluster::replica::parse_link_address(options.address);
    if (!address)
      return field_error(errc::invalid_argument, "--cluster-address", address.failure().message);
  }
  out->wanted_address_ = options.address;
  CUSTOS_CHECK(out->listen(options));
  return out;
}

result<void> node_cluster::listen(const node_cluster_options& options) {
  const auto where = parse_listen(options.listen);
  if (!where)
    return field_error(errc::invalid_argument, "--cluster-listen", "expected address:port");
  const auto& store = *given_.store;
  const auto identity = store.identity();
  cluster::link::link_options o;
  o.address = where->host;
  o.port = where->port;
  o.send_queue_bytes_max = link_queue_bytes_max;
  auto link = cluster::link::node_link::listen(
      *given_.pool, cluster::link::identity_of(*store.keys(), identity), o, events(), given_.now);
  if (!link)
    return field_error(link.failure().code, "--cluster-listen", link.failure().message);
  link_ = *std::move(link);

  cluster::config_store_dependencies d;
  d.store = store.store();
  d.cell = given_.config;
  d.cluster_id = store.keys()->cluster_id;
  d.cluster_name = store.keys()->cluster_name;
  d.node = identity.name;
  d.incarnation = link_->incarnation();
  d.program_version = CUSTOS_VERSION;
  d.seed = random_seed();
  d.ticks = ticks;
  d.send = [l = link_.get()](const std::string& peer, byte_view frame) {
    return l->send(peer, frame);
  };
  d.members = [this](std::vector<cluster::link::link_member> members) {
    for (const auto& m : members)
      if (m.name == given_.store->identity().name) {
        const std::lock_guard guard(mutex_);
        address_ = cluster::replica::link_address{m.host, m.port};
      }
    if (auto told = link_->set_members(std::move(members)); !told)
      log_error("cluster.members", {{"detail", told.failure().message}});
  };
  d.link_status = [l = link_.get()] { return l->status(); };
  d.changed = [this](const config_ptr& state,
                     const std::vector<cluster::replica::known_member>& members,
                     bool leads) { on_change(state, members, leads); };
  d.leader_changed = [](const std::string& leader, raft::term_number term) {
    if (leader.empty())
      log_warning("cluster.no_leader", {{"term", std::to_string(term)}});
    else
      log_info("cluster.leader", {{"leader", leader}, {"term", std::to_string(term)}});
  };
  d.failed = [this](const cluster::replica_failure& failure) { on_failure(failure); };
  d.gauges = gauges_;
  CUSTOS_TRY(config_store_, cluster::spawn_config_store(*given_.system, std::move(d)));
  return {};
}

cluster::link::link_events node_cluster::events() {
  cluster::link::link_events e;
  e.up = [](const cluster::link::link_peer& peer) {
    log_info("link.up", {{"peer", peer.name}, {"version", peer.program_version}});
  };
  e.down = [](const std::string& name, const error& why) {
    log_warning("link.down", {{"peer", name}, {"detail", why.message}});
  };
  e.received = [this](const std::string& name, bytes frame, cluster::link::receipt done) {
    caf::anon_send(config_store_, link_frame{name, std::move(frame), std::move(done)});
  };
  e.clash = [this](const cluster::link::identity_clash& clash) { on_clash(clash); };
  return e;
}

void node_cluster::begin(bridge& calls) {
  {
    const std::lock_guard guard(mutex_);
    calls_ = &calls;
  }
  link_->start();
  carry_out_left_commands();
  introduce_again();
  // A node that is alone may have been leading before it came here.
  go_on_rotating();
  // The interval is an argument: CAF 0.17.6 looks into nothing where a function takes none.
  auto keep = [this](caf::event_based_actor* self, std::chrono::minutes interval) -> caf::behavior {
    self->delayed_send(self, interval, tick{});
    return {[this, self, interval](const tick&) {
      keep_certificate_fresh();
      go_on_rotating();
      self->delayed_send(self, interval, tick{});
    }};
  };
  keeper_ = given_.system->spawn(std::move(keep), certificate_look_interval);
}

void node_cluster::stop() {
  {
    const std::lock_guard guard(mutex_);
    if (std::exchange(stopped_, true))
      return;
  }
  if (keeper_)
    caf::anon_send_exit(keeper_, caf::exit_reason::user_shutdown);
  if (config_store_) {
    caf::scoped_actor self(*given_.system);
    self->request(config_store_, stop_budget, drain{})
        .receive([](const drained&) {},
                 [](const caf::error&) { log_warning("cluster.not_handed_over"); });
    caf::anon_send_exit(config_store_, caf::exit_reason::user_shutdown);
    self->wait_for(config_store_);
  }
  if (link_)
    link_->stop();
}

node_cluster::~node_cluster() {
  stop();
}

bool node_cluster::is_stopped() const {
  const std::lock_guard guard(mutex_);
  return stopped_;
}

// ---- what goes wrong ----------------------------------------------------------------------------

std::optional<error> node_cluster::out_of_service() const {
  {
    const std::lock_guard guard(mutex_);
    if (failure_)
      return failure_;
  }
  return gauges_->in_service == 0 ? std::optional(not_yet()) : std::nullopt;
}

void node_cluster::on_failure(const cluster::replica_failure& failure) {
  auto why = failure.why;
  if (failure.for_good)
    why.message += ": this node took itself out of service. Rebuild it from the others with "
                   "\"custos cluster join --replace\"";
  log_error("cluster.out_of_service", {{"detail", why.message}});
  const bool ends = !failure.for_good;
  {
    const std::lock_guard guard(mutex_);
    failure_ = why;
    failure_->code = errc::unavailable;
    failure_->check = cluster::out_of_service_check;
  }
  if (ends)
    given_.give_up(why);
}

void node_cluster::on_clash(const cluster::link::identity_clash& clash) {
  if (!clash.ours) {
    log_error("cluster.identity_clash", {{"node", clash.node}, {"seen_by", clash.seen_by}});
    return;
  }
  auto why = make_error(errc::forbidden,
                        "another process runs with this node's identity, as " + clash.seen_by +
                            " has seen: its data directory was copied. Neither of the two goes on");
  why.check = "cluster-identity-clash";
  log_error("cluster.identity_clash", {{"detail", why.message}});
  {
    const std::lock_guard guard(mutex_);
    failure_ = why;
  }
  given_.give_up(why);
}

// ---- what the node does by itself ---------------------------------------------------------------

void node_cluster::change(membership_action action, const member_info& info,
                          callback<membership_changed> done) {
  calls_->ask<membership_changed>(config_store_, answer_budget,
                                  change_membership{action, write_member_info(info)},
                                  std::move(done));
}

result<cluster::replica::link_address> node_cluster::own_address() const {
  if (!wanted_address_.empty())
    return cluster::replica::parse_link_address(wanted_address_);
  const std::lock_guard guard(mutex_);
  if (!address_)
    return make_error(errc::unavailable, "the membership does not name this node");
  return *address_;
}

/// Address and certificate as they are now; nothing happens where the membership has them.
void node_cluster::introduce_again() {
  const auto address = own_address();
  if (!address || is_stopped())
    return;
  const auto info = member_info_of(given_.store->identity(), *address);
  change(membership_action::update, info, [this](const result<membership_changed>& changed) {
    if (!changed && may_succeed_later(changed.failure()))
      introduce_again();
    else if (!changed)
      log_warning("cluster.introduction", {{"detail", changed.failure().message}});
  });
}

void node_cluster::carry_out_left_commands() {
  if (is_stopped())
    return;
  const auto left = cluster::left_commands(*given_.store);
  if (!left) {
    log_error("cluster.left_commands", {{"detail", left.failure().message}});
    return;
  }
  if (left->empty())
    return;
  const auto id = left->front().operation_id;
  calls_->ask<config_applied>(
      config_store_, answer_budget, left->front(), [this, id](const result<config_applied>& r) {
        if (!r && may_succeed_later(r.failure()))
          return carry_out_left_commands();
        if (!r && r.failure().check == cluster::out_of_service_check)
          return; // it stays for the next start
        if (!r)
          log_error("cluster.left_command", {{"detail", r.failure().message}});
        if (auto forgotten = cluster::forget_left_command(*given_.store, id); !forgotten) {
          log_error("cluster.left_command", {{"detail", forgotten.failure().message}});
          return;
        }
        carry_out_left_commands();
      });
}

void node_cluster::keep_certificate_fresh() {
  const auto certificate = given_.store->identity().certificate;
  const auto life = certificate.not_after() - certificate.not_before();
  if (certificate.not_after() - given_.now() > life / renew_part)
    return;
  renew_certificate([](const result<cluster_status>& r) {
    if (!r)
      log_warning("cluster.renewal", {{"detail", r.failure().message}});
  });
}

/// First the cluster knows the new certificate beside the old one, then the node has it, then the
/// old one is forgotten: at no moment is the node a stranger.
void node_cluster::renew_certificate(callback<cluster_status> done) {
  {
    const std::lock_guard guard(mutex_);
    if (std::exchange(renewing_, true))
      return done(make_error(errc::revision_conflict, "the certificate is being renewed already"));
  }
  done = [this, done = std::move(done)](result<cluster_status> r) {
    {
      const std::lock_guard guard(mutex_);
      renewing_ = false;
    }
    done(std::move(r));
  };
  auto next = cluster::renewed_identity(*given_.store, given_.now());
  const auto address = own_address();
  if (!next || !address)
    return done(next ? address.failure() : next.failure());
  auto both = member_info_of(*next, *address);
  both.certificates.push_back(given_.store->identity().certificate.fingerprint());
  change(membership_action::update, both,
         [this, next = *std::move(next),
          done = std::move(done)](const result<membership_changed>& changed) {
           if (!changed)
             return done(changed.failure());
           switch_identity(next, done);
         });
}

void node_cluster::switch_identity(const cluster::node_identity& to,
                                   callback<cluster_status> done) {
  if (auto kept = given_.store->replace_identity(to); !kept)
    return done(kept.failure());
  auto told = link_->set_identity(cluster::link::identity_of(*given_.store->keys(), to));
  if (!told)
    return done(told.failure());
  given_.identity_changed(to);
  log_info("cluster.certificate_renewed", {{"serial", to.certificate.serial_hex()}});
  introduce_again();
  status(std::move(done));
}

// ---- the data key -------------------------------------------------------------------------------

void node_cluster::on_change(const config_ptr& state,
                             const std::vector<cluster::replica::known_member>& members,
                             bool leads) {
  std::vector<cluster::key_recipient> recipients;
  for (const auto& m : members)
    if (auto key = crypto::public_key_from_spki(m.info.public_key))
      recipients.push_back({m.info.name, *std::move(key)});
    else
      log_error("cluster.member_key", {{"node", m.info.name}, {"detail", key.failure().message}});
  // Before the services see what may be sealed under a new key, the node has that key.
  for (const auto& problem : given_.store->follow_data_keys(*state, recipients))
    log_warning("cluster.data_key", {{"detail", problem.message}});
  {
    const std::lock_guard guard(mutex_);
    recipients_ = std::move(recipients);
    leads_ = leads;
  }
  if (leads && state->data_keys.begin() != state->data_keys.end())
    drive_rotation(state);
}

/// One step after another, as long as this node leads and there is one.
void node_cluster::drive_rotation(const config_ptr& state) {
  {
    const std::lock_guard guard(mutex_);
    rotation_due_ = state;
  }
  go_on_rotating();
}

void node_cluster::go_on_rotating() {
  {
    const std::lock_guard guard(mutex_);
    if (stopped_ || calls_ == nullptr || !rotation_due_ || std::exchange(rotating_, true))
      return;
  }
  // Not on the ConfigStore's thread: sealing takes its time.
  calls_->run([this] { rotate_on(); });
}

void node_cluster::rotate_on() {
  while (true) {
    config_ptr state;
    std::vector<cluster::key_recipient> recipients;
    {
      const std::lock_guard guard(mutex_);
      state = std::exchange(rotation_due_, nullptr);
      if (!state || !leads_ || stopped_) {
        rotating_ = false;
        return;
      }
      recipients = recipients_;
    }
    auto plan = cluster::rotation_step(*state, recipients, *given_.store->seals());
    for (const auto& problem : plan.problems)
      log_warning("cluster.data_key", {{"detail", problem.message}});
    if (!plan.next)
      continue;
    calls_->ask<config_applied>(
        config_store_, answer_budget, *std::move(plan.next),
        [this, state](const result<config_applied>& applied) {
          // What it changed, or what somebody else changed before it, is due by then.
          if (applied || !may_succeed_later(applied.failure()))
            return rotate_on();
          log_warning("cluster.data_key", {{"detail", applied.failure().message}});
          const std::lock_guard guard(mutex_);
          if (!rotation_due_)
            rotation_due_ = state; // to be looked at again after a while
          rotating_ = false;
        });
    return;
  }
}

void node_cluster::rotate_data_key(callback<std::string> done) {
  std::vector<cluster::key_recipient> recipients;
  {
    const std::lock_guard guard(mutex_);
    recipients = recipients_;
  }
  const auto made = cluster::make_data_key(*given_.config->load(), recipients,
                                           *given_.store->seals(), given_.now());
  if (!made)
    return done(made.failure());
  calls_->ask<config_applied>(
      config_store_, answer_budget, cluster::create_command(made->object),
      [id = made->object.name, done = std::move(done)](const result<config_applied>& applied) {
        done(applied ? result<std::string>(id) : result<std::string>(applied.failure()));
      });
}

// ---- for the API --------------------------------------------------------------------------------

void node_cluster::join(std::string request, callback<std::string> done) {
  auto admitted = cluster::admit_node(*given_.store, request, given_.now());
  crypto::wipe(request.data(), request.size());
  if (!admitted)
    return done(admitted.failure());
  const auto admission = std::make_shared<const cluster::join_admission>(*std::move(admitted));
  change(admission->replaces ? membership_action::replace : membership_action::add, admission->info,
         [this, admission, done = std::move(done)](const result<membership_changed>& changed) {
           if (!changed) {
             // It is known not to have happened: the token can be used again.
             if (changed.failure().code == errc::already_exists)
               if (auto back = cluster::give_back_token(*given_.store, *admission); !back)
                 log_error("cluster.join_token", {{"detail", back.failure().message}});
             return done(changed.failure());
           }
           auto answer =
               cluster::answer_join(*given_.store, *admission, changed->id, changed->members);
           if (answer)
             log_info("cluster.joined", {{"node", admission->info.name}});
           done(std::move(answer));
         });
}

void node_cluster::remove(const std::string& node, callback<cluster_status> done) {
  member_info info;
  info.name = node;
  info.host = "-"; // only the name counts
  info.port = 1;
  if (!cluster::link::is_node_name(node))
    return done(field_error(errc::invalid_argument, "node", "expected the name of a node"));
  change(membership_action::remove, info,
         [this, done = std::move(done)](const result<membership_changed>& changed) {
           if (!changed)
             return done(changed.failure());
           status(done);
         });
}

void node_cluster::transfer(const std::string& to, callback<cluster_status> done) {
  calls_->ask<config_status>(config_store_, answer_budget, transfer_leadership{to},
                             [this, done = std::move(done)](const result<config_status>& r) {
                               if (!r)
                                 return done(r.failure());
                               status(done);
                             });
}

void node_cluster::status(callback<cluster_status> done) {
  calls_->ask<cluster_status>(config_store_, answer_budget, get_cluster_status{}, std::move(done));
}

void node_cluster::add_metrics(std::vector<metric_sample>& out) const {
  const auto gauge = [&](const char* name, const char* help, const auto& value, bool counts) {
    out.push_back({name, help, counts, {}, static_cast<double>(value)});
  };
  const auto& g = *gauges_;
  gauge("custos_cluster_term", "Raft term", g.term.load(), false);
  gauge("custos_cluster_leads", "1 if this node leads", g.leads.load(), false);
  gauge("custos_cluster_leader_known", "1 if this node follows a leader", g.leader_known.load(),
        false);
  gauge("custos_cluster_committed_index", "Last entry of the log known to be committed",
        g.committed.load(), false);
  gauge("custos_cluster_applied_index", "Last entry of the log applied here", g.applied.load(),
        false);
  gauge("custos_cluster_members", "Members, voters and standbys", g.members.load(), false);
  gauge("custos_cluster_voters", "Members that vote", g.voters.load(), false);
  gauge("custos_cluster_requests_waiting", "Changes and questions that wait for the cluster",
        g.requests_waiting.load(), false);
  gauge("custos_cluster_in_service", "1 if this node has the configuration and serves",
        g.in_service.load(), false);
  gauge("custos_cluster_elections_total", "Changes of term or leader seen", g.elections_seen.load(),
        true);
  gauge("custos_cluster_states_differ", "Other nodes whose state is not this node's: an alarm",
        g.states_differ.load(), false);
  const auto links = link_->counters();
  gauge("custos_link_accepted_total", "Connections of other nodes accepted", links.accepted, true);
  gauge("custos_link_refused_total", "Peers that proved who they are and were refused",
        links.refused, true);
  gauge("custos_link_handshake_failures_total", "Handshakes that failed", links.handshake_failures,
        true);
  gauge("custos_link_shed_total", "Half-open connections that went for others", links.shed, true);
  gauge("custos_link_half_open", "Connections that have not proven who they are", links.half_open,
        false);
  for (const auto& s : link_->status())
    out.push_back({"custos_link_up",
                   "1 if the link to that node is up",
                   false,
                   {{"peer", s.peer.name}},
                   s.state == cluster::link::link_state::up ? 1.0 : 0.0});
}

} // namespace custos::runtime
