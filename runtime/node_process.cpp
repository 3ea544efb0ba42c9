#include "runtime/node_process.hpp"

#include "actors/attestation/host_records_actor.hpp"
#include "actors/attestation/token_keyring.hpp"
#include "actors/attestation/verifier_actor.hpp"
#include "actors/audit/audit_actor.hpp"
#include "actors/gateway/node_api.hpp"
#include "actors/keyprovider/key_provider_actor.hpp"
#include "actors/keyprovider/token_reader.hpp"
#include "actors/keyprovider/use_records_actor.hpp"
#include "actors/kmip/group_actor.hpp"
#include "adapters/jose/jose.hpp"
#include "adapters/tls/stream.hpp"
#include "cluster/backup/content.hpp"
#include "cluster/bootstrap.hpp"
#include "cluster/config_codec.hpp"
#include "cluster/config_preview.hpp"
#include "cluster/encryption_keys.hpp"
#include "cluster/node_store.hpp"
#include "runtime/bridge.hpp"
#include "runtime/log.hpp"
#include "runtime/node_cluster.hpp"
#include "runtime/node_key_environment.hpp"
#include "runtime/ops_server.hpp"
#include "runtime/provider_secrets.hpp"

#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <unistd.h>

namespace custos::runtime {

namespace {

constexpr std::chrono::milliseconds service_budget{15000};
constexpr std::chrono::milliseconds stop_budget{5000};
constexpr std::chrono::milliseconds peer_certificate_budget{10000};

struct node_actor_config : caf::actor_system_config {
  explicit node_actor_config(unsigned threads) { configure_actor_system(*this, threads); }
};

} // namespace

struct node_process::impl {
  explicit impl(const node_options& o)
      : options(o), pool(o.common.io_threads), actor_config(actor_threads(o.common.threads)),
        system(actor_config), now(system_clock_source()), attestations(o.attestations_in_flight),
        key_requests(o.key_requests_in_flight), admin_requests(o.admin_requests_in_flight) {}

  result<void> open_state();
  result<void> open_host_records();
  result<void> open_uses();
  void start_services();
  result<void> start_gateway();
  void add_metrics();
  void add_attestation_metrics(std::vector<metric_sample>& out) const;
  gateway::node_ports ports();
  void present(const cluster::node_identity& identity);
  [[nodiscard]] http::tls_identity tls_of(const cluster::node_identity& identity) const;
  void make_token_key(token_key_wish wish, gateway::callback<config_document> done);
  void make_backup(const crypto::key& recipient, gateway::callback<std::string> done);
  result<kmip_api> spawn_group(const key_provider& provider);
  keyprovider::key_provider_dependencies key_dependencies();

  /// One question to one actor behind an admission counter.
  template <class Request, class Answer, class Handle>
  gateway::port<Request, Answer> port_to(Handle target, admission& gate) {
    return [this, target = std::move(target), &gate](Request request,
                                                     gateway::callback<Answer> done) {
      auto permit = gate.try_enter();
      if (!permit) {
        auto full =
            make_error(errc::overloaded, "the service has all the requests in hand that it takes");
        full.retry_after_s = 1;
        return done(std::move(full));
      }
      calls->ask<Answer>(
          target, service_budget, std::move(request),
          [done = std::move(done), permit](result<Answer> r) { done(std::move(r)); });
    };
  }

