#include "runtime/host_process.hpp"

#include "actors/gateway/router.hpp"
#include "actors/host/agent_actor.hpp"
#include "actors/host/host_keys_actor.hpp"
#include "actors/host/logs.hpp"
#include "actors/host/tpm_actor.hpp"
#include "runtime/bridge.hpp"
#include "runtime/credential_socket.hpp"
#include "runtime/files.hpp"
#include "runtime/host_json.hpp"
#include "runtime/local_api.hpp"
#include "runtime/local_socket.hpp"
#include "runtime/log.hpp"
#include "runtime/ops_server.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <filesystem>
#include <mutex>

namespace custos::runtime {

namespace bj = boost::json;

namespace {

constexpr std::size_t pem_bytes_max = 256U << 10U;

struct host_actor_config : caf::actor_system_config {
  explicit host_actor_config(unsigned threads) { configure_actor_system(*this, threads); }
};

http::response json_response(const bj::value& v) {
  http::response r;
  r.body = bj::serialize(v);
  return r;
}

} // namespace

struct host_process::impl {
  explicit impl(const host_options& o)
      : options(o), pool(o.common.io_threads), actor_config(actor_threads(o.common.threads)),
        system(actor_config), now(system_clock_source()) {}

  result<void> open();
  result<void> listen();
  void add_routes();
  void handle(http::request&& r, const http::responder& respond);
  result<void> listen_locally();
  void measure();
  void report(const host_status& s);
  void report(const rewrap_status& s);
  void publish(const std::string& token) const;
  result<host::tpm_options> tpm_options() const;
  result<void> check_manager(const http::request& r) const;

