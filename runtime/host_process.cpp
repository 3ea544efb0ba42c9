#include "runtime/host_process.hpp"

#include "actors/gateway/router.hpp"
#include "actors/host/agent_actor.hpp"
#include "actors/host/logs.hpp"
#include "actors/host/tpm_actor.hpp"
#include "adapters/json/json.hpp"
#include "runtime/bridge.hpp"
#include "runtime/files.hpp"
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

constexpr std::chrono::milliseconds agent_budget{30000};
constexpr std::chrono::milliseconds attest_budget{90000};
constexpr std::size_t pem_bytes_max = 256U << 10U;

struct host_actor_config : caf::actor_system_config {
  explicit host_actor_config(unsigned threads) { configure_actor_system(*this, threads); }
};

bj::object json_of(const host_status& s) {
  bj::object o{{"host", s.host},
               {"state", s.state},
               {"image", bj::object{{"name", s.image}, {"version", s.image_version}}},
               {"token_expires", s.token_expires},
               {"last_attested", s.last_attested},
               {"next_attempt", s.next_attempt},
               {"services_revision", s.services_revision},
               {"services_fingerprint", s.services_fingerprint},
               {"error", s.error},
               {"check", s.check},
               {"retryable", s.retryable},
               {"ak_name", s.ak_name}};
  if (s.pcr)
    o["pcr"] = *s.pcr;
  if (s.event)
    o["event"] = *s.event;
  if (s.boot)
    o["boot"] =
        bj::object{{"reset_count", s.boot->reset_count}, {"restart_count", s.boot->restart_count}};
  return o;
}

http::response json_response(const bj::value& v) {
  http::response r;
  r.body = bj::serialize(v);
  return r;
}

crypto::secret_bytes secret_line(const bj::object& o) {
  auto text = bj::serialize(o);
  crypto::secret_bytes out(as_bytes(text));
  crypto::wipe(text.data(), text.size());
  return out;
}

bj::object local_error(const error& e) {
  bj::object o{{"error", to_string(e.code)}, {"message", e.message}};
  if (!e.field.empty())
    o["field"] = e.field;
  if (!e.check.empty())
    o["check"] = e.check;
  if (e.pcr)
    o["pcr"] = *e.pcr;
  if (e.event)
    o["event"] = *e.event;
  if (e.retryable)
    o["retryable"] = true;
  return o;
}

/// {"op":"generate"|"decrypt","provider",...}
result<request_key> read_key_request(json::object& o, const std::string& op) {
  request_key r;
  CUSTOS_TRY(r.provider, o.string("provider", 128));
  CUSTOS_TRY(auto context, o.optional_base64url("context", context_bytes_max));
  r.context = std::move(context).value_or(bytes{});
  if (op == "generate") {
    CUSTOS_TRY(const auto n, o.optional_integer("bytes", kek_bytes_min, kek_bytes_max));
    r.key_bytes = static_cast<std::uint32_t>(n.value_or(32));
  } else {
    CUSTOS_TRY(r.ciphertext, o.base64url("ciphertext", kek_ciphertext_bytes_max));
    if (r.ciphertext.empty())
      return field_error(errc::invalid_argument, "/ciphertext", "expected the ciphertext of a key");
  }
  CUSTOS_CHECK(o.finish());
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
  void answer_local(const std::string& line, unsigned uid, const local_responder& respond);
  void report(const host_status& s);
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
  std::unique_ptr<bridge> calls;
  gateway::router routes;
  metrics measured;
  std::mutex status_mutex;
  host_status last;
  std::unique_ptr<http::server> ops;
  std::unique_ptr<http::server> https;
  std::unique_ptr<local_socket> local;
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
    return [respond](result<host_status> s) {
      respond(s ? json_response(json_of(*s)) : http::problem(s.failure()));
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
        calls->ask<host_status>(agent, agent_budget, get_host_status{}, answer_status(respond));
      });
  add("POST", "/host/v1/attest",
      [this, answer_status](gateway::routed_request&&, const http::responder& respond) {
        calls->ask<host_status>(agent, attest_budget, attest_now{}, answer_status(respond));
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

void host_process::impl::answer_local(const std::string& line, unsigned uid,
                                      const local_responder& respond) {
  auto o = json::parse_object(line, local_line_bytes_max);
  auto op = o ? o->string("op", 32) : result<std::string>(o.failure());
  if (!op)
    return respond(secret_line(local_error(op.failure())));
  if (*op == "status")
    return calls->ask<host_status>(
        agent, agent_budget, get_host_status{}, [respond](result<host_status> s) {
          respond(secret_line(s ? json_of(*s) : local_error(s.failure())));
        });
  if (*op == "attest")
    return calls->ask<host_status>(
        agent, attest_budget, attest_now{}, [respond](result<host_status> s) {
          respond(secret_line(s ? json_of(*s) : local_error(s.failure())));
        });
  if (*op != "generate" && *op != "decrypt")
    return respond(secret_line(local_error(field_error(
        errc::invalid_argument, "/op", "expected generate, decrypt, attest or status"))));
  auto request = read_key_request(*o, *op);
  if (!request)
    return respond(secret_line(local_error(request.failure())));
  log_info("local.key",
           {{"op", *op}, {"provider", request->provider}, {"uid", std::to_string(uid)}});
  calls->ask<key_ready>(agent, agent_budget, *std::move(request), [respond](result<key_ready> k) {
    if (!k)
      return respond(secret_line(local_error(k.failure())));
    auto key = crypto::base64url(k->key->reveal_secret());
    bj::object out{{"key", key}};
    if (!k->ciphertext.empty())
      out["ciphertext"] = crypto::base64url(k->ciphertext);
    respond(secret_line(out));
    auto& text = out["key"].as_string();
    crypto::wipe(text.data(), text.size());
    crypto::wipe(key.data(), key.size());
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
  // The service manager makes the socket's folder; who starts the agent by hand need not.
  std::error_code there_already;
  std::filesystem::create_directories(std::filesystem::path(options.socket).parent_path(),
                                      there_already);
  CUSTOS_TRY(local, local_socket::listen(pool, {options.socket, options.allowed_uids},
                                         [this](const std::string& line, unsigned uid,
                                                const local_responder& respond) {
                                           answer_local(line, uid, respond);
                                         }));
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
  });
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
  if (i.https)
    i.https->drain(drain_time);
  if (i.ops)
    i.ops->drain(std::chrono::milliseconds(500));
  if (i.calls)
    i.calls->stop();
  if (i.agent)
    caf::anon_send_exit(i.agent, caf::exit_reason::user_shutdown);
  if (i.tpm)
    caf::anon_send_exit(i.tpm, caf::exit_reason::user_shutdown);
  i.pool.stop();
  i.agent = nullptr;
  i.tpm = nullptr;
  i.calls.reset();
}

} // namespace custos::runtime