  node_options options;
  http::io_pool pool;
  node_actor_config actor_config;
  caf::actor_system system;
  clock_source now;
  admission attestations;
  admission key_requests;
  admission admin_requests;
  admission backups{1}; ///< each holds the configuration in memory twice
  std::shared_ptr<cluster::node_store> store;
  std::shared_ptr<config_cell> config = std::make_shared<config_cell>();
  std::shared_ptr<attestation::verdict_counters> verdicts =
      std::make_shared<attestation::verdict_counters>();
  std::shared_ptr<audit::audit_gauges> audit_gauges = std::make_shared<audit::audit_gauges>();
  std::shared_ptr<attestation::token_keyring_source> token_keys;
  std::unique_ptr<node_cluster> cluster;
  std::atomic<bool> gave_up = false;
  attestation::verifier_shared verifying;
  std::shared_ptr<attestation::record_inbox> record_inbox =
      std::make_shared<attestation::record_inbox>();
  std::shared_ptr<rocksdb::kv_store> records;
  host_records_api host_records;
  std::unique_ptr<cluster::encryption_keys> encryption_keys;
  std::shared_ptr<keyprovider::use_table> uses;
  use_records_api use_records;
  std::vector<verifier_api> verifiers;
  key_provider_api keys;
  std::shared_ptr<keyprovider::rotation_problems> rotation_problems =
      std::make_shared<keyprovider::rotation_problems>();
  keyprovider::rotation_api rotation;
  audit_api audit;
  std::unique_ptr<bridge> calls;
  std::unique_ptr<gateway::node_api> api;
  metrics measured;
  std::unique_ptr<http::server> ops;
  std::unique_ptr<http::server> https;
  bool stopped = false;
};

result<void> node_process::impl::open_state() {
  CUSTOS_TRY(store, cluster::node_store::open(
                        options.data_dir,
                        node_key_access_of(options.tcti, options.node_key_passphrase_file)));
  if (store->key_choice().source == cluster::node_key_source::file)
    log_warning("node.key_in_file", {{"detail", std::string(key_file_warning)}});
  CUSTOS_TRY(auto log,
             audit::audit_log::open(std::filesystem::path(options.data_dir) / "audit", now()));
  audit::audit_dependencies given;
  given.now = now;
  given.gauges = audit_gauges;
  given.complain = [](std::string_view message) {
    log_error("audit.write_failed", {{"detail", std::string(message)}});
  };
  audit = audit::spawn_audit(system, std::move(log), std::move(given));
  node_cluster::dependencies d;
  d.system = &system;
  d.pool = &pool;
  d.store = store;
  d.config = config;
  d.now = now;
  d.identity_changed = [this](const cluster::node_identity& to) { present(to); };
  d.give_up = [this](const error&) {
    gave_up = true;
    // As if the service manager had asked: everything in hand ends first.
    if (::kill(::getpid(), SIGTERM) != 0)
      std::_Exit(exit_internal);
  };
  CUSTOS_TRY(this->cluster,
             node_cluster::open({options.cluster_listen, options.cluster_address}, std::move(d)));
  encryption_keys = std::make_unique<cluster::encryption_keys>(store->seals());
  CUSTOS_CHECK(open_host_records());
  return open_uses();
}

/// Beside the configuration, in a store of its own: what is in it changes all the time, and can be
/// lost without harm.
result<void> node_process::impl::open_host_records() {
  attestation::host_records_dependencies given;
  CUSTOS_TRY(records,
             rocksdb::open_store(std::filesystem::path(options.data_dir) / "hosts", {true, true}));
  given.store = records;
  given.hosts = verifying.hosts;
  given.config = config;
  given.inbox = record_inbox;
  given.ak_ca = store->keys()->ak_ca_certificate;
  given.now = now;
  given.preview = cluster::with_changes;
  given.complain = [](const error& e) {
    log_error("host_records.write_failed", {{"detail", e.message}});
  };
  CUSTOS_TRY(host_records, attestation::spawn_host_records(system, std::move(given)));
  verifying.changed = attestation::record_changes(host_records, verifying.hosts, record_inbox);
  return {};
}

/// Beside the records of hosts: lost without more harm than a longer wait before a primary key may
/// be retired.
result<void> node_process::impl::open_uses() {
  keyprovider::use_records_dependencies given;
  given.store = records;
  given.complain = [](const error& e) {
    log_error("key_uses.write_failed", {{"detail", e.message}});
  };
  CUSTOS_TRY(uses, keyprovider::load_uses(*records, now()));
  given.uses = uses;
  use_records = keyprovider::spawn_use_records(system, std::move(given));
  return {};
}

result<kmip_api> node_process::impl::spawn_group(const key_provider& provider) {
  kmip::kmip_group_options o;
  o.provider = provider.name;
  o.servers = provider.servers;
  o.trusted_pem = provider.trusted_peer_certificates;
  o.username = provider.username;
  o.timeout = std::chrono::milliseconds(provider.timeout_ms);
  o.legacy_ciphers = provider.legacy_ciphers;
  if (!provider.client_certificate.empty()) {
    o.client_certificate_pem = provider.client_certificate;
    CUSTOS_TRY(const auto key,
               store->seals()->open(provider.client_private_key,
                                    cluster::client_private_key_use(provider.name)));
    CUSTOS_TRY(o.client_private_key, crypto::private_key_from_pkcs8(key.reveal_secret()));
  }
  if (!provider.password.sealed.empty()) {
    CUSTOS_TRY(auto password,
               store->seals()->open(provider.password, cluster::password_use(provider.name)));
    o.password = std::make_shared<const crypto::secret_bytes>(std::move(password));
  }
  return kmip::spawn_kmip_group(system, pool, std::move(o));
}

keyprovider::key_provider_dependencies node_process::impl::key_dependencies() {
  keyprovider::key_provider_dependencies given;
  given.config = config;
  given.now = now;
  given.audit = audit;
  // The gate's own view of the keys: used on its thread only.
  struct gate_view {
    config_reader config;
    attestation::token_keyring_reader keys;
  };
  const auto view = std::make_shared<gate_view>(
      gate_view{config_reader(config), attestation::token_keyring_reader(token_keys)});
  given.check_token = keyprovider::tokens_of(store->keys()->issuer, [view](std::int64_t at) {
    return view->keys.get(view->config.get()).trusted_at(at);
  });
  given.token_keys_generation = [view, at = now] {
    return view->keys.trust_generation(view->config.get(), at());
  };
  given.sight_of_host =
      [hosts = verifying.hosts](const std::string& host) -> std::optional<keyprovider::host_sight> {
    const auto seen = hosts->standing(host);
    if (!seen)
      return std::nullopt;
    return keyprovider::host_sight{seen->ak_name, seen->reset_count, seen->first_seen_in_boot,
                                   seen->failed_since, seen->restart_count};
  };
  given.spawn_group = [this](const key_provider& p) { return spawn_group(p); };
  given.seal = seals_of(store);
  given.unseal = opens_of(store);
  given.rotation_problem = [problems = rotation_problems](const std::string& provider) {
    return problems->of(provider);
  };
  given.encryption_key = [this](std::string_view kid) { return encryption_keys->find(kid); };
  given.uses = uses;
  given.read_peer_certificates = [this](const key_server& s,
                                        std::function<void(result<std::string>)> done) {
    tls::fetch_peer_certificates(pool, s.host, s.port, peer_certificate_budget, std::move(done));
  };
  return given;
}

void node_process::impl::start_services() {
  const auto& k = *store->keys();
  auto verifier_keys = std::make_shared<attestation::verifier_keys>();
  verifier_keys->challenge_key = k.challenge_key;
  verifier_keys->ak_ca_key = k.ak_ca_key;
  verifier_keys->ak_ca_certificate = k.ak_ca_certificate;
  token_keys = std::make_shared<attestation::token_keyring_source>(
      attestation::initial_key{k.token_key, k.token_kid},
      [s = store](const token_key& key) {
        return s->seals()->open({key.sealed_private_key}, cluster::token_key_use(key.name));
      },
      [](const std::string& problem) {
        log_error("token_key.unusable", {{"detail", problem}});
      });
  verifier_keys->token_keys = token_keys;
  verifier_keys->issuer = k.issuer;
  attestation::verifier_dependencies given{verifier_keys, config, now, verdicts};
  given.shared = verifying;
  given.config_store = this->cluster->config_store();
  given.ticks_us = [] {
    const auto since = std::chrono::steady_clock::now().time_since_epoch();
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(since).count());
  };
  given.node = "node:" + store->identity().name;
  verifiers = attestation::spawn_verifiers(system, actor_threads(options.common.threads), given);
  keys = keyprovider::spawn_key_provider(system, key_dependencies());
  rotation = start_rotation(system, store,
                            {config, now, cluster->leadership(), keys, cluster->config_store(),
                             audit, rotation_problems});
  calls = std::make_unique<bridge>(system, options.common.io_threads);
}