  host_options options;
  http::io_pool pool;
  host_actor_config actor_config;
  caf::actor_system system;
  clock_source now;
  std::vector<crypto::certificate> managers_ca;
  std::shared_ptr<rocksdb::kv_store> store;
  tpm_api tpm;
  host_agent_api agent;
  host_keys_api keys;
  std::unique_ptr<bridge> calls;
  std::unique_ptr<local_api> consumers;
  gateway::router routes;
  metrics measured;
  std::mutex status_mutex;
  host_status last;
  rewrap_status last_rewrap;
  std::unique_ptr<http::server> ops;
  std::unique_ptr<http::server> https;
  std::unique_ptr<local_socket> local;
  std::unique_ptr<credential_socket> credentials;
  bool stopped = false;
};

void host_process::impl::report(const host_status& s) {
  {
    const std::lock_guard guard(status_mutex);
    last = s;
  }
  if (s.error.empty())
    log_info("host." + s.state, {{"image", s.image},
                                 {"version", s.image_version},
                                 {"token_expires", std::to_string(s.token_expires)}});
  else
    log_warning("host." + s.state, {{"check", s.check},
                                    {"pcr", s.pcr ? std::to_string(*s.pcr) : ""},
                                    {"event", s.event ? std::to_string(*s.event) : ""},
                                    {"retryable", s.retryable ? "true" : "false"},
                                    {"detail", s.error},
                                    {"next_attempt_in_s", std::to_string(s.next_attempt - now())}});
}

void host_process::impl::report(const rewrap_status& s) {
  {
    const std::lock_guard guard(status_mutex);
    last_rewrap = s;
  }
  for (const auto& p : s.problems)
    log_warning("host.rewrap_problem", {{"detail", p.message}});
  if (!s.error.empty())
    log_warning("host.rewrap", {{"detail", s.error}});
  else
    log_info("host.rewrap", {{"files", std::to_string(s.files)},
                             {"pending", std::to_string(s.pending)},
                             {"rewrapped", std::to_string(s.rewrapped)},
                             {"failed", std::to_string(s.failed)}});
}

/// For local consumers to show to others: the gate takes no such token, whoever may read it.
void host_process::impl::publish(const std::string& token) const {
  const auto& file = options.reporting_token;
  if (!token.empty()) {
    if (auto written = write_file(file, as_bytes(token), 0644); !written)
      log_error("host.reporting_token", {{"detail", written.failure().message}});
    return;
  }
  std::error_code failed;
  std::filesystem::remove(file, failed);
  if (failed)
    log_error("host.reporting_token", {{"detail", file + ": " + failed.message()}});
}

result<host::tpm_options> host_process::impl::tpm_options() const {
  host::tpm_options t;
  t.tcti = options.tcti;
  const auto ek = tpm::ek_kind_of(options.ek);
  if (!ek)
    return field_error(errc::invalid_argument, "--ek",
                       "expected auto, rsa-2048, ecc-p256, rsa-3072 or ecc-p384");
  t.ek = *ek;
  const auto ak = tpm::ak_algorithm_of(options.ak_algorithm);
  if (!ak)
    return field_error(errc::invalid_argument, "--ak-algorithm", "expected a known algorithm");
  t.ak.algorithm = *ak;
  CUSTOS_TRY(t.ak.handle, host::read_ak_handle(options.ak_handle));
  t.ak.file = std::filesystem::path(options.data_dir) / "ak.tpm";
  t.event_log = options.event_log;
  t.ima_log = options.ima_log;
  t.pcrs = 0;
  for (const auto pcr : options.pcrs) {
    if (pcr >= tpm::pcrs_max)
      return field_error(errc::invalid_argument, "--pcrs", "expected PCRs from 0 to 23");
    t.pcrs |= 1U << pcr;
  }
  if (t.pcrs == 0)
    return field_error(errc::invalid_argument, "--pcrs", "expected at least one PCR");
  t.say = [](const std::string& event, const std::string& detail) {
    log_warning(event, {{"detail", detail}});
  };
  return t;
}

result<void> host_process::impl::open() {
  std::error_code failed;
  std::filesystem::create_directories(options.data_dir, failed);
  if (failed)
    return field_error(errc::storage_failure, "--data-dir", "cannot be made: " + failed.message());
  std::filesystem::permissions(options.data_dir, std::filesystem::perms::owner_all, failed);
  CUSTOS_TRY(const auto pem, read_text_file(options.management_ca, pem_bytes_max));
  auto anchors = crypto::certificates_from_pem(as_bytes(pem));
  if (!anchors)
    return field_error(errc::invalid_argument, "--management-ca", anchors.failure().message);
  managers_ca = *std::move(anchors);
  rocksdb::open_options create;
  create.create = true;
  create.heals = true;
  CUSTOS_TRY(store, rocksdb::open_store(std::filesystem::path(options.data_dir) / "db", create));
  CUSTOS_TRY(auto t, tpm_options());
  tpm = host::spawn_tpm(system, std::move(t));
  host::agent_dependencies given;
  given.host = options.name;
  given.tpm = tpm;
  given.store = store;
  given.now = now;
  given.connect = [this](const std::string& trusted_ca, const http::tls_identity& identity) {
    http::client_options c;
    c.trusted_pem = trusted_ca;
    c.identity = identity;
    return http::client::create(pool, std::move(c));
  };
  given.report = [this](const host_status& s) { report(s); };
  if (!options.reporting_token.empty())
    given.publish = [this](const std::string& token) { publish(token); };
  calls = std::make_unique<bridge>(system, options.common.io_threads);
  agent = host::spawn_agent(system, std::move(given));
  host::host_keys_dependencies own;
  own.agent = agent;
  own.store = store;
  own.now = now;
  own.rewrap = options.rewrap;
  own.check_s = options.rewrap_check_s;
  own.report = [this](const rewrap_status& s) { report(s); };
  keys = host::spawn_host_keys(system, std::move(own));
  consumers = std::make_unique<local_api>(*calls, agent, keys);
  return {};
}

result<void> host_process::impl::check_manager(const http::request& r) const {
  if (!r.peer)
    return field_error(errc::unauthenticated, "client certificate",
                       "expected a certificate of the management CA");
  crypto::verify_options o;
  o.use = crypto::purpose::tls_client;
  o.now = now();
  if (!crypto::verify_chain(r.peer, {}, managers_ca, o))
    return field_error(errc::forbidden, "client certificate",
                       "expected a certificate of the management CA");
  if (std::find(options.managers.begin(), options.managers.end(), r.peer.common_name()) ==
      options.managers.end())
    return field_error(errc::forbidden, "client certificate",
                       "the common name is not one of the managers");
  return {};
}

void host_process::impl::handle(http::request&& r, const http::responder& respond) {
  if (auto known = check_manager(r); !known) {
    log_warning("host.refused",
                {{"remote", r.remote}, {"path", r.path}, {"detail", known.failure().message}});
    return respond(http::problem(known.failure()));
  }
  auto match = routes.find(r.method, r.path);
  if (match.found == nullptr)
    return respond(
        http::problem(make_error(match.allowed.empty() ? errc::not_found : errc::method_not_allowed,
                                 "there is no such resource")));
  const auto who = r.peer.common_name();
  match.found->handle({std::move(r), std::move(match.path), who}, respond);
}

void host_process::impl::add_routes() {
  const auto add = [this](const char* method, const char* path, gateway::route_handler h) {
    routes.add({method, path, gateway::access::administrator, "", std::move(h)});
  };
  const auto answer_applied = [](const http::responder& respond) {
    return [respond](result<services_applied> a) {
      respond(
          a ? json_response(bj::object{{"revision", a->revision}, {"fingerprint", a->fingerprint}})
            : http::problem(a.failure()));
    };
  };
  const auto answer_status = [](const http::responder& respond) {
    return [respond](const result<bj::object>& s) {
      respond(s ? json_response(*s) : http::problem(s.failure()));
    };
  };
  add("PUT", "/host/v1/services",
      [this, answer_applied](gateway::routed_request&& r, const http::responder& respond) {
        auto services = host::read_services(r.request.body);
        if (!services)
          return respond(http::problem(services.failure()));
        log_info("host.services",
                 {{"by", r.principal}, {"revision", std::to_string(services->revision)}});
        calls->ask<services_applied>(agent, agent_budget, *std::move(services),
                                     answer_applied(respond));
      });
  add("DELETE", "/host/v1/services",
      [this, answer_applied](gateway::routed_request&& r, const http::responder& respond) {
        log_info("host.services_cleared", {{"by", r.principal}});
        calls->ask<services_applied>(agent, agent_budget, clear_host_services{},
                                     answer_applied(respond));
      });
  add("GET", "/host/v1/services",
      [this](gateway::routed_request&&, const http::responder& respond) {
        auto kept = host::load_services(*store);
        if (!kept)
          return respond(http::problem(kept.failure()));
        if (!*kept)
          return respond(http::problem(make_error(errc::not_found, "no services are configured")));
        http::response out;
        out.body = host::services_document(**kept);
        respond(std::move(out));
      });
  add("GET", "/host/v1/status",
      [this, answer_status](gateway::routed_request&&, const http::responder& respond) {
        consumers->status(false, answer_status(respond));
      });
  add("POST", "/host/v1/attest",
      [this, answer_status](gateway::routed_request&&, const http::responder& respond) {
        consumers->status(true, answer_status(respond));
      });
  add("GET", "/host/v1/tpm", [this](gateway::routed_request&&, const http::responder& respond) {
    calls->ask<tpm_identity>(
        tpm, attest_budget, get_tpm_identity{}, [respond](result<tpm_identity> t) {
          if (!t)
            return respond(http::problem(t.failure()));
          const auto certificate = crypto::certificate_from_nv(t->ek_certificate);
          bj::array chain;
          for (const auto& der : t->ek_intermediates)
            if (const auto c = crypto::certificate_from_der(der))
              chain.emplace_back(c->pem());
          respond(
              json_response(bj::object{{"ek_certificate", certificate ? certificate->pem() : ""},
                                       {"ek_intermediates", std::move(chain)},
                                       {"ek_public", crypto::base64url(t->ek_public)},
                                       {"ak_name", crypto::hex(t->ak_name)}}));
        });
  });
  add("GET", "/host/v1/event-log",
      [this](gateway::routed_request&&, const http::responder& respond) {
        auto log = host::read_event_log(options.event_log);
        if (!log)
          return respond(http::problem(log.failure()));
        respond(json_response(bj::object{{"event_log", crypto::base64url(*log)}}));
      });
}

namespace {

/// The service manager makes the folders of sockets; who starts the agent by hand need not.
void make_folder_of(const std::string& socket) {
  std::error_code there_already;
  std::filesystem::create_directories(std::filesystem::path(socket).parent_path(), there_already);
}

} // namespace

result<void> host_process::impl::listen_locally() {
  make_folder_of(options.socket);
  local_socket_options o;
  o.path = options.socket;
  o.allowed_uids = options.allowed_uids;
  o.allowed_gids = options.allowed_gids;
  CUSTOS_TRY(local, local_socket::listen(pool, std::move(o),
                                         [this](std::string_view line, unsigned uid,
                                                const local_responder& respond) {
                                           consumers->answer(line, uid, respond);
                                         }));
  if (options.credential_socket.empty())
    return {};
  make_folder_of(options.credential_socket);
  credential_socket_options c;
  c.path = options.credential_socket;
  c.folder = options.credentials;
  CUSTOS_TRY(
      credentials,
      credential_socket::listen(
          pool, std::move(c), [this](request_key r, std::function<void(result<key_ready>)> done) {
            calls->ask<key_ready>(agent, agent_budget, std::move(r), std::move(done));
          }));
  return {};
}

void host_process::impl::measure() {
  measured.add([this](std::vector<metric_sample>& out) {
    const std::lock_guard guard(status_mutex);
    out.push_back({"custos_host_attested",
                   "1 while the host holds a token",
                   false,
                   {},
                   last.state == "attested" ? 1.0 : 0.0});
    out.push_back({"custos_host_last_attested_seconds",
                   "Unix time of the last granted attestation",
                   false,
                   {},
                   static_cast<double>(last.last_attested)});
    out.push_back({"custos_host_token_expires_seconds",
                   "Unix time at which the token ends",
                   false,
                   {},
                   static_cast<double>(last.token_expires)});
    out.push_back({"custos_host_ciphertexts_pending",
                   "Ciphertext files of this host under an older primary key",
                   false,
                   {},
                   static_cast<double>(last_rewrap.pending)});
    out.push_back({"custos_host_ciphertexts_failed",
                   "Ciphertext files of this host that could not be read, opened or replaced",
                   false,
                   {},
                   static_cast<double>(last_rewrap.failed)});
    out.push_back({"custos_host_ciphertexts_rewrapped_total",
                   "Ciphertext files brought under another primary key since the host was set up",
                   true,
                   {},
                   static_cast<double>(last_rewrap.rewrapped)});
  });
}

result<void> host_process::impl::listen() {
  const auto where = parse_listen(options.listen);
  if (!where)
    return field_error(errc::invalid_argument, "--listen", "expected address:port");
  add_routes();
  http::server_options o;
  o.address = where->host;
  o.port = where->port;
  o.request_timeout = attest_budget;
  o.body_bytes_max = 1U << 20U;
  CUSTOS_TRY(o.tls, load_or_make_identity(
                        {options.data_dir, "host", options.name, options.addresses}, now()));
  CUSTOS_TRY(https, http::server::listen(pool, std::move(o),
                                         [this](http::request&& r, const http::responder& respond) {
                                           handle(std::move(r), respond);
                                         }));
  CUSTOS_CHECK(listen_locally());
  measure();
  CUSTOS_TRY(ops, start_ops_server(pool, options.common.ops_listen, measured, [this] {
               const std::lock_guard guard(status_mutex);
               readiness r;
               r.ready = last.state == "attested";
               r.details = {{"state", last.state},
                            {"error", last.error},
                            {"configuration_revision", std::to_string(last.services_revision)}};
               return r;
             }));
  https->start();
  log_info("host.listening", {{"address", where->host},
                              {"port", std::to_string(https->port())},
                              {"socket", options.socket}});
  return {};
}

host_process::host_process(std::unique_ptr<impl> i) : impl_(std::move(i)) {}
host_process::~host_process() {
  stop();
}

result<std::unique_ptr<host_process>> host_process::start(const host_options& options) {
  std::unique_ptr<host_process> out(new host_process(std::make_unique<impl>(options)));
  CUSTOS_CHECK(out->impl_->open());
  CUSTOS_CHECK(out->impl_->listen());
  return out;
}

void host_process::stop() {
  auto& i = *impl_;
  if (i.stopped)
    return;
  i.stopped = true;
  const std::chrono::milliseconds drain_time = std::chrono::seconds(i.options.common.drain_s) / 2;
  if (i.local)
    i.local->close();
  if (i.credentials)
    i.credentials->close();
  if (i.https)
    i.https->drain(drain_time);
  if (i.ops)
    i.ops->drain(std::chrono::milliseconds(500));
  if (i.calls)
    i.calls->stop();
  if (i.keys)
    caf::anon_send_exit(i.keys, caf::exit_reason::user_shutdown);
  if (i.agent)
    caf::anon_send_exit(i.agent, caf::exit_reason::user_shutdown);
  if (i.tpm)
    caf::anon_send_exit(i.tpm, caf::exit_reason::user_shutdown);
  i.pool.stop();
  i.consumers.reset();
  i.keys = nullptr;
  i.agent = nullptr;
  i.tpm = nullptr;
  i.calls.reset();
}

} // namespace custos::runtime