/// On a thread of its own: making an RSA key takes longer than a socket or an actor may wait.
void node_process::impl::make_token_key(token_key_wish wish,
                                        gateway::callback<config_document> done) {
  auto permit = admin_requests.try_enter();
  if (!permit) {
    auto full =
        make_error(errc::overloaded, "the service has all the requests in hand that it takes");
    full.retry_after_s = 1;
    return done(std::move(full));
  }
  // The wish is an argument: CAF 0.17.6 looks into nothing where a function takes none.
  auto work = [done = std::move(done), permit, s = store, settings = config->load()->settings,
               at = now()](caf::event_based_actor*, const token_key_wish& wanted) {
    auto made = attestation::make_token_key(
        wanted, settings, at, [&s](const std::string& kid, byte_view pkcs8) -> result<bytes> {
          CUSTOS_TRY(auto sealed, s->seals()->seal(pkcs8, cluster::token_key_use(kid)));
          return std::move(sealed.sealed);
        });
    if (!made)
      return done(made.failure());
    done(config_document{made->name, cluster::write_object(*made), 0});
  };
  system.spawn<caf::detached>(std::move(work), std::move(wish));
}

/// Of one state that nobody changes any more, on a thread of its own: a large configuration takes
/// seconds.
void node_process::impl::make_backup(const crypto::key& recipient,
                                     gateway::callback<std::string> done) {
  auto permit = backups.try_enter();
  if (!permit) {
    auto busy = make_error(errc::overloaded, "another backup is being made");
    busy.retry_after_s = 5;
    return done(std::move(busy));
  }
  auto seal = [this, permit, recipient, done = std::move(done)](result<held_config_state> held) {
    if (!held)
      return done(held.failure());
    auto work = [done, permit, s = store, recipient, at = now()](caf::event_based_actor*,
                                                                 const held_config_state& one) {
      done(backup::back_up_cluster(*s->keys(), *s->seals(), *one.state, {recipient}, at));
    };
    system.spawn<caf::detached>(std::move(work), *std::move(held));
  };
  calls->ask<held_config_state>(cluster->config_store(), service_budget, get_config_state{},
                                std::move(seal));
}

gateway::node_ports node_process::impl::ports() {
  gateway::node_ports p;
  // Challenges cost nothing and any verifier makes them; evidence goes to the verifier of its
  // ticket.
  p.new_challenge = port_to<make_challenge, challenge>(verifiers.front(), attestations);
  p.issue_attestation_key = [this](attestation_key_request r,
                                   gateway::callback<attestation_key_issued> done) {
    const auto i = attestation::verifier_of(r.host, verifiers.size());
    port_to<attestation_key_request, attestation_key_issued>(verifiers[i], attestations)(
        std::move(r), std::move(done));
  };
  p.appraise = [this](evidence e, gateway::callback<attestation_granted> done) {
    const auto i = attestation::verifier_of(e.ticket, verifiers.size());
    port_to<evidence, attestation_granted>(verifiers[i], attestations)(std::move(e),
                                                                       std::move(done));
  };
  p.hosts = verifying.hosts;
  p.explain = port_to<explain_host, json_document>(host_records, admin_requests);
  p.simulate = port_to<simulate_changes, json_document>(host_records, admin_requests);
  p.forget = port_to<forget_host, json_document>(host_records, admin_requests);
  p.generate = port_to<generate_key, key_released>(keys, key_requests);
  p.decrypt = port_to<decrypt_key, key_released>(keys, key_requests);
  p.encrypt = port_to<encrypt_key, key_encrypted>(keys, key_requests);
  p.rewrap = port_to<rewrap_keys, keys_rewrapped>(keys, key_requests);
  p.encryption_key = [this]() -> result<std::string> {
    CUSTOS_TRY(const auto present, encryption_keys->present());
    return cluster::jwk_text(present);
  };
  p.provider_uses = [this](const std::string& provider) -> result<std::string> {
    const auto snapshot = config->load();
    const auto found = snapshot->key_providers.find(provider);
    if (found == snapshot->key_providers.end())
      return make_error(errc::not_found, "there is no key provider " + provider);
    return keyprovider::uses_document(*uses, store->identity().name, provider,
                                      found->second.primary_key_id);
  };
  p.providers = port_to<list_providers, std::vector<provider_status>>(keys, key_requests);
  p.new_client_certificate =
      port_to<make_client_certificate, client_certificate_made>(keys, admin_requests);
  p.new_primary_key = port_to<create_primary_key, kmip::key_created>(keys, admin_requests);
  p.peer_certificates =
      port_to<get_peer_certificates, std::vector<peer_certificate>>(keys, admin_requests);
  p.status_of_provider = port_to<get_provider_status, provider_status_report>(keys, admin_requests);
  add_provider_secrets(p, store, now);
  p.new_token_key = [this](token_key_wish wish, gateway::callback<config_document> done) {
    make_token_key(std::move(wish), std::move(done));
  };
  const auto& config_store = this->cluster->config_store();
  p.apply = port_to<config_command, config_applied>(config_store, admin_requests);
  p.read = port_to<get_config_object, config_document>(config_store, admin_requests);
  p.list = port_to<list_config_objects, config_documents>(config_store, admin_requests);
  p.status = port_to<get_config_status, config_status>(config_store, admin_requests);
  p.new_join_token = [this](std::uint32_t life_s, std::string url,
                            gateway::callback<std::string> done) {
    done(cluster::issue_join_token(*store, url, life_s, now()));
  };
  p.await_revision = port_to<await_configuration, config_status>(config_store, admin_requests);
  p.join = [this](std::string body, gateway::callback<std::string> done) {
    this->cluster->join(std::move(body), std::move(done));
  };
  p.cluster = [this](get_cluster_status, gateway::callback<cluster_status> done) {
    this->cluster->status(std::move(done));
  };
  p.remove_member = [this](const std::string& node, gateway::callback<cluster_status> done) {
    this->cluster->remove(node, std::move(done));
  };
  p.transfer_to = [this](const std::string& node, gateway::callback<cluster_status> done) {
    this->cluster->transfer(node, std::move(done));
  };
  p.renew_certificate = [this](get_cluster_status, gateway::callback<cluster_status> done) {
    this->cluster->renew_certificate(std::move(done));
  };
  p.rotate_data_key = [this](get_cluster_status, gateway::callback<std::string> done) {
    this->cluster->rotate_data_key(std::move(done));
  };
  p.node = store->identity().name;
  p.out_of_service = [this] { return this->cluster->out_of_service(); };
  p.issue_certificate = [this](std::string csr, std::string name,
                               gateway::callback<std::string> done) {
    auto issued =
        cluster::issue_client_certificate(*store->keys(), {std::move(name), std::move(csr)}, now());
    done(issued ? result<std::string>(issued->certificate_pem)
                : result<std::string>(issued.failure()));
  };
  p.make_backup = [this](const crypto::key& recipient, gateway::callback<std::string> done) {
    make_backup(recipient, std::move(done));
  };
  const auto& k = *store->keys();
  p.jwks = [this] { return token_keys->of(config->load()).ring->jwks_at(now()); };
  p.token_algorithms = [this] { return token_keys->of(config->load()).ring->algorithms_at(now()); };
  p.issuer = k.issuer;
  p.ca_pem = k.ca_certificate.pem();
  p.audit = [this](audit_record record) { caf::anon_send(audit, std::move(record)); };
  p.snapshot = [this] { return config->load(); };
  p.anchors = {k.ca_certificate};
  p.now = now;
  return p;
}

void node_process::impl::add_attestation_metrics(std::vector<metric_sample>& out) const {
  for (const auto& [reason, n] : verdicts->read())
    out.push_back({"custos_attestations_total",
                   "Appraisals by verdict and reason",
                   true,
                   {{"verdict", reason == "ok" ? "accepted" : "refused"}, {"reason", reason}},
                   static_cast<double>(n)});
  const auto durations = verdicts->read_durations();
  histogram_sample h;
  h.sum = static_cast<double>(durations.sum_us) / 1e6;
  for (std::size_t i = 0; i < durations.counts.size(); ++i) {
    h.count += durations.counts.at(i);
    if (i < attestation::duration_bounds_us.size())
      h.buckets.emplace_back(static_cast<double>(attestation::duration_bounds_us.at(i)) / 1e6,
                             h.count);
  }
  h.buckets.emplace_back(std::numeric_limits<double>::infinity(), h.count);
  out.push_back({"custos_attestation_duration_seconds", "Appraisals by duration", false, {}, 0, h});
  out.push_back({"custos_last_attested_seconds",
                 "Unix time of the newest accepted attestation of any host",
                 false,
                 {},
                 static_cast<double>(verifying.hosts->last_attested())});
  out.push_back({"custos_hosts_known",
                 "Hosts whose last verdict this node knows",
                 false,
                 {},
                 static_cast<double>(verifying.hosts->size())});
  out.push_back({"custos_host_records_dropped_total",
                 "Changes of host records that were not put on disk because too many waited",
                 true,
                 {},
                 static_cast<double>(record_inbox->dropped)});
}

void node_process::impl::add_metrics() {
  measured.add([this](std::vector<metric_sample>& out) {
    add_attestation_metrics(out);
    cluster->add_metrics(out);
    const auto c = https->counters();
    out.push_back({"custos_http_connections",
                   "Open connections",
                   false,
                   {},
                   static_cast<double>(c.connections)});
    out.push_back(
        {"custos_http_requests_total", "Requests", true, {}, static_cast<double>(c.requests)});
    out.push_back({"custos_http_bad_requests_total",
                   "Requests that were no HTTP",
                   true,
                   {},
                   static_cast<double>(c.bad_requests)});
    out.push_back({"custos_http_refused_connections_total",
                   "Connections over the limit",
                   true,
                   {},
                   static_cast<double>(c.refused)});
    out.push_back({"custos_http_handshake_failures_total",
                   "TLS handshakes that failed",
                   true,
                   {},
                   static_cast<double>(c.handshake_failures)});
    for (const auto& [name, gate] :
         {std::pair{"attestation", &attestations}, std::pair{"keys", &key_requests},
          std::pair{"admin", &admin_requests}})
      out.push_back({"custos_overload_refusals_total",
                     "Requests refused because too many were in hand",
                     true,
                     {{"service", name}},
                     static_cast<double>(gate->refused())});
    out.push_back({"custos_configuration_revision",
                   "Revision of the configuration",
                   false,
                   {},
                   static_cast<double>(config->load()->revision)});
    out.push_back({"custos_audit_records_total",
                   "Audit records on disk since the start",
                   true,
                   {},
                   static_cast<double>(audit_gauges->records)});
    out.push_back({"custos_audit_write_failures_total",
                   "Failed writes of the audit log",
                   true,
                   {},
                   static_cast<double>(audit_gauges->write_failures)});
  });
}

http::tls_identity node_process::impl::tls_of(const cluster::node_identity& identity) const {
  return {identity.certificate.pem() + store->keys()->ca_certificate.pem(), identity.tls_key};
}

void node_process::impl::present(const cluster::node_identity& identity) {
  if (auto set = https->set_identity(tls_of(identity)); !set)
    log_error("node.certificate", {{"detail", set.failure().message}});
}

result<void> node_process::impl::start_gateway() {
  const auto where = parse_listen(options.listen);
  if (!where)
    return field_error(errc::invalid_argument, "--listen", "expected address:port");
  api = std::make_unique<gateway::node_api>(ports());
  http::server_options o;
  o.address = where->host;
  o.port = where->port;
  o.tls = tls_of(store->identity());
  CUSTOS_TRY(https, http::server::listen(pool, std::move(o),
                                         [this](http::request&& r, const http::responder& respond) {
                                           api->handle(std::move(r), respond);
                                         }));
  add_metrics();
  CUSTOS_TRY(ops, start_ops_server(pool, options.common.ops_listen, measured, [this] {
               const auto snapshot = config->load();
               readiness state;
               const auto out = cluster->out_of_service();
               state.ready = audit_gauges->writable && !out;
               state.details = {{"node", store->identity().name},
                                {"cluster_id", store->keys()->cluster_id},
                                {"node_key", text_of(store->key_choice())},
                                {"configuration_revision", std::to_string(snapshot->revision)},
                                {"configuration_fingerprint", snapshot->fingerprint},
                                {"cluster", out                       ? out->message
                                            : cluster->leader_known() ? "ok"
                                                                      : "no leader is known"},
                                {"audit", audit_gauges->writable ? "ok" : "cannot be written"}};
               return state;
             }));
  cluster->begin(*calls);
  https->start();
  log_info("node.listening",
           {{"address", where->host},
            {"port", std::to_string(https->port())},
            {"cluster_port", std::to_string(cluster->port())},
            {"node", store->identity().name},
            {"cluster", store->keys()->cluster_id},
            {"configuration_revision", std::to_string(config->load()->revision)}});
  return {};
}

node_process::node_process(std::unique_ptr<impl> i) : impl_(std::move(i)) {}

node_process::~node_process() {
  stop();
}

result<std::unique_ptr<node_process>> node_process::start(const node_options& options) {
  std::unique_ptr<node_process> out(new node_process(std::make_unique<impl>(options)));
  CUSTOS_CHECK(out->impl_->open_state());
  out->impl_->start_services();
  CUSTOS_CHECK(out->impl_->start_gateway());
  return out;
}

bool node_process::gave_up() const {
  return impl_->gave_up;
}

void node_process::stop() {
  auto& i = *impl_;
  if (i.stopped)
    return;
  i.stopped = true;
  const std::chrono::milliseconds drain_time = std::chrono::seconds(i.options.common.drain_s) / 2;
  if (i.https)
    i.https->drain(drain_time);
  if (i.ops)
    i.ops->drain(std::chrono::milliseconds(500));
  if (i.cluster)
    i.cluster->stop();
  if (i.calls) {
    i.calls->stop();
    i.calls->wait();
  }
  for (const auto& v : i.verifiers)
    caf::anon_send_exit(v, caf::exit_reason::user_shutdown);
  if (i.rotation)
    caf::anon_send_exit(i.rotation, caf::exit_reason::user_shutdown);
  if (i.keys)
    caf::anon_send_exit(i.keys, caf::exit_reason::user_shutdown);
  if (i.host_records)
    caf::anon_send_exit(i.host_records, caf::exit_reason::user_shutdown);
  if (i.use_records)
    caf::anon_send_exit(i.use_records, caf::exit_reason::user_shutdown);
  if (i.audit) {
    caf::scoped_actor self(i.system);
    self->request(i.audit, stop_budget, drain{})
        .receive([](const drained&) {}, [](const caf::error&) { log_error("audit.drain_failed"); });
    caf::anon_send_exit(i.audit, caf::exit_reason::user_shutdown);
  }
  i.cluster.reset(); // its link lives in the pool
  i.pool.stop();
  i.verifiers.clear();
  i.rotation = nullptr;
  i.keys = nullptr;
  i.verifying.changed = nullptr;
  i.host_records = nullptr;
  i.use_records = nullptr;
  i.audit = nullptr;
  i.calls.reset();
}

} // namespace custos::runtime
